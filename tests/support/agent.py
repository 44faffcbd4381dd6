"""What runs in a bottle: programs that know the proxy and its CA by their environment alone (spec 1.3).

    agent = Agent(proxy, ca_cert, directory)
    text = agent.run("curl", "-sS", "https://api.test/")
"""

import os
import pathlib
import subprocess

RUN_SECONDS = 50

# Those that bottle points at the system's bundle with its CA in it; here at the CA alone.
TRUST = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT",
         "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")


class Agent:
    """Attributes: home; env, which a test may change; secrets: what no program may print, at first the credentials."""

    def __init__(self, proxy, ca_cert, directory):
        self.home = pathlib.Path(directory) / "home"
        self.home.mkdir()
        self.ca_cert = str(ca_cert)
        self.secrets = [v for v in proxy.tokens.values() if v]
        self.env = dict.fromkeys(TRUST, self.ca_cert) | {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.home), "NODE_USE_ENV_PROXY": "1",
            "NO_PROXY": "localhost,127.0.0.1,egress-proxy", "no_proxy": "localhost,127.0.0.1,egress-proxy",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
        }
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            self.env[name] = self.env[name.lower()] = proxy.url
        host, port = proxy.address
        self.env["JAVA_TOOL_OPTIONS"] = (
            f"-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port} "
            "-Dhttp.nonProxyHosts=localhost|127.0.0.1|egress-proxy")

    def call(self, *argv, input=None, text=True, cwd=None, timeout=RUN_SECONDS):
        """Runs a program to its end, whatever that is; its exit status and output."""
        if input is None:
            input = "" if text else b""
        done = subprocess.run([str(a) for a in argv], env=self.env, input=input, capture_output=True, text=text,
                              errors="replace" if text else None, timeout=timeout, cwd=cwd or self.home)
        for secret in self.secrets:
            seen = secret if text else secret.encode()
            assert seen not in done.stdout and seen not in done.stderr, f"{argv[0]} has seen a credential"
        return done

    def run(self, *argv, code=0, **more):
        """What a program prints that ends as it should."""
        done = self.call(*argv, **more)
        assert done.returncode == code, f"{argv[0]}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def assert_injected(server, credential, count=1, header="authorization"):
    """That many requests came to an upstream, each with this credential and no other."""
    assert [r.all(header) for r in server.requests] == [[credential]] * count, server.requests

"""Real clients through the real proxy: interception, credentials, refusals, as an agent's own tools see them."""

import hashlib
import json
import os
import subprocess
import textwrap

import pytest

from support import gitweb

TOKEN = "correct-horse-battery-staple"
AUTH = {"host": "api.test", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0",
        "path_allowlist": ["/echo", "/download", "/chunked", "/hints", "/redirect"]}


@pytest.fixture
def api(start_upstream):
    return start_upstream("api.test")


@pytest.fixture
def proxy(start_proxy, api):
    return start_proxy(routes=[AUTH], upstreams=[api], tokens={0: TOKEN})


@pytest.fixture
def environment(proxy, pki):
    """What a bottle gives its agent (spec 1.3)."""
    trust = {name: str(pki.bottle_cert) for name in (
        "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT")}
    proxies = {name: proxy.url for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
    return os.environ | trust | proxies | {
        "NO_PROXY": "localhost,127.0.0.1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0", "HOME": "/nonexistent",
    }


@pytest.fixture
def run(environment):
    def run(*argv, input=None, code=0, text=True, cwd=None):
        done = subprocess.run([str(a) for a in argv], env=environment, input=input, capture_output=True, text=text,
                              timeout=40, cwd=cwd)
        assert done.returncode == code, f"{argv[0]}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout
    return run


def assert_credential_arrived(api, count=1):
    assert len(api.requests) == count
    assert all(r.all("authorization") == [f"Bearer {TOKEN}"] for r in api.requests)


class TestCurl:
    def test_get(self, run, api, require):
        require("curl")
        seen = json.loads(run("curl", "-sS", "--fail", "https://api.test/echo?a=b"))
        assert seen["target"] == "/echo?a=b"
        assert_credential_arrived(api)

    def test_own_authorization_does_not_leave(self, run, api):
        run("curl", "-sS", "--fail", "-u", "me:mine", "-H", "x-api-key: mine", "-b", "s=mine", "https://api.test/echo")
        assert_credential_arrived(api)
        assert not api.requests[0].get("x-api-key") and not api.requests[0].get("cookie")

    def test_proxy_credentials_are_ignored(self, run, api):
        run("curl", "-sS", "--fail", "--proxy-user", "me:mine", "https://api.test/echo")
        assert_credential_arrived(api)
        assert not api.requests[0].get("proxy-authorization")

    @pytest.mark.parametrize("version", ["--tlsv1.2 --tls-max 1.2", "--tlsv1.3"])
    def test_tls_versions(self, run, api, version):
        run("curl", "-sS", "--fail", *version.split(), "https://api.test/echo")
        assert_credential_arrived(api)

    @pytest.mark.parametrize("how", [["-T", "-"], ["--data-binary", "@-"], ["--data-binary", "@-", "-H", "Expect: 100-continue"]])
    def test_upload(self, run, api, how):
        data = os.urandom(3_000_000)
        seen = json.loads(run("curl", "-sS", "--fail", *how, "https://api.test/echo", input=data, text=False))
        assert seen["length"] == len(data) and seen["sha256"] == hashlib.sha256(data).hexdigest()
        assert_credential_arrived(api)

    def test_download(self, run, api):
        data = run("curl", "-sS", "--fail", "https://api.test/download/5000001", text=False)
        again = run("curl", "-sS", "--fail", "https://api.test/download/5000001", text=False)
        assert len(data) == 5000001 and data == again

    def test_head(self, run, api):
        out = run("curl", "-sS", "--fail", "--http1.1", "-I", "https://api.test/echo")
        assert "200 OK" in out
        assert api.requests[0].method == "HEAD"

    def test_resume(self, run, api):
        def part(x):
            assert x.request.get("range") == "bytes=3-"
            x.respond(206, "Partial Content", [("Content-Range", "bytes 3-5/6")], b"def")
        api.on("/download", part)
        assert run("curl", "-sS", "--fail", "-C", "3", "https://api.test/download") == "def"

    def test_two_requests_one_connection(self, run, api):
        out = run("curl", "-sS", "--fail", "-w", "%{num_connects} ", "-o", "/dev/null", "https://api.test/echo",
                  "-o", "/dev/null", "https://api.test/echo")
        assert out == "1 0 "
        assert_credential_arrived(api, 2)

    def test_redirect_is_followed_by_the_client_and_judged_again(self, run, api, proxy):
        out = run("curl", "-sS", "-L", "https://api.test/redirect")
        assert json.loads(out)["error"]["reason"] == "host-not-allowed"
        assert [r.path for r in api.requests] == ["/redirect"]
        proxy.wait_event(verdict="block", reason="host-not-allowed", host="elsewhere.test")

    @pytest.mark.parametrize("url, reason", [
        ("https://evil.example/", "host-not-allowed"),
        ("http://evil.example/", "host-not-allowed"),
        ("https://api.test/other", "path-not-allowed"),
        ("https://api.test/x/git-receive-pack", "git-push-blocked"),
        ("http://api.test/echo", "credential-needs-tls"),
    ])
    def test_refusals_are_readable(self, run, api, url, reason):
        out = run("curl", "-sS", "-i", url, text=False).decode()
        head, _, body = out.rpartition("\r\n\r\n")
        assert f"bottle-block-reason: {reason}" in head.lower()
        error = json.loads(body)["error"]
        assert error["reason"] == reason and error["hint"]
        assert api.connections == 0

    def test_own_rules(self, run):
        table = json.loads(run("curl", "-sS", "--fail", "http://egress-proxy.local/allowlist"))
        assert table["routes"][0]["host"] == "api.test"
        assert TOKEN not in json.dumps(table)

    def test_plain_http(self, run, start_upstream, start_proxy):
        plain = start_upstream("plain.test", tls=False)
        proxy = start_proxy(routes=[{"host": "plain.test"}], upstreams=[plain])
        for tunnel in ([], ["--proxytunnel"]):
            out = run("curl", "-sS", "--fail", "--proxy", proxy.url, *tunnel, "http://plain.test/echo?a")
            assert json.loads(out)["target"] == "/echo?a"


class TestGit:
    @pytest.fixture
    def forge(self, tmp_path, start_upstream, start_proxy, environment, require):
        require("git")
        work, bare = tmp_path / "work", tmp_path / "srv" / "repo.git"
        git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.test", "-c", "init.defaultBranch=main"]
        subprocess.run([*git, "init", "-q", work], check=True)
        for number in range(20):
            (work / f"file{number}").write_bytes(os.urandom(50_000))
        subprocess.run([*git, "-C", work, "add", "."], check=True)
        subprocess.run([*git, "-C", work, "commit", "-q", "-m", "first"], check=True)
        subprocess.run([*git, "clone", "-q", "--bare", work, bare], check=True)
        subprocess.run([*git, "-C", bare, "config", "http.receivepack", "true"], check=True)
        server = start_upstream("forge.test")
        server.otherwise = gitweb.handler(bare.parent)
        proxy = start_proxy(routes=[{"host": "forge.test", "auth_scheme": "Basic", "token_env": "EGRESS_PROXY_TOKEN_0"}],
                            upstreams=[server], tokens={0: f"x-access-token:{TOKEN}"})
        environment.update(HTTPS_PROXY=proxy.url, https_proxy=proxy.url)
        server.bare, server.work, server.proxy = bare, work, proxy
        return server

    @pytest.mark.parametrize("protocol", ["0", "2"])
    def test_clone_and_fetch(self, run, forge, tmp_path, protocol):
        run("git", "-c", f"protocol.version={protocol}", "clone", "-q", "https://forge.test/repo.git", tmp_path / "c")
        assert (tmp_path / "c" / "file3").read_bytes() == (forge.work / "file3").read_bytes()
        run("git", "-C", tmp_path / "c", "-c", f"protocol.version={protocol}", "fetch", "-q")
        assert all(r.get("authorization", "").startswith("Basic ") for r in forge.requests)

    def test_push_is_refused(self, run, forge, tmp_path):
        run("git", "clone", "-q", "https://forge.test/repo.git", tmp_path / "c")
        before = subprocess.check_output(["git", "-C", forge.bare, "rev-parse", "main"])
        seen = len(forge.requests)
        run("git", "-C", tmp_path / "c", "-c", "user.name=T", "-c", "user.email=t@x.test", "commit", "-q",
            "--allow-empty", "-m", "second")
        run("git", "-C", tmp_path / "c", "push", "-q", "origin", "HEAD:main", code=128)
        assert len(forge.requests) == seen
        assert subprocess.check_output(["git", "-C", forge.bare, "rev-parse", "main"]) == before
        forge.proxy.wait_event(verdict="block", reason="git-push-blocked")


NODE_GET = """
// An https.request through CONNECT, as proxy-agent packages do it.
const http = require("http"), tls = require("tls"), https = require("https");
const proxy = new URL(process.env.HTTPS_PROXY), url = new URL(process.argv[2]);
http.request({host: proxy.hostname, port: proxy.port, method: "CONNECT", path: url.hostname + ":443",
              headers: {host: url.hostname + ":443"}})
  .on("connect", (answer, socket) => {
    if (answer.statusCode !== 200) throw new Error("CONNECT " + answer.statusCode);
    const agent = new https.Agent();
    agent.createConnection = () => tls.connect({socket, servername: url.hostname, ALPNProtocols: ["http/1.1"]});
    const request = https.request(url, {method: process.argv[3], agent}, response => {
        let body = "";
        response.on("data", piece => body += piece);
        response.on("end", () => console.log(JSON.stringify({status: response.statusCode, headers: response.headers,
          trailers: response.trailers, authorized: response.socket.authorized, body})));
      });
    request.end(process.argv[4]);
  }).on("error", e => { throw e; }).end();
"""


class TestNode:
    @pytest.fixture
    def get(self, run, tmp_path, require):
        require("node")
        script = tmp_path / "get.js"
        script.write_text(NODE_GET)
        return lambda url, method="GET", *body: json.loads(run("node", script, url, method, *body))

    def test_get(self, get, api):
        answer = get("https://api.test/echo")
        assert answer["status"] == 200 and answer["authorized"]
        assert_credential_arrived(api)

    def test_post(self, get, api):
        seen = json.loads(get("https://api.test/echo", "POST", "x" * 100_000)["body"])
        assert seen["length"] == 100_000

    def test_trailers(self, get):
        answer = get("https://api.test/chunked")
        assert answer["body"] == "one two three" and answer["trailers"] == {"x-sum": "13", "x-done": "yes"}

    def test_refusal(self, get):
        answer = get("https://evil.example/")
        assert answer["status"] == 403 and answer["headers"]["bottle-block-reason"] == "host-not-allowed"


PYTHON = {
    "urllib": """
        import sys, urllib.request
        print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())
    """,
    "http.client": """
        import http.client, os, ssl, sys, urllib.parse
        proxy, url = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"]), urllib.parse.urlsplit(sys.argv[1])
        c = http.client.HTTPSConnection(proxy.hostname, proxy.port, timeout=20, context=ssl.create_default_context())
        c.set_tunnel(url.hostname, 443)
        for _ in range(2):
            c.request("GET", url.path)
            body = c.getresponse().read()
        print(body.decode())
    """,
    "requests": """
        import requests, sys
        with requests.Session() as s:
            for _ in range(2):
                r = s.get(sys.argv[1], timeout=20)
                r.raise_for_status()
        print(r.text)
    """,
}


class TestPython:
    @pytest.mark.parametrize("library, count", [("urllib", 1), ("http.client", 2), ("requests", 2)])
    def test_get(self, run, api, library, count):
        out = run("/usr/bin/python3", "-c", textwrap.dedent(PYTHON[library]), "https://api.test/echo")
        assert json.loads(out)["method"] == "GET"
        assert_credential_arrived(api, count)

    def test_refusal_is_an_http_error_with_its_reason(self, run):
        script = """
            import sys, urllib.request, urllib.error
            try:
                urllib.request.urlopen(sys.argv[1], timeout=20)
            except urllib.error.HTTPError as e:
                print(e.code, e.headers["Bottle-Block-Reason"])
        """
        out = run("/usr/bin/python3", "-c", textwrap.dedent(script), "https://evil.example/")
        assert out.strip() == "403 host-not-allowed"

"""Command-line clients through the proxy, as an agent runs them: interception, credentials, refusals."""

import hashlib
import json
import os
import random
import subprocess

import pytest

from support import gitweb
from support.agent import assert_injected

TOKEN = "correct-horse-battery-staple"
CREDENTIAL = f"Bearer {TOKEN}"
AUTH = {"host": "api.test", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0",
        "path_allowlist": ["/echo", "/download", "/chunked", "/hints", "/redirect", "/file"]}


@pytest.fixture
def api(start_upstream):
    return start_upstream("api.test")


@pytest.fixture
def proxy(start_proxy, api):
    return start_proxy(routes=[AUTH], upstreams=[api], tokens={0: TOKEN})


@pytest.fixture
def run(agent):
    return agent.run


class TestCurl:
    def test_get(self, run, api, require):
        require("curl")
        seen = json.loads(run("curl", "-sS", "--fail", "https://api.test/echo?a=b"))
        assert seen["target"] == "/echo?a=b"
        assert_injected(api, CREDENTIAL)

    def test_own_authorization_does_not_leave(self, run, api):
        run("curl", "-sS", "--fail", "-u", "me:mine", "-H", "x-api-key: mine", "-b", "s=mine", "https://api.test/echo")
        assert_injected(api, CREDENTIAL)
        assert not api.requests[0].get("x-api-key") and not api.requests[0].get("cookie")

    def test_proxy_credentials_are_ignored(self, run, api):
        run("curl", "-sS", "--fail", "--proxy-user", "me:mine", "https://api.test/echo")
        assert_injected(api, CREDENTIAL)
        assert not api.requests[0].get("proxy-authorization")

    @pytest.mark.parametrize("version", ["--tlsv1.2 --tls-max 1.2", "--tlsv1.3"])
    def test_tls_versions(self, run, api, version):
        run("curl", "-sS", "--fail", *version.split(), "https://api.test/echo")
        assert_injected(api, CREDENTIAL)

    @pytest.mark.parametrize("how", [["-T", "-"], ["--data-binary", "@-"], ["--data-binary", "@-", "-H", "Expect: 100-continue"]])
    def test_upload(self, run, api, how):
        data = os.urandom(3_000_000)
        seen = json.loads(run("curl", "-sS", "--fail", *how, "https://api.test/echo", input=data, text=False))
        assert seen["length"] == len(data) and seen["sha256"] == hashlib.sha256(data).hexdigest()
        assert_injected(api, CREDENTIAL)

    def test_download(self, run, api):
        data = run("curl", "-sS", "--fail", "https://api.test/download/5000001", text=False)
        again = run("curl", "-sS", "--fail", "https://api.test/download/5000001", text=False)
        assert len(data) == 5000001 and data == again

    def test_head(self, run, api):
        out = run("curl", "-sS", "--fail", "--http1.1", "-I", "https://api.test/echo")
        assert "200 OK" in out
        assert api.requests[0].method == "HEAD"

    @pytest.mark.parametrize("version", ["--http1.1", "--http2"])
    def test_resume(self, agent, api, version):
        """A download that breaks off fails, and goes on where it was."""
        whole = random.Random(1).randbytes(1_000_000)

        def serve(x):
            if start := x.request.get("range"):
                first = int(start.removeprefix("bytes=").removesuffix("-"))
                x.respond(206, "Partial Content", [("Content-Range", f"bytes {first}-999999/1000000")], whole[first:])
            else:
                x.head(headers=[("Content-Length", len(whole)), ("Accept-Ranges", "bytes")])
                x.send(whole[:400_000])
                x.close()

        api.on("/file", serve)
        fetch = ["curl", "-sS", "--fail", version, "-o", "file", "-C", "-", "https://api.test/file"]
        assert agent.call(*fetch).returncode in (18, 56, 92)
        assert 0 < (agent.home / "file").stat().st_size < len(whole)
        agent.run(*fetch)
        assert (agent.home / "file").read_bytes() == whole

    def test_two_requests_one_connection(self, run, api):
        out = run("curl", "-sS", "--fail", "-w", "%{num_connects} ", "-o", "/dev/null", "https://api.test/echo",
                  "-o", "/dev/null", "https://api.test/echo")
        assert out == "1 0 "
        assert_injected(api, CREDENTIAL, 2)

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


class TestWget:
    """Debian's is built with GnuTLS, which has no variable for its trust: in a bottle the system's own bundle does."""

    @pytest.fixture
    def wget(self, agent, require):
        require("wget")
        return lambda *argv, **more: agent.run("wget", "-q", "-O", "-", "--ca-certificate", agent.ca_cert, *argv, **more)

    def test_get(self, wget, api, proxy):
        assert json.loads(wget("https://api.test/echo?a=b"))["target"] == "/echo?a=b"
        assert_injected(api, CREDENTIAL)
        proxy.wait_event(verdict="allow", host="api.test", path="/echo", status=200)

    def test_upload(self, wget, agent, api):
        data = os.urandom(3_000_000)
        (agent.home / "data").write_bytes(data)
        assert json.loads(wget("--post-file=data", "https://api.test/echo"))["sha256"] == hashlib.sha256(data).hexdigest()

    def test_resume(self, wget, agent, api):
        """wget itself goes on after a cut connection."""
        whole = random.Random(2).randbytes(300_000)

        def serve(x):
            first = int((x.request.get("range") or "bytes=0-")[6:-1])
            if first:
                x.respond(206, "Partial Content", [("Content-Range", f"bytes {first}-299999/300000")], whole[first:])
            else:
                x.head(headers=[("Content-Length", len(whole)), ("Accept-Ranges", "bytes")])
                x.send(whole[:100_000])
                x.close()

        api.on("/file", serve)
        wget("--tries=3", "--waitretry=0", "-O", "file", "https://api.test/file")
        assert (agent.home / "file").read_bytes() == whole

    def test_refusal(self, wget, proxy):
        out = wget("--content-on-error", "https://evil.example/", code=8)
        assert json.loads(out)["error"]["reason"] == "host-not-allowed"
        proxy.wait_event(verdict="block", reason="host-not-allowed", host="evil.example")


class TestOpenssl:
    """A TLS library by itself: one version each, the chain and the name verified strictly."""

    @pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
    @pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
    def test_handshake(self, agent, api, proxy, require, version, protocol):
        out = agent.run(require("openssl"), "s_client", "-proxy", "%s:%d" % proxy.address, "-connect", "api.test:443",
                        "-servername", "api.test", "-verify_return_error", "-verify_hostname", "api.test", "-x509_strict",
                        "-CAfile", agent.ca_cert, "-alpn", protocol, version)
        assert f"ALPN protocol: {protocol}" in out and "Verify return code: 0 (ok)" in out
        assert {"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}[version] in out

    @pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
    def test_old_versions_are_refused(self, agent, proxy, require, version):
        done = agent.call(require("openssl"), "s_client", "-proxy", "%s:%d" % proxy.address, "-connect", "api.test:443",
                          "-cipher", "DEFAULT@SECLEVEL=0", version)
        assert done.returncode == 1 and "protocol version" in done.stderr


class TestGit:
    @pytest.fixture
    def forge(self, tmp_path, start_upstream, require):
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
        server.bare, server.work = bare, work
        return server

    @pytest.fixture
    def proxy(self, start_proxy, forge):
        return start_proxy(routes=[{"host": "forge.test", "auth_scheme": "Basic", "token_env": "EGRESS_PROXY_TOKEN_0"}],
                           upstreams=[forge], tokens={0: f"x-access-token:{TOKEN}"})

    @pytest.mark.parametrize("protocol", ["0", "2"])
    def test_clone_and_fetch(self, run, forge, tmp_path, protocol):
        run("git", "-c", f"protocol.version={protocol}", "clone", "-q", "https://forge.test/repo.git", tmp_path / "c")
        assert (tmp_path / "c" / "file3").read_bytes() == (forge.work / "file3").read_bytes()
        run("git", "-C", tmp_path / "c", "-c", f"protocol.version={protocol}", "fetch", "-q")
        assert all(r.get("authorization", "").startswith("Basic ") for r in forge.requests)

    def test_push_is_refused(self, run, forge, proxy, tmp_path):
        run("git", "clone", "-q", "https://forge.test/repo.git", tmp_path / "c")
        before = subprocess.check_output(["git", "-C", forge.bare, "rev-parse", "main"])
        seen = len(forge.requests)
        run("git", "-C", tmp_path / "c", "-c", "user.name=T", "-c", "user.email=t@x.test", "commit", "-q",
            "--allow-empty", "-m", "second")
        run("git", "-C", tmp_path / "c", "push", "-q", "origin", "HEAD:main", code=128)
        assert len(forge.requests) == seen
        assert subprocess.check_output(["git", "-C", forge.bare, "rev-parse", "main"]) == before
        proxy.wait_event(verdict="block", reason="git-push-blocked")

    def test_refusal(self, agent, proxy, tmp_path):
        done = agent.call("git", "clone", "-q", "https://evil.example/repo.git", tmp_path / "c")
        assert done.returncode == 128 and "The requested URL returned error: 403" in done.stderr
        agent.env["GIT_CURL_VERBOSE"] = "1"
        done = agent.call("git", "clone", "-q", "https://evil.example/repo.git", tmp_path / "c")
        assert "bottle-block-reason: host-not-allowed" in done.stderr.lower()

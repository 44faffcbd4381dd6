"""Reverse mounts: plain http to the proxy itself, for clients that know neither proxies nor its CA.

The wire of it is in tests/cases/mounts, the model SDKs in test_clients_sdk.py.
"""

import asyncio
import hashlib
import json
import os
import subprocess
import threading

import pytest

from support import certs, npmjs, websocket
from support.agent import assert_injected

TOKEN = "correct-horse-battery-staple"
CREDENTIAL = f"Bearer {TOKEN}"


def route(host, **more):
    return {"host": host, "mount": "/api", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"} | more


@pytest.fixture(params=["h1", "h2"])
def api(request):
    """Upstreams of either protocol: what the client speaks to the mount is HTTP/1.1 anyway."""
    start = request.getfixturevalue("start_upstream" if request.param == "h1" else "start_h2")
    return start("api.test")


@pytest.fixture
def h1(start_upstream):
    return start_upstream("api.test")


@pytest.fixture
def h1_proxy(start_proxy, h1):
    return start_proxy(routes=[route("api.test")], upstreams=[h1], tokens={0: TOKEN})


@pytest.fixture
def proxy(start_proxy, api):
    return start_proxy(routes=[route("api.test")], upstreams=[api], tokens={0: TOKEN})


def unaware(agent):
    """A client that knows no proxy and trusts no CA of ours."""
    for name in list(agent.env):
        if name.lower().endswith("_proxy") or agent.env[name] == agent.ca_cert:
            del agent.env[name]
    return agent


@pytest.fixture
def curl(agent, require):
    require("curl")
    unaware(agent)
    return lambda *argv, **more: agent.run("curl", "-sS", *argv, **more)


@pytest.fixture
def h1_curl(agent_of, h1_proxy, require):
    require("curl")
    agent = unaware(agent_of(h1_proxy))
    return lambda *argv, **more: agent.run("curl", "-sS", *argv, **more)


class TestCurl:
    def test_get(self, curl, proxy, api):
        seen = json.loads(curl("--fail", "-H", "Authorization: Bearer mine", f"{proxy.url}/api/echo?a=b"))
        host = [value for name, value in seen["headers"] if name.lower() in ("host", ":authority")]
        assert host == ["api.test"]
        assert_injected(api, CREDENTIAL)
        proxy.wait_event(verdict="allow", host="api.test", path="/echo", status=200, credential="EGRESS_PROXY_TOKEN_0")

    @pytest.mark.parametrize("how", [["-T", "-"], ["--data-binary", "@-", "-H", "Expect: 100-continue"]])
    def test_upload(self, curl, proxy, api, how):
        data = os.urandom(3_000_000)
        seen = json.loads(curl("--fail", *how, f"{proxy.url}/api/echo", input=data, text=False))
        assert (seen["length"], seen["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())

    def test_download(self, curl, proxy, api):
        first = curl("--fail", f"{proxy.url}/api/download/5000001", text=False)
        assert len(first) == 5_000_001 and first == curl("--fail", f"{proxy.url}/api/download/5000001", text=False)

    @pytest.mark.parametrize("location", ["https://api.test/echo?a=b", "/echo?a=b"])
    def test_redirect_is_followed_through_the_mount(self, h1_curl, h1_proxy, h1, location):
        h1.on("/moved", lambda x: x.respond(307, "Temporary Redirect", [("Location", location)]))
        out = h1_curl("--fail", "-L", "-w", "\n%{url_effective}", f"{h1_proxy.url}/api/moved")
        body, _, url = out.rpartition("\n")
        assert json.loads(body)["target"] == "/echo?a=b" and url == f"{h1_proxy.url}/api/echo?a=b"
        assert_injected(h1, CREDENTIAL, 2)

    def test_events_come_at_once(self, agent_of, h1_proxy, h1):
        """The second event is sent when the client has the first."""
        read = threading.Event()

        def serve(x):
            x.head(headers=[("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])
            x.chunk(b"data: one\n\n")
            assert read.wait(20)
            x.chunk(b"data: two\n\n")
            x.end_chunks()

        h1.on("/events", serve)
        with subprocess.Popen(["curl", "-sSN", f"{h1_proxy.url}/api/events"], stdout=subprocess.PIPE,
                              env=unaware(agent_of(h1_proxy)).env) as process:
            assert process.stdout.readline() == b"data: one\n"
            read.set()
            assert process.stdout.read() == b"\ndata: two\n\n"

    @pytest.mark.parametrize("name", ["egress-proxy", "egress-proxy:9099", "localhost:1234"])
    def test_by_name(self, h1_curl, h1_proxy, h1, name):
        assert json.loads(h1_curl("--fail", "-H", f"Host: {name}", f"{h1_proxy.url}/api/echo"))["target"] == "/echo"

    def test_absolute_form(self, h1_curl, h1_proxy, h1):
        """A client that does know the proxy asks it for the proxy's own name."""
        seen = json.loads(h1_curl("--fail", "-x", h1_proxy.url, "http://egress-proxy:9099/api/echo"))
        assert seen["target"] == "/echo"
        assert_injected(h1, CREDENTIAL)

    @pytest.mark.parametrize("argv, status, reason", [
        (["-H", "Origin: https://evil.example"], 403, "host-not-allowed"),
        (["-H", "Origin: null"], 403, "host-not-allowed"),
        (["-H", "Host: evil.example"], 400, "bad-request"),
        (["-H", "Host: api.test"], 400, "bad-request"),
        (["-H", "Host: 127.0.0.2"], 400, "bad-request"),
    ])
    def test_refused(self, h1_curl, h1_proxy, h1, argv, status, reason):
        out = h1_curl("-w", " %{http_code}", *argv, f"{h1_proxy.url}/api/echo")
        assert out.endswith(f" {status}") and json.loads(out.removesuffix(f" {status}"))["error"]["reason"] == reason
        assert not h1.connections

    def test_rules_hold(self, h1_curl, h1, start_proxy):
        proxy = start_proxy(routes=[route("api.test", path_allowlist=["/v1"], methods=["GET"])], upstreams=[h1],
                            tokens={0: TOKEN})
        for argv, path, reason in (([], "/api/v2", "path-not-allowed"), (["-d", "x"], "/api/v1", "method-not-allowed"),
                                   ([], "/api/v1/git-receive-pack", "git-push-blocked"), ([], "/v1", "host-not-allowed")):
            assert json.loads(h1_curl(*argv, proxy.url + path))["error"]["reason"] == reason
        assert not h1.connections


class TestWebsocket:
    @pytest.fixture
    def server(self, pki, tmp_path):
        with websocket.Server(certs.make("valid", pki.root, "ws.test"), tmp_path) as server:
            yield server

    @pytest.fixture
    def proxy(self, start_proxy, server):
        return start_proxy(routes=[route("ws.test")], resolve={"ws.test": server.host}, tokens={0: TOKEN})

    def talk(self, proxy, **more):
        import websockets

        async def run():
            url = proxy.url.replace("http:", "ws:") + "/api/socket"
            async with websockets.connect(url, ping_interval=None, **more) as ws:
                await ws.send("héllo")
                return await ws.recv()

        return asyncio.run(asyncio.wait_for(run(), 20))

    def test_messages(self, proxy, server):
        assert self.talk(proxy, extra_headers={"Authorization": "Bearer mine"}) == "héllo"
        assert (server.requests[0].path, server.requests[0].all("authorization")) == ("/socket", [CREDENTIAL])
        assert server.requests[0].all("host") == ["ws.test"]

    def test_no_web_page(self, proxy, server):
        import websockets

        with pytest.raises(websockets.InvalidStatusCode) as refused:
            self.talk(proxy, origin="https://evil.example")
        assert refused.value.status_code == 403 and not server.requests


class TestNpm:
    """npm finds a package's tarball by the URL in its document, which names the registry's own host. npm replaces that
    host by its configured registry for the default registry, or the host that replace-registry-host names; without
    that it goes to the host itself, which needs the proxy variables as ever."""

    @pytest.fixture
    def registry(self, start_upstream, require):
        require("npm")
        server = start_upstream("registry.test")
        npmjs.publish(server, "https://registry.test", {"left": b"left", "@some/right": b"right"})
        return server

    @pytest.fixture
    def proxy(self, start_proxy, registry):
        # A scope's documents are asked for with an encoded slash, its tarballs with a plain one.
        paths = ["/left", "/@some/", "/@some%2f"]
        return start_proxy(routes=[route("registry.test", path_allowlist=paths)], upstreams=[registry], tokens={0: TOKEN})

    def check(self, agent, registry):
        assert (agent.home / "node_modules/left/payload").read_bytes() == b"left"
        assert (agent.home / "node_modules/@some/right/payload").read_bytes() == b"right"
        assert_injected(registry, CREDENTIAL, 4)

    @pytest.mark.parametrize("slash", ["", "/"])
    def test_install(self, agent, proxy, registry, slash):
        npm = npmjs.client(unaware(agent), f"{proxy.url}/api{slash}")
        npm("install", "--replace-registry-host=registry.test", "left", "@some/right")
        self.check(agent, registry)

    def test_tarballs_by_the_proxy(self, agent, proxy, registry):
        npmjs.client(agent, f"{proxy.url}/api/")("install", "left", "@some/right")
        self.check(agent, registry)

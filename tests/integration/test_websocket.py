"""WebSocket through interception: real clients and servers, both protocols at the client's side, hand-made peers."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import textwrap
import threading

import pytest

from support import certs, client, forward, http1, http2, paths, upstream, websocket
from support.halves import Halves
from support.websocket import BINARY, CLOSE, KEY, TEXT, frame, handshake, read_frame

TOKEN = "correct-horse-battery-staple"
ROUTES = [{"host": "api.test"},
          {"host": "secret.test", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"}]
WAIT = 10
# What one stalled WebSocket may hold. (AddressSanitizer keeps what was freed.)
GROWTH_KIB = 4 * 1024 if paths.BUILD.name != "asan" else float("inf")


@pytest.fixture
def start_server(pki, tmp_path):
    """A real server of WebSocket."""
    running = []

    def start(name="api.test", tls=True, **options):
        identity = certs.make("valid", pki.root, name) if tls else None
        server = websocket.Server(identity, tmp_path, port=443 if tls else 80, **options)
        server.name = name
        server.__enter__()
        running.append(server)
        return server

    yield start
    for server in running:
        server.__exit__(None, None, None)


@pytest.fixture
def server(start_server):
    return start_server()


@pytest.fixture
def proxy_for(start_proxy):
    return lambda *upstreams, **more: start_proxy(routes=ROUTES, upstreams=upstreams, tokens={0: TOKEN}, **more)


@pytest.fixture
def proxy(proxy_for, server):
    return proxy_for(server)


def tunnel_socket(proxy, authority):
    wire = client.connect(proxy.address)
    client.open_tunnel(wire, authority)
    wire.sock.settimeout(None)
    return wire.sock


@pytest.fixture
def talk(pki):
    """talk(proxy, what, url): runs what(socket) with a connection of python3-websockets."""
    import websockets

    def talk(proxy, what, url="wss://api.test/ws", **options):
        host = url.split("/")[2]
        tls = {"ssl": client.tls_context(pki.bottle_cert), "server_hostname": host} if url.startswith("wss:") else {}

        async def run():
            sock = tunnel_socket(proxy, f"{host}:{443 if tls else 80}")
            async with websockets.connect(url, sock=sock, max_size=None, ping_interval=None, **tls, **options) as ws:
                return await what(ws)

        return asyncio.run(asyncio.wait_for(run(), 50))

    return talk


# --- a real client, a real server ------------------------------------------------------------------------------------


def test_messages(talk, proxy, server):
    async def what(ws):
        await ws.send("héllo")
        await ws.send(b"\0\1\2")
        await ws.send("")
        return [await ws.recv() for _ in range(3)]

    assert talk(proxy, what) == ["héllo", b"\0\1\2", ""]
    assert server.wait_close() == (1000, "")
    event = proxy.wait_event(event="request", path="/ws")
    assert (event["verdict"], event["method"], event["status"]) == ("allow", "GET", 101)
    assert event["bytes_in"] > 0 and event["bytes_out"] > 0


def test_plain(talk, start_server, proxy_for):
    server = start_server(tls=False)

    async def what(ws):
        await ws.send("plain")
        return await ws.recv()

    assert talk(proxy_for(server), what, "ws://api.test/ws") == "plain"


def test_compressed_messages(talk, proxy, server):
    """permessage-deflate is between the two ends: what it makes small stays small on both sides."""
    message = "again and again " * 65536

    async def what(ws):
        assert [e.name for e in ws.extensions] == ["permessage-deflate"]
        await ws.send(message)
        return await ws.recv()

    assert talk(proxy, what) == message
    event = proxy.wait_event(event="request", path="/ws")
    assert event["bytes_in"] < 20_000 and event["bytes_out"] < 20_000


def test_large_message(talk, proxy):
    data = os.urandom(16 << 20)

    async def what(ws):
        sending = asyncio.ensure_future(ws.send(data))
        echoed = await ws.recv()
        await sending
        return hashlib.sha256(echoed).hexdigest()

    assert talk(proxy, what, compression=None) == hashlib.sha256(data).hexdigest()
    event = proxy.wait_event(event="request", path="/ws")
    assert event["bytes_in"] > len(data) and event["bytes_out"] > len(data)


def test_pings_of_both_sides(talk, proxy):
    async def what(ws):
        await (await ws.ping(b"are you there"))
        await ws.send("ping")
        return await ws.recv()

    assert talk(proxy, what) == "ponged"


def test_the_server_closes(talk, proxy, server):
    import websockets

    async def what(ws):
        await ws.send("bye")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await ws.recv()
        return closed.value.rcvd.code, closed.value.rcvd.reason

    assert talk(proxy, what) == (4321, "as you wish")
    assert server.wait_close() == (4321, "as you wish")
    assert proxy.wait_event(event="request", path="/ws")["verdict"] == "allow"


def test_the_client_closes(talk, proxy, server):
    async def what(ws):
        await ws.close(4000, "enough")

    talk(proxy, what)
    assert server.wait_close() == (4000, "enough")
    assert proxy.wait_event(event="request", path="/ws")["verdict"] == "allow"


def test_credential(talk, start_server, proxy_for):
    """Injected at the handshake; what comes back is blotted out, for which compression is not offered."""
    server = start_server("secret.test")

    async def what(ws):
        assert not ws.extensions
        for message in (f"it is {TOKEN}!", f"it ends with {TOKEN[:7]}", TOKEN[7:], "nothing"):
            await ws.send(message)
        return [await ws.recv() for _ in range(4)]

    proxy = proxy_for(server)
    assert talk(proxy, what, "wss://secret.test/ws", extra_headers={"Authorization": "Bearer mine"}) == [
        f"it is {'*' * len(TOKEN)}!", f"it ends with {TOKEN[:7]}", TOKEN[7:], "nothing"]
    assert server.requests[0].all("authorization") == [f"Bearer {TOKEN}"]
    assert server.requests[0].get("sec-websocket-extensions") is None
    event = proxy.wait_event(event="request", path="/ws")
    assert (event["credential"], event["masked"]) == ("EGRESS_PROXY_TOKEN_0", 1)


def test_subprotocol(talk, start_server, proxy_for):
    async def what(ws):
        return ws.subprotocol

    proxy = proxy_for(start_server(subprotocols=["chat"]))
    assert talk(proxy, what, subprotocols=["other", "chat"]) == "chat"


@pytest.mark.parametrize("tls", [True, False])
def test_through_a_gate(talk, start_server, proxy_for, tls):
    """By CONNECT in either case (RFC 6455 4.1)."""
    server = start_server(tls=tls)
    port = 443 if tls else 80
    with forward.ForwardProxy({("api.test", port): (server.host, port)}) as gate:
        proxy = proxy_for(env={"EGRESS_PROXY_UPSTREAM_PROXY": gate.url})

        async def what(ws):
            await ws.send("hello")
            return await ws.recv()

        assert talk(proxy, what, f"ws{'s' * tls}://api.test/ws") == "hello"
        assert [r.start for r in gate.requests] == [f"CONNECT api.test:{port} HTTP/1.1"]


NODE = """
    const http = require("http"), https = require("https"), tls = require("tls"), fs = require("fs");
    const WebSocket = require("ws");
    const [proxy, ca] = process.argv.slice(1);
    class Tunnel extends https.Agent {
        createConnection(options, done) {
            const { hostname, port } = new URL(proxy);
            http.request({ hostname, port, method: "CONNECT", path: "api.test:443" }).on("connect", (_, socket) => {
                const secure = tls.connect({ socket, servername: "api.test", ca: fs.readFileSync(ca) },
                                           () => done(null, secure));
            }).end();
        }
    }
    const ws = new WebSocket("wss://api.test/ws", { agent: new Tunnel() });
    const big = "x".repeat(300000), got = [];
    ws.on("open", () => { ws.send("one"); ws.send(Buffer.from([1, 2, 3])); ws.send(big); ws.send("bye"); });
    ws.on("message", (data, binary) => got.push(binary ? [...data] : data.toString()));
    ws.on("error", (e) => { console.error(e); process.exit(1); });
    ws.on("close", (code, reason) => console.log(JSON.stringify(
        [got[0], got[1], got[2] === big, code, reason.toString(), ws.extensions])));
"""


def test_node(proxy, server, pki, require):
    require("node")
    done = subprocess.run(["node", "-e", textwrap.dedent(NODE), proxy.url, pki.bottle_cert], capture_output=True, text=True,
                          timeout=40, env=os.environ | {"NODE_PATH": "/usr/share/nodejs"})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[:5] == ["one", [1, 2, 3], True, 4321, "as you wish"]
    assert json.loads(done.stdout)[5] == "permessage-deflate"


# Chromium gives up what it has under way when a network interface of the machine comes or goes (a container's, say):
# then the page begins again.
PAGE = b"""<!doctype html><script>
const talk = () => new Promise(done => {
  const ws = new WebSocket("wss://api.test/ws"), got = [];
  ws.onopen = () => { ws.send("from a page"); ws.send("x".repeat(100000)); };
  ws.onmessage = e => { if (got.push(e.data) === 2) ws.close(4001, "done"); };
  ws.onclose = e => done([got[0], got[1] && got[1].length, e.code, e.wasClean]);
});
async function all() {
  let out;
  for (let times = 5; times-- && !(out && out[3]);) {
    await fetch("/echo").catch(() => 0);
    out = await talk();
  }
  return out;
}
all().then(out => fetch("/report?" + out));
</script>"""


def test_chromium(start_upstream, proxy_for, require, tmp_path):
    """The page comes over HTTP/2, so its WebSocket is an extended CONNECT on the same connection."""
    chromium = require("chromium")
    reported = threading.Event()

    def serve(x):
        # HTTP/2 spells it so, the browser's HTTP/1.1 does not.
        if "user-agent" in dict(x.request.headers):
            websocket.echo(x)
        else:
            x.respond(403)

    api = start_upstream("api.test")
    api.on("/page", lambda x: x.respond(headers=[("Content-Type", "text/html")], body=PAGE))
    api.on("/ws", serve)
    api.on("/report", lambda x: (x.respond(204), reported.set()))
    proxy = proxy_for(api)
    browser = subprocess.Popen(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile", "--no-first-run",
         "--ignore-certificate-errors", f"--proxy-server={proxy.url}", "--remote-debugging-port=0", "https://api.test/page"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"HOME": str(tmp_path)})
    try:
        assert reported.wait(40)
    finally:
        browser.terminate()
        browser.wait(WAIT)
    report = next(r for r in api.requests if r.path == "/report")
    assert report.target == "/report?from%20a%20page,100000,4001,true"
    proxy.wait_event(event="request", path="/ws", verdict="allow", status=101)


# --- by hand, HTTP/1.1 -----------------------------------------------------------------------------------------------


@pytest.fixture
def api(start_upstream):
    api = start_upstream("api.test")
    api.on("/ws", websocket.echo)
    return api


@pytest.fixture
def plain(start_upstream):
    """Without TLS one direction can be ended by hand."""
    plain = start_upstream("api.test", tls=False)
    plain.on("/ws", websocket.echo)
    return plain


def open_plain(proxy, path="/ws"):
    wire = client.connect(proxy.address)
    client.open_tunnel(wire, "api.test:80")
    answer = client.request(wire, handshake("api.test", path))
    assert answer.status == 101
    return wire


def test_heads(proxy_for, api, pki):
    """Key, answer and offers are the client's and the server's own; what surrounds them is ours."""
    proxy = proxy_for(api)
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    answer = client.request(wire, handshake("api.test", headers=[("Origin", "https://a"), ("Cookie", "a=b"),
                                                                 ("Sec-WebSocket-Extensions", "permessage-deflate; x")]))
    assert answer.start == "HTTP/1.1 101 Switching Protocols"
    assert sorted((n.lower(), v) for n, v in answer.headers) == [
        ("connection", "upgrade"), ("sec-websocket-accept", websocket.accept_key(KEY)), ("upgrade", "websocket")]
    request = api.requests[0]
    assert request.get("sec-websocket-key") == KEY and request.get("sec-websocket-extensions") == "permessage-deflate; x"
    assert request.get("origin") == "https://a" and request.get("cookie") == "a=b"
    assert request.all("connection") == ["upgrade"] and request.all("upgrade") == ["websocket"]
    wire.close()


def test_an_upstream_that_prefers_http2(proxy_for, start_upstream, pki, tmp_path):
    """It is asked for HTTP/1.1 only, which has an Upgrade; as browsers do."""
    context = upstream.server_context(certs.make("valid", pki.root, "api.test"), tmp_path)
    context.set_alpn_protocols(["h2", "http/1.1"])
    api = start_upstream("api.test", context=context)
    api.on("/ws", websocket.echo)
    wire = client.tunnel(proxy_for(api).address, "api.test:443", pki.bottle_cert)
    assert client.request(wire, handshake("api.test")).status == 101
    wire.send(frame(b"hello", masked=True))
    assert read_frame(wire) == (TEXT, b"hello")
    wire.close()


def test_client_ends_first(proxy_for, plain):
    """The other direction goes on."""
    def serve(x):
        websocket.switch(x)
        assert x.wire.read_all() == b"last words"
        x.send(frame(b"heard"))
        x.close()

    plain.on("/ws", serve)
    wire = open_plain(proxy_for(plain))
    wire.send(b"last words")
    wire.finish()
    assert read_frame(wire) == (TEXT, b"heard")
    assert wire.at_end()
    wire.close()
    assert not plain.errors


def test_server_ends_first(proxy_for, plain):
    got = []

    def serve(x):
        websocket.switch(x)
        x.send(frame(b"that is all"))
        x.wire.finish()
        got.append(x.wire.read_all())

    plain.on("/ws", serve)
    proxy = proxy_for(plain)
    wire = open_plain(proxy)
    assert read_frame(wire) == (TEXT, b"that is all")
    assert wire.at_end()
    wire.send(b"one more")
    wire.send(b" thing")
    wire.close()
    proxy.wait_event(event="request", path="/ws", verdict="allow", bytes_in=14)
    for thread in plain._threads:
        thread.join(WAIT)
    assert got == [b"one more thing"] and not plain.errors


def test_last_words_of_the_client(start_proxy, pki, tmp_path):
    """They come in one piece with the end, after the server has ended: nothing is left to keep the exchange open."""
    context = upstream.server_context(certs.make("valid", pki.root, "api.test"), tmp_path)
    got, heard = [], threading.Event()

    def serve(wire, _):
        tls = Halves(wire, context, server_side=True)
        head = tls.read_until(b"\r\n\r\n")
        assert KEY.encode() in head
        tls.write(b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                  b"Sec-WebSocket-Accept: %s\r\n\r\n" % websocket.accept_key(KEY).encode())
        tls.end()
        tls.flush()
        got.append(tls.read_all())
        heard.set()

    with upstream.RawServer(serve, host=upstream.free_loopback(), port=443) as api:
        proxy = start_proxy(routes=ROUTES[:1], resolve={"api.test": api.host})
        wire = client.connect(proxy.address)
        client.open_tunnel(wire, "api.test:443")
        tls = Halves(wire, client.tls_context(pki.bottle_cert), server_hostname="api.test")
        tls.write(handshake("api.test"))
        assert tls.read_all().startswith(b"HTTP/1.1 101 ")
        tls.write(b"last words")
        tls.end()
        tls.flush()
        proxy.wait_event(event="request", path="/ws", verdict="allow", bytes_in=10)
        wire.close()
        heard.wait(WAIT)
    assert (got, api.errors) == ([b"last words"], [])


def test_a_server_that_just_goes(proxy_for, api, pki):
    """Many do not say close_notify; their last frame arrives all the same."""
    def serve(x):
        websocket.switch(x)
        x.send(frame(b"\x03\xe8", CLOSE))
        x.wire.finish()
        x.keep = False

    api.on("/ws", serve)
    proxy = proxy_for(api)
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    assert client.request(wire, handshake("api.test")).status == 101
    assert read_frame(wire) == (CLOSE, b"\x03\xe8")
    assert wire.at_end()
    wire.close()
    assert proxy.wait_event(event="request", path="/ws")["verdict"] == "allow"


def test_nothing_leaves_before_the_answer(proxy_for, plain):
    """What a client sends too early is kept until the upstream has switched."""
    go_on = threading.Event()
    early = []

    def serve(x):
        early.append(bytes(x.wire.buffer))
        assert go_on.wait(WAIT)
        websocket.echo(x)

    plain.on("/ws", serve)
    proxy = proxy_for(plain)
    wire = client.connect(proxy.address)
    client.open_tunnel(wire, "api.test:80")
    wire.send(handshake("api.test") + frame(b"early", masked=True))
    plain.wait_requests(1)
    go_on.set()
    assert http1.read_response(wire).status == 101
    assert read_frame(wire) == (TEXT, b"early")
    wire.close()
    assert early == [b""]


def test_early_bytes_are_no_request(proxy_for, plain):
    """An upstream that does not switch: what follows the handshake must not be taken for a request of the agent's."""
    plain.on("/ws", upstream.echo)
    proxy = proxy_for(plain)
    wire = client.connect(proxy.address)
    client.open_tunnel(wire, "api.test:80")
    wire.send(handshake("api.test") + b"GET /hidden HTTP/1.1\r\nHost: api.test\r\n\r\n")
    answer = http1.read_response(wire)
    assert answer.status == 200 and answer.get("connection") == "close"
    assert wire.at_end()
    wire.close()
    assert [r.path for r in plain.requests] == ["/ws"]


def test_rules_of_its_beginning(proxy_for, api, pki):
    """A table that is loaded later is for later handshakes."""
    proxy = proxy_for(api)
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    assert client.request(wire, handshake("api.test")).status == 101
    proxy.write_routes([{"host": "api.test", "path_allowlist": ["/other"]}])
    proxy.kill(signal.SIGHUP)
    proxy.wait_event(event="routes")
    wire.send(frame(b"still here", masked=True))
    assert read_frame(wire) == (TEXT, b"still here")
    other = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    assert client.request(other, handshake("api.test")).get("bottle-block-reason") == "path-not-allowed"
    other.close()
    wire.close()


def test_back_pressure(proxy_for, plain):
    """An upstream that does not read stops the client; the proxy's memory does not grow."""
    go_on = threading.Event()

    def serve(x):
        websocket.switch(x)
        assert go_on.wait(WAIT)
        x.send(b"%d" % len(x.wire.read_all()))
        x.close()

    plain.on("/ws", serve)
    proxy = proxy_for(plain)
    wire = open_plain(proxy)
    before, sent = proxy.status("VmRSS"), 0
    # All buffers on the way are full when nothing more has been taken for a second.
    wire.sock.settimeout(1)
    with pytest.raises(TimeoutError):
        while sent < 64 << 20:
            sent += wire.sock.send(bytes(65536))
    assert proxy.status("VmRSS") - before < GROWTH_KIB
    go_on.set()
    wire.sock.settimeout(WAIT)
    wire.finish()
    assert wire.read_all() == b"%d" % sent
    wire.close()


# --- by hand, HTTP/2 -------------------------------------------------------------------------------------------------


@pytest.fixture
def connect(pki):
    opened = []

    def connect(proxy, authority="api.test:443"):
        opened.append(http2.Client(proxy.address, authority, pki.bottle_cert))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def start(one, path="/ws", headers=(), protocol="websocket", end=False):
    """Extended CONNECT; the stream's number."""
    return one.start(path, "CONNECT", [(":protocol", protocol), ("sec-websocket-version", "13"), *headers], end=end)


def receive(one, stream, count):
    """Until so much of the body is here."""
    while len(one.streams[stream].body) < count:
        one.receive()
    return one.streams[stream].body


def test_h2(proxy_for, api, connect):
    proxy = proxy_for(api)
    one = connect(proxy)
    stream = start(one, headers=[("origin", "https://a"), ("sec-websocket-protocol", "chat"), ("sec-websocket-key", "x")])
    one.receive()
    assert one.h2.remote_settings.enable_connect_protocol == 1
    # Early, which RFC 8441 allows no more than RFC 6455.
    one.send_body(stream, frame(b"hello", masked=True), end=False)
    assert receive(one, stream, 7) == frame(b"hello")
    answer = one.streams[stream]
    assert answer.status == 200
    assert {n for n, _ in answer.headers} == {":status"}
    request = api.requests[0]
    assert request.start == "GET /ws HTTP/1.1" and request.get("host") == "api.test"
    assert request.all("upgrade") == ["websocket"] and request.get("origin") == "https://a"
    assert len(request.get("sec-websocket-key")) == 24 and request.get("sec-websocket-protocol") == "chat"
    assert request.get("transfer-encoding") is None
    # The connection has room for others meanwhile, and the end of one direction is not that of the other.
    assert one.get("/echo").status == 200
    one.send_body(stream, frame(b"last", masked=True))
    one.finish(stream)
    assert one.streams[stream].body.endswith(frame(b"last")) and one.streams[stream].reset is None
    event = proxy.wait_event(event="request", path="/ws")
    assert (event["verdict"], event["method"], event["status"]) == ("allow", "GET", 101)


def test_h2_large(proxy_for, api, connect):
    one = connect(proxy_for(api))
    stream = start(one)
    data = os.urandom(3 << 20)
    message = frame(data, BINARY)
    one.send_body(stream, frame(data, BINARY, masked=True), end=False)
    assert receive(one, stream, len(message)) == message


def test_h2_reset(proxy_for, api, connect):
    """A page that is left: the upstream is let go, neighbours go on."""
    proxy = proxy_for(api)
    one = connect(proxy)
    stream = start(one)
    while not one.streams[stream].headers:
        one.receive()
    one.h2.reset_stream(stream, 8)
    one.flush()
    proxy.wait_event(event="request", path="/ws")
    assert one.get("/echo").status == 200


def test_h2_server_ends_first(proxy_for, api, connect):
    def serve(x):
        websocket.switch(x)
        x.send(frame(b"bye"))
        x.close()

    api.on("/ws", serve)
    one = connect(proxy_for(api))
    stream = start(one)
    one.finish(stream)
    assert one.streams[stream].body == frame(b"bye") and one.streams[stream].reset is None
    one.send_body(stream, frame(b"", CLOSE, masked=True))
    assert one.get("/echo").status == 200


@pytest.mark.parametrize("answer, reason", [
    (lambda x: x.respond(200, body=b"no tunnel"), "upstream-protocol"),
    (lambda x: x.respond(204), "upstream-protocol"),
    (lambda x: (x.head(101, "Yes", [("Upgrade", "websocket"), ("Connection", "upgrade"),
                                    ("Sec-WebSocket-Accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")]), x.close()),
     "upstream-protocol"),
    (lambda x: x.respond(403, body=b"not you"), None),
], ids=["200", "204", "wrong accept", "403"])
def test_h2_no_tunnel(proxy_for, api, connect, answer, reason):
    """Any 2xx would tell the client that its tunnel is open."""
    api.on("/ws", answer)
    one = connect(proxy_for(api))
    message = one.finish(start(one))[0]
    assert (message.status, message.get("bottle-block-reason")) == (502 if reason else 403, reason)
    assert one.get("/echo").status == 200


@pytest.mark.parametrize("what, status, reason", [
    ({"protocol": "connect-udp"}, 403, "upgrade-not-allowed"),
    ({"protocol": "h2c"}, 403, "upgrade-not-allowed"),
    ({"end": True}, 400, "bad-request"),
    ({"headers": [("sec-websocket-version", "13")]}, 400, "bad-request"),
    ({"headers": [("content-length", "0")]}, 400, "bad-request"),
    ({"path": "/ws/../secret"}, 400, "path-not-canonical"),
], ids=["another protocol", "h2c", "ended", "two versions", "length", "path"])
def test_h2_refused(proxy_for, api, connect, what, status, reason):
    one = connect(proxy_for(api))
    message = one.finish(start(one, **what))[0]
    assert (message.status, message.get("bottle-block-reason")) == (status, reason)
    assert not api.requests


def test_h2_credential(proxy_for, start_upstream, connect):
    secret = start_upstream("secret.test")
    secret.on("/ws", websocket.echo)
    one = connect(proxy_for(secret), "secret.test:443")
    stream = start(one, headers=[("authorization", "Bearer mine"), ("sec-websocket-extensions", "permessage-deflate")])
    one.send_body(stream, frame(TOKEN.encode(), masked=True), end=False)
    assert receive(one, stream, len(TOKEN) + 2) == frame(b"*" * len(TOKEN))
    assert secret.requests[0].all("authorization") == [f"Bearer {TOKEN}"]
    assert secret.requests[0].get("sec-websocket-extensions") is None

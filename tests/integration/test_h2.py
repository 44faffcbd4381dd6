"""HTTP/2 on either side, or both: the same decisions, bodies and trailers as ever; one stream is not its neighbour."""

import hashlib
import json
import os
import subprocess
import threading

import pytest

from support import certs, client, http1, http2, paths, upstream

TOKEN = "correct-horse-battery-staple"
ROUTES = [{"host": "api.test", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0",
           "path_allowlist": ["/echo", "/download/", "/chunked", "/hints", "/trailed", "/trailers-only", "/early",
                              "/reset", "/slow", "/grpc"]},
          {"host": "other.test"}]
WAIT = 10
# What one stalled stream may hold. (AddressSanitizer keeps what was freed.)
GROWTH_KIB = 16 * 1024 if paths.BUILD.name != "asan" else float("inf")


@pytest.fixture
def h1(start_upstream):
    """An upstream of HTTP/1.1."""
    return start_upstream("api.test")


@pytest.fixture
def h2(start_h2):
    """An upstream of HTTP/2 only."""
    return start_h2("api.test")


@pytest.fixture(params=["h1", "h2"])
def api(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def proxy_for(start_proxy):
    return lambda *upstreams: start_proxy(routes=ROUTES, upstreams=upstreams, tokens={0: TOKEN})


@pytest.fixture
def proxy(proxy_for, api):
    return proxy_for(api)


@pytest.fixture
def connect(pki):
    opened = []

    def connect(proxy, authority="api.test:443"):
        opened.append(http2.Client(proxy.address, authority, pki.bottle_cert))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def refused(message, status, reason):
    assert (message.status, message.get("bottle-block-reason")) == (status, reason), message
    return json.loads(message.body)["error"]


# --- real clients ----------------------------------------------------------------------------------------------------


@pytest.fixture
def curl(proxy, pki, require):
    require("curl")

    def curl(*argv, input=None, text=True):
        done = subprocess.run(["curl", "-sS", "--http2", "-x", proxy.url, "--cacert", pki.bottle_cert, *argv],
                              input=input, capture_output=True, text=text, timeout=40)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return curl


def credential_of(api):
    request = api.requests[-1]
    return request.all("authorization")


class TestCurl:
    def test_get(self, curl, api):
        out = curl("-w", "%{http_version} %{http_code}", "-o", "/dev/null", "https://api.test/echo?a=b")
        assert out == "2 200"
        assert credential_of(api) == [f"Bearer {TOKEN}"]

    def test_head(self, curl, api):
        assert "HTTP/2 200" in curl("-I", "https://api.test/echo")

    @pytest.mark.parametrize("how", [["-T", "-"], ["--data-binary", "@-"], ["--data-binary", "@-", "-H", "Expect: 100-continue"]])
    def test_upload(self, curl, api, how):
        data = os.urandom(3_000_000)
        seen = json.loads(curl(*how, "https://api.test/echo", input=data, text=False))
        assert (seen["length"], seen["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())

    def test_download(self, curl, api):
        data = curl("https://api.test/download/20000001", text=False)
        again = curl("https://api.test/download/20000001", text=False)
        assert len(data) == 20000001 and data == again

    def test_early_hints(self, curl, api):
        out = curl("-D", "-", "https://api.test/hints")
        assert "HTTP/2 103" in out and "HTTP/2 200" in out and out.endswith("hinted")

    def test_refusal(self, curl, api):
        out = curl("-w", " %{http_code}", "https://api.test/elsewhere")
        assert out.endswith(" 403") and "path-not-allowed" in out
        assert not api.requests

    def test_many_in_parallel(self, curl, api, tmp_path):
        out = curl("--parallel", "--parallel-max", "50", "-o", str(tmp_path / "#1"),
                   "https://api.test/download/[100000-100059]")
        assert out == ""
        assert sorted(os.path.getsize(f) for f in tmp_path.iterdir() if f.name.isdigit()) == list(range(100000, 100060))


def test_nghttp(proxy_for, h1, pki, require, tmp_path):
    """Its own frames, priorities and padding included; it knows no proxy, so this goes by way of a tunnel of ours."""
    require("nghttp")
    proxy = proxy_for(h1)
    listener = upstream.socket.create_server(("127.0.0.1", 0))

    def relay():
        near, _ = listener.accept()
        far = client.connect(proxy.address)
        client.open_tunnel(far, "api.test:443")
        threading.Thread(target=pump, args=(far.sock, near), daemon=True).start()
        pump(near, far.sock)

    def pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(upstream.socket.SHUT_WR)
        except OSError:
            pass

    threading.Thread(target=relay, daemon=True).start()
    port = listener.getsockname()[1]
    done = subprocess.run(
        ["nghttp", "-v", "-n", "-p", "7", "-b", "100", "-H", ":authority: api.test",
         *[f"https://127.0.0.1:{port}/download/{n}" for n in (1, 100000, 3)]],
        capture_output=True, text=True, timeout=30)
    listener.close()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(":status: 200") == 3, done.stdout
    assert len(h1.requests) == 3


def test_nghttpd_as_upstream(proxy_for, pki, connect, require, tmp_path, start_proxy):
    """Another server: nghttp2's own. Trailers, and a body to read."""
    require("nghttpd")
    host = upstream.free_loopback()
    chain = certs.make("valid", pki.root, "api.test").write(tmp_path)
    (tmp_path / "echo").write_bytes(http2.content(300_000))
    server = subprocess.Popen(["nghttpd", "-a", host, "-d", str(tmp_path), "--trailer", "x-sum: 42", "--echo-upload",
                               "443", chain, chain], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        proxy = start_proxy(routes=ROUTES, tokens={0: TOKEN}, resolve={"api.test": host})
        one = wait_for(lambda: answered(connect(proxy), "/echo"))
        assert one.body == http2.content(300_000)
        assert ("x-sum", "42") in one.trailers
    finally:
        server.terminate()
        server.wait(WAIT)


def answered(connection, path):
    message = connection.get(path)
    return message if message.status == 200 else None


def wait_for(what, tries=100):
    for _ in range(tries):
        found = what()
        if found:
            return found
        threading.Event().wait(0.05)
    raise AssertionError("never came")


# --- what passes -----------------------------------------------------------------------------------------------------


def test_streams_share_a_connection(proxy, api, connect):
    one = connect(proxy)
    streams = [one.start(f"/download/{n}") for n in (100_000, 1, 3_000_000, 70_000)]
    for n, answer in zip((100_000, 1, 3_000_000, 70_000), one.finish(*streams)):
        assert (answer.status, len(answer.body)) == (200, n)
    assert len(api.requests) == 4


def test_h2_to_h1_head(proxy_for, h1, connect):
    """What arrives as HTTP/1.1: Host first, cookies joined, nothing of HTTP/2's own."""
    one = connect(proxy_for(h1), "api.test:443")
    seen = json.loads(one.get("/echo?x=1", headers=[("x-a", "1"), ("te", "trailers"), ("x-b", "")]).body)
    assert (seen["method"], seen["target"]) == ("GET", "/echo?x=1")
    names = [n.lower() for n, _ in seen["headers"]]
    assert names[0] == "host" and names.count("host") == 1
    assert not [n for n in names if n.startswith(":")] and "te" not in names


def test_h1_to_h2_head(proxy_for, h2, pki):
    proxy = proxy_for(h2)
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    answer = client.get(wire, "api.test", "/echo?x=1", [("X-Mixed", "Case"), ("Connection", "keep-alive, X-Hop"),
                                                         ("X-Hop", "1"), ("TE", "trailers")])
    wire.close()
    assert answer.status == 200
    seen = json.loads(answer.body)["headers"]
    assert seen[:4] == [[":method", "GET"], [":scheme", "https"], [":authority", "api.test"], [":path", "/echo?x=1"]]
    assert ["x-mixed", "Case"] in seen and ["te", "trailers"] in seen
    assert not {"connection", "x-hop", "host"} & {n for n, _ in seen}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_is_whole_with_its_last_byte(proxy_for, h2, pki, method):
    """An HTTP/1.1 client that has the announced length goes away, though the upstream has not ended its stream."""
    def serve(x):
        x.head(200, [("content-length", "5")])
        if method == "GET":
            x.peer.send_body(x.stream, b"whole", end=False)

    h2.on("/echo", serve)
    proxy = proxy_for(h2)
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    wire.send(f"{method} /echo HTTP/1.1\r\nHost: api.test\r\n\r\n".encode())
    assert http1.read_response(wire, method).body == (b"whole" if method == "GET" else b"")
    wire.close()
    assert proxy.wait_event(host="api.test", status=200)["verdict"] == "allow"


def test_h1_to_h2_chunked_and_trailers(proxy_for, h2, pki):
    wire = client.tunnel(proxy_for(h2).address, "api.test:443", pki.bottle_cert)
    wire.send(b"POST /echo HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"
              b"3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n")
    answer = http1.read_response(wire, "POST")
    seen = json.loads(answer.body)
    assert seen["length"] == 3 and seen["trailers"] == [["x-sum", "7"]]
    wire.send(b"GET /trailed HTTP/1.1\r\nHost: api.test\r\n\r\n")
    answer = http1.read_response(wire, "GET")
    wire.close()
    assert answer.body == b"message"
    assert ("grpc-status", "0") in [tuple(t) for t in answer.trailers]


def test_trailers_from_h1(proxy_for, h1, connect):
    answer = connect(proxy_for(h1)).get("/chunked")
    assert answer.body == b"one two three"
    assert sorted(answer.trailers) == [("x-done", "yes"), ("x-sum", "13")]


def test_request_trailers(proxy, api, connect):
    one = connect(proxy)
    stream = one.start(method="POST", end=False)
    one.send_body(stream, b"abc", end=False)
    one.h2.send_headers(stream, [("x-sum", "7")], end_stream=True)
    one.flush()
    seen = json.loads(one.finish(stream)[0].body)
    assert [t for t in seen["trailers"] if t[0].lower() == "x-sum"] == [["x-sum", "7"]]


@pytest.mark.parametrize("path, trailers", [("/trailed", [("grpc-status", "0"), ("grpc-message", "fine")]),
                                            ("/trailers-only", [])])
def test_grpc_unary(proxy_for, h2, connect, path, trailers):
    one = connect(proxy_for(h2))
    stream = one.start(path, method="POST", headers=[("te", "trailers"), ("content-type", "application/grpc")], end=False)
    one.send_body(stream, b"\0\0\0\0\2ab")
    answer = one.finish(stream)[0]
    assert answer.status == 200 and answer.trailers == trailers
    assert h2.requests[0].get("te") == "trailers"
    assert h2.requests[0].get("authorization") == f"Bearer {TOKEN}"


def test_grpc_both_directions_at_once(proxy_for, h2, connect):
    """Each message of a call is answered before the next one is sent."""
    def serve(x):
        x.head(200, [("content-type", "application/grpc")])
        sent = 0
        while not x.request.ended:
            if len(x.request.body) == sent:
                x.peer.receive()
            x.peer.send_body(x.stream, x.request.body[sent:], end=False)
            sent = len(x.request.body)
        x.trailers([("grpc-status", "0")])

    h2.on("/grpc", serve, early=True)
    one = connect(proxy_for(h2))
    stream = one.start("/grpc", method="POST", headers=[("te", "trailers")], end=False)
    for i in range(5):
        one.send_body(stream, b"m%d" % i, end=False)
        while len(one.streams[stream].body) < 2 * (i + 1):
            one.receive()
    one.h2.end_stream(stream)
    one.flush()
    answer = one.finish(stream)[0]
    assert answer.body == b"m0m1m2m3m4" and answer.trailers == [("grpc-status", "0")]


def test_early_answer(proxy_for, h2, connect):
    """The upstream refuses an upload in its middle and stops it; the client gets the whole answer."""
    def serve(x):
        x.respond(413, body=b"too much")
        x.reset(0)

    h2.on("/early", serve, early=True)
    one = connect(proxy_for(h2))
    stream = one.start("/early", method="POST", end=False)
    while not one.streams[stream].ended:
        one.receive()
    assert (one.streams[stream].status, one.streams[stream].body) == (413, b"too much")
    assert one.get("/echo").status == 200


# --- streams are apart -----------------------------------------------------------------------------------------------


def test_a_refused_stream_hurts_no_neighbour(proxy, api, connect):
    one = connect(proxy)
    slow = one.start("/download/3000000")
    streams = [one.start(path) for path in ("/elsewhere", "/echo/../admin", "/repo/info/refs?service=git-receive-pack")]
    refused(*one.finish(streams[0]), 403, "path-not-allowed")
    refused(*one.finish(streams[1]), 400, "path-not-canonical")
    refused(*one.finish(streams[2]), 403, "git-push-blocked")
    answer = one.finish(slow)[0]
    assert (answer.status, len(answer.body)) == (200, 3_000_000)
    assert one.get("/echo").status == 200


def test_no_coalescing(proxy_for, h1, start_upstream, connect):
    """Another host, though allowed, has no place on this connection (spec 2.1, one name)."""
    other = start_upstream("other.test")
    one = connect(proxy_for(h1, other))
    refused(one.get(authority="other.test"), 421, "name-mismatch")
    refused(one.get(authority="api.test:444"), 421, "name-mismatch")
    refused(one.get(scheme="http"), 400, "bad-request")
    assert one.get(authority="API.test:443").status == 200
    assert not other.requests and len(h1.requests) == 1


def test_reset_by_the_client(proxy, api, connect):
    """Its upstream is let go, its neighbours go on."""
    one = connect(proxy)
    keep = one.start("/download/1000000")
    gone = one.start("/download/50000000")
    while len(one.streams[gone].body) < 1000:
        one.receive()
    one.h2.reset_stream(gone, 8)
    one.flush()
    assert len(one.finish(keep)[0].body) == 1_000_000
    proxy.wait_event(event="request", path="/download/50000000")
    assert one.get("/echo").status == 200


def test_reset_by_the_upstream(proxy_for, h2, connect):
    h2.on("/reset", lambda x: x.reset(2))
    one = connect(proxy_for(h2))
    refused(one.get("/reset"), 502, "upstream-protocol")
    assert one.get("/echo").status == 200


def test_cut_body_is_no_whole_one(proxy_for, h1, connect):
    h1.on("/slow", upstream.BUILTIN["/cut"])
    one = connect(proxy_for(h1))
    answer = one.get("/slow")
    assert answer.reset is not None and not answer.ended


def test_back_pressure(proxy, api, connect):
    """A client that gives no window stalls its own stream only, and the proxy's memory stays where it was."""
    one = connect(proxy)
    one.credit = False
    before = proxy.status("VmRSS")
    stuck = one.start("/download/50000000")
    while len(one.streams[stuck].body) < 65535:
        one.receive()
    assert proxy.status("VmRSS") - before < GROWTH_KIB
    one.h2.increment_flow_control_window(1 << 24)
    one.flush()
    one.credit = True
    assert one.get("/echo").status == 200
    one.h2.increment_flow_control_window(1 << 24, stuck)
    one.flush()


# --- what is refused -------------------------------------------------------------------------------------------------

HEAD = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"api.test"), (b":path", b"/echo")]


@pytest.mark.parametrize("fields", [
    HEAD + [(b"X-Upper", b"a")],
    HEAD + [(b"x", b"a\r\nx-injected: 1")],
    HEAD + [(b"x", b"a\0b")],
    HEAD + [(b"x", b" padded")],
    HEAD + [(b"x y", b"a")],
    HEAD + [(b"connection", b"close")],
    HEAD + [(b"transfer-encoding", b"chunked")],
    HEAD + [(b"upgrade", b"h2c")],
    HEAD + [(b"te", b"gzip")],
    HEAD + [(b"host", b"other.test")],
    HEAD + [(b":path", b"/twice")],
    HEAD + [(b"content-length", b"5")],
    HEAD[:3],
    HEAD[:3] + [(b":path", b"")],
    HEAD[:3] + [(b":path", b"*")],
    HEAD[:3] + [(b":path", b"echo")],
    HEAD[:3] + [(b":path", b"/echo HTTP/1.1\r\nx: y")],
    HEAD[:3] + [(b":path", b"https://api.test/echo")],
    HEAD[:3] + [(b":path", b"/echo#f")],
    HEAD[:2] + HEAD[3:],
    HEAD[:2] + HEAD[3:] + [(b":authority", b"user@api.test")],
    [(b":method", b"GE T")] + HEAD[1:],
    [(b"x", b"y")] + HEAD,
], ids=lambda f: (f[-1][0] + b"=" + f[-1][1]).decode("latin-1").encode("unicode_escape").decode())
def test_malformed_request(proxy_for, h1, connect, fields):
    """Answered with 400 on its stream, told in an event, and nothing of it reaches the upstream."""
    proxy = proxy_for(h1)
    one = connect(proxy)
    stream = one.start("/echo")
    assert one.finish(stream)[0].status == 200
    bad = one.h2.get_next_available_stream_id()
    # Known to h2 so that it takes the answer; what goes out instead is ours.
    one.h2.send_headers(bad, [(":method", "GET"), (":scheme", "https"), (":authority", "api.test"), (":path", "/echo")],
                        end_stream=True)
    one.h2.data_to_send()
    one.streams[bad] = http2.Message()
    one.raw_headers(bad, fields)
    refused(*one.finish(bad), 400, "bad-request")
    proxy.wait_event(event="request", verdict="block", reason="bad-request")
    # h2's own table has moved on without the proxy's: a new connection for what follows.
    assert connect(proxy).get("/echo").status == 200
    assert len(h1.requests) == 2


def test_connect_inside(proxy_for, h1, connect):
    one = connect(proxy_for(h1))
    stream = one.h2.get_next_available_stream_id()
    one.h2.send_headers(stream, [(":method", "CONNECT"), (":authority", "api.test:443")])
    one.streams[stream] = http2.Message()
    one.flush()
    refused(*one.finish(stream), 400, "bad-request")
    stream = one.h2.get_next_available_stream_id()
    one.h2.send_headers(stream, [(":method", "CONNECT"), (":protocol", "connect-udp"), (":scheme", "https"),
                                 (":authority", "api.test"), (":path", "/echo")])
    one.streams[stream] = http2.Message()
    one.flush()
    refused(*one.finish(stream), 403, "upgrade-not-allowed")
    assert not h1.requests


def test_bad_body(proxy_for, h1, connect):
    """Shorter than announced: the upstream must not take it for a request."""
    proxy = proxy_for(h1)
    one = connect(proxy)
    stream = one.start(method="POST", headers=[("content-length", "10")], end=False)
    one.raw_frame(0, 1, stream, b"short")
    answer = one.finish(stream)[0]
    refused(answer, 400, "bad-request")
    assert not h1.requests


# --- abuse -----------------------------------------------------------------------------------------------------------


def attack(one, send):
    """Sends until the proxy hangs up; the code of its GOAWAY."""
    try:
        for _ in range(200):
            send()
    except OSError:
        pass
    return next((int.from_bytes(payload[4:8], "big") for kind, _, _, payload in one.read_frames() if kind == 7), None)


def test_rapid_reset(proxy_for, h1, connect):
    proxy = proxy_for(h1)
    one = connect(proxy)
    state = {"next": 1}
    block = b"".join(b"\0" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in HEAD)

    def send():
        out = b""
        for _ in range(100):
            s = state["next"].to_bytes(4, "big")
            out += len(block).to_bytes(3, "big") + b"\1\5" + s + block + b"\0\0\4\3\0" + s + b"\0\0\0\x08"
            state["next"] += 2
        one.wire.send(out)

    assert attack(one, send) in (11, None)
    assert connect(proxy).get("/echo").status == 200


@pytest.mark.parametrize("frame", [b"\0\0\x08\6\0\0\0\0\0" + b"12345678", b"\0\0\0\4\0\0\0\0\0"], ids=["ping", "settings"])
def test_control_flood(proxy_for, h1, connect, frame):
    proxy = proxy_for(h1)
    one = connect(proxy)
    assert attack(one, lambda: one.wire.send(frame * 1000)) in (11, None)
    assert connect(proxy).get("/echo").status == 200


def test_continuation_flood(proxy_for, h1, connect):
    proxy = proxy_for(h1)
    one = connect(proxy)
    one.raw_frame(1, 0, 1)
    assert attack(one, lambda: one.raw_frame(9, 0, 1, b"\0\1a\1b" * 100)) in (11, None)
    assert connect(proxy).get("/echo").status == 200


def test_hundred_idle_connections(proxy_for, h1, connect):
    proxy = proxy_for(h1)
    connections = [connect(proxy) for _ in range(100)]
    assert all(one.get("/echo").status == 200 for one in connections)


# --- the end ---------------------------------------------------------------------------------------------------------


def test_term_lets_streams_finish(proxy_for, h1, connect):
    go_on = threading.Event()

    def serve(x):
        assert go_on.wait(WAIT)
        x.respond(body=b"finished")

    h1.on("/slow", serve)
    proxy = proxy_for(h1)
    one = connect(proxy)
    stream = one.start("/slow")
    h1.wait_requests(1)
    proxy.kill()
    # By hand: python3-h2 takes a GOAWAY for the end of everything.
    body = b""
    for kind, flags, number, payload in one.read_frames():
        if kind == 7:
            assert payload[4:8] == bytes(4)
            go_on.set()
        elif kind == 0:
            assert number == stream
            body += payload
            if flags & 1:
                break
    assert body == b"finished"
    assert proxy.end() == 0

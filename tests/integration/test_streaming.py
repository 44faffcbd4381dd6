"""Bytes go through as they come, both ways, in bounded memory. Order is forced by gates, never by waiting a while."""

import hashlib
import json
import os
import subprocess
import threading
import time

import pytest

from support import client, http1, paths, upstream

ROUTES = [{"host": "api.test"}]
# What a proxy may grow by while it carries one stream of any length. (AddressSanitizer keeps what was freed.)
GROWTH_KIB = 8 * 1024 if paths.BUILD.name != "asan" else float("inf")
BIG = int(os.environ.get("BOTTLE_TEST_STREAM_MIB", "256")) * 1024 * 1024
WAIT = 10


@pytest.fixture
def api(start_upstream):
    return start_upstream("api.test")


@pytest.fixture
def proxy(start_proxy, api):
    return start_proxy(routes=ROUTES, upstreams=[api])


@pytest.fixture
def tunnel(proxy, pki):
    wires = []

    def open():
        wires.append(client.tunnel(proxy.address, "api.test:443", pki.bottle_cert))
        return wires[-1]

    yield open
    for wire in wires:
        wire.close()


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_first_event_arrives_before_the_second_is_sent(api, tunnel, framing):
    go_on = threading.Event()
    events = [b"data: one\n\n", b"data: two\n\n"]

    def serve(x):
        fields = {"chunked": [("Transfer-Encoding", "chunked")], "length": [("Content-Length", 22)], "close": []}
        x.head(headers=[("Content-Type", "text/event-stream"), *fields[framing]])
        put = x.chunk if framing == "chunked" else x.send
        put(events[0])
        assert go_on.wait(WAIT), "the first event did not reach the client"
        put(events[1])
        if framing == "chunked":
            x.end_chunks()
        x.keep = framing != "close"

    api.on("/events", serve)
    wire = tunnel()
    wire.send(b"GET /events HTTP/1.1\r\nHost: api.test\r\nAccept: text/event-stream\r\n\r\n")
    head = http1.read_response_head(wire)
    assert head.get("content-type") == "text/event-stream"

    # A body that lasts until its connection is closed becomes one that says where it ends.
    chunked = head.get("transfer-encoding") == "chunked"

    def read(event):
        return wire.read_exact(len(event) + 5)[3:-2] if chunked else wire.read_exact(len(event))

    assert read(events[0]) == events[0]
    go_on.set()
    assert read(events[1]) == events[1]


def test_response_head_arrives_before_its_body(api, tunnel):
    go_on = threading.Event()

    def serve(x):
        x.head(headers=[("Content-Length", 2)])
        assert go_on.wait(WAIT)
        x.send(b"ok")

    api.on("/late", serve)
    wire = tunnel()
    wire.send(b"GET /late HTTP/1.1\r\nHost: api.test\r\n\r\n")
    assert http1.read_response_head(wire).status == 200
    go_on.set()
    assert wire.read_exact(2) == b"ok"


@pytest.fixture
def raw(start_raw, start_proxy):
    """raw(script): a server below HTTP for api.test, and a proxy in front of it."""
    return lambda script: start_proxy(routes=ROUTES, upstreams=[start_raw(script, "api.test")])


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_request_body_arrives_piece_by_piece(raw, pki, framing):
    pieces = [b"first piece ", b"second piece"]
    first_arrived = threading.Event()

    def script(wire, _):
        http1.read_head(wire)
        got = b""
        for piece in pieces:
            if framing == "chunked":
                assert wire.read_line() == b"%x" % len(piece)
            got += wire.read_exact(len(piece))
            if framing == "chunked":
                wire.read_exact(2)
            first_arrived.set()
        if framing == "chunked":
            assert wire.read_exact(5) == b"0\r\n\r\n"
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(got) + got)

    proxy = raw(script)
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    field = "Transfer-Encoding: chunked" if framing == "chunked" else "Content-Length: 24"
    wire.send(f"POST / HTTP/1.1\r\nHost: api.test\r\n{field}\r\n\r\n".encode())
    for number, piece in enumerate(pieces):
        wire.send(b"%x\r\n%s\r\n" % (len(piece), piece) if framing == "chunked" else piece)
        if number == 0:
            assert first_arrived.wait(WAIT), "the first piece did not arrive before the second was sent"
    if framing == "chunked":
        wire.send(b"0\r\n\r\n")
    assert http1.read_response(wire).body == b"".join(pieces)
    wire.close()


def test_both_directions_at_once(raw, pki):
    """The answer begins while the request's body is still on its way, and each side hears the other."""

    def script(wire, _):
        http1.read_head(wire)
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            size = int(wire.read_line(), 16)
            piece = wire.read_exact(size)
            wire.read_exact(2)
            if not size:
                wire.send(b"0\r\n\r\n")
                return
            wire.send(b"%x\r\n%s\r\n" % (size, piece.upper()))

    proxy = raw(script)
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    wire.send(b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert http1.read_response_head(wire).status == 200
    for word in (b"one", b"two", b"three"):
        wire.send(b"%x\r\n%s\r\n" % (len(word), word))
        assert wire.read_line() == b"%x" % len(word)
        assert wire.read_exact(len(word) + 2) == word.upper() + b"\r\n"
    wire.send(b"0\r\n\r\n")
    assert wire.read_exact(5) == b"0\r\n\r\n"
    wire.close()


def test_an_early_answer_reaches_a_client_that_is_still_sending(raw, pki):
    """A server may refuse an upload without reading it (413) and close; its answer is worth more than the upload."""
    def script(wire, _):
        http1.read_head(wire)
        wire.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        wire.close_in_order()

    proxy = raw(script)
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    size = 32 * 1024 * 1024

    # It sends all it has and looks for an answer then: the proxy reads past what nobody wants.
    wire.send(b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(size // 65536):
        wire.send(bytes(65536))
    answer = http1.read_response(wire)
    assert (answer.status, answer.body) == (413, b"no"), answer.body
    wire.close()


def test_refusal_before_the_body_was_sent(proxy, pki, api):
    """A client that announces a gigabyte gets its refusal at once."""
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    wire.send(b"POST /x/git-receive-pack HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1073741824\r\n\r\n")
    assert http1.read_response(wire).get("bottle-block-reason") == "git-push-blocked"
    wire.close()
    assert api.connections == 0


@pytest.mark.limit(240)
def test_big_download_in_flat_memory(proxy, pki, require):
    require("curl")
    before = proxy.status("VmHWM")
    done = subprocess.run(
        ["curl", "-sS", "--fail", "--proxy", proxy.url, "--cacert", pki.bottle_cert, "-o", "/dev/null", "-w",
         "%{size_download}", f"https://api.test/download/{BIG}"], capture_output=True, text=True, timeout=200)
    assert done.stdout == str(BIG), done.stderr
    assert proxy.status("VmHWM") - before < GROWTH_KIB


@pytest.mark.limit(240)
def test_big_upload_in_flat_memory(raw, pki, require):
    require("curl")
    length = []

    def script(wire, _):
        head = http1.read_head(wire)
        if head.get("expect"):
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        _, _, count = http1.read_chunked(wire, on_chunk=lambda data: length.append(len(data)))
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    proxy = raw(script)
    before = proxy.status("VmHWM")
    with subprocess.Popen(["head", "-c", str(BIG), "/dev/zero"], stdout=subprocess.PIPE) as source:
        done = subprocess.run(
            ["curl", "-sS", "--fail", "--proxy", proxy.url, "--cacert", pki.bottle_cert, "-T", "-",
             "https://api.test/upload"], stdin=source.stdout, capture_output=True, text=True, timeout=200)
    assert done.stdout == "ok", done.stderr
    assert sum(length) == BIG
    assert proxy.status("VmHWM") - before < GROWTH_KIB


def test_reader_that_stops_stops_the_sender(api, tunnel, proxy):
    """Back-pressure: what a client does not read is not fetched either, and nothing of it is lost."""
    total = 64 * 1024 * 1024
    block = os.urandom(64 * 1024)
    sent = 0

    def serve(x):
        nonlocal sent
        x.head(headers=[("Content-Length", total)])
        while sent < total:
            x.send(block)
            sent += len(block)

    api.on("/big", serve)
    before = proxy.status("VmHWM")
    wire = tunnel()
    wire.send(b"GET /big HTTP/1.1\r\nHost: api.test\r\n\r\n")
    http1.read_response_head(wire)
    # All buffers on the way are full when nothing more has been taken for a second.
    before_pause = -1
    while sent != before_pause:
        before_pause = sent
        time.sleep(1)
    assert sent < total, "the whole body was taken though nobody read it"
    assert proxy.status("VmHWM") - before < GROWTH_KIB
    digest = hashlib.sha256()
    left = total
    while left:
        piece = wire.read_some()
        assert piece
        digest.update(piece)
        left -= len(piece)
    expected = hashlib.sha256()
    for _ in range(total // len(block)):
        expected.update(block)
    assert digest.digest() == expected.digest()


def test_client_that_leaves_ends_the_upstream_exchange(raw, pki):
    """Nobody reads any more: the upstream connection goes, too."""
    gone = threading.Event()

    def script(wire, _):
        http1.read_head(wire)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n")
        assert wire.at_end()
        gone.set()

    proxy = raw(script)
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    wire.send(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
    http1.read_response_head(wire)
    wire.close()
    assert gone.wait(WAIT)


def test_many_at_once_are_not_mixed_up(proxy, pki, api):
    """Each answer belongs to its question, whatever else goes on at the same time."""
    problems = []

    def talk(number):
        try:
            wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
            for turn in range(10):
                body = f"{number}.{turn} ".encode() * (1 + 500 * (turn % 3))
                answer = client.request(
                    wire, f"POST /echo?{number}.{turn} HTTP/1.1\r\nHost: api.test\r\nContent-Length: {len(body)}\r\n\r\n"
                    .encode() + body, "POST")
                seen = json.loads(answer.body)
                assert seen["target"] == f"/echo?{number}.{turn}", seen
                assert seen["sha256"] == hashlib.sha256(body).hexdigest(), seen
            wire.close()
        except Exception as e:
            problems.append(f"{number}: {e!r}")

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(api.requests) == 300

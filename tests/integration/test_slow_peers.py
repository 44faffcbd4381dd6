"""Slow, silent and broken peers cost a timer each, and nobody else notices them."""

import random
import socket
import time

import pytest

from support import certs, client, http1, upstream

# The shortest that the options take; what is asserted is that the end comes, by whose hand, and that others are served.
SECOND = ("--head-timeout", "1")


@pytest.fixture
def api(start_upstream):
    return start_upstream("api.test")


@pytest.fixture
def proxy(start_proxy, api):
    return start_proxy(routes=[{"host": "api.test"}], upstreams=[api], options=SECOND)


def ask(proxy, pki):
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    try:
        return client.get(wire, "api.test").status
    finally:
        wire.close()


def drip(wire, data, interval):
    """Sends byte by byte until the peer has had enough; returns what it answered."""
    wire.sock.settimeout(interval)
    for byte in data:
        try:
            wire.send(bytes([byte]))
            if not wire._fill():
                break
        except (socket.timeout, TimeoutError):
            continue
        except (OSError, http1.Closed):
            break
    wire.sock.settimeout(wire.timeout)
    return bytes(wire.received)


class TestHead:
    def test_a_drip_of_bytes_is_cut(self, proxy, pki):
        """Each byte in time, the head never: the time counts from its first byte."""
        wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        begin = time.monotonic()
        answer = drip(wire, b"GET / HTTP/1.1\r\nHost: api.test\r\n" + b"X: " + b"a" * 1000, 0.1)
        assert time.monotonic() - begin < 20
        assert answer.startswith(b"HTTP/1.1 408 ") and b"request-timeout" in answer
        proxy.wait_event(reason="request-timeout")
        wire.close()
        assert ask(proxy, pki) == 200

    def test_a_head_that_stops(self, proxy, pki):
        wire = client.connect(proxy.address)
        wire.send(b"GET http://api.test/ HTTP/1.1\r\n")
        answer = http1.read_response(wire)
        assert (answer.status, answer.get("bottle-block-reason")) == (408, "request-timeout")
        assert wire.at_end()

    def test_a_connection_that_says_nothing_is_closed(self, proxy):
        wire = client.connect(proxy.address)
        assert wire.at_end()

    def test_a_tunnel_that_says_nothing_is_closed(self, proxy):
        wire = client.connect(proxy.address)
        client.open_tunnel(wire, "api.test:443")
        assert wire.at_end()

    def test_a_connection_between_requests_may_rest(self, proxy, pki):
        """Longer than the head time: keep-alive has a time of its own."""
        wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        assert client.get(wire, "api.test").status == 200
        other = client.connect(proxy.address)
        assert other.at_end()  # the head time has passed, for a connection that was opened later
        assert client.get(wire, "api.test").status == 200
        wire.close()


class TestIdle:
    @pytest.fixture
    def proxy(self, start_proxy, api):
        return start_proxy(routes=[{"host": "api.test"}], upstreams=[api], options=("--idle-timeout", "1"))

    def test_an_upstream_that_never_answers(self, proxy, pki, api):
        wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        answer = client.get(wire, "api.test", "/hang")
        assert (answer.status, answer.get("bottle-block-reason")) == (504, "upstream-timeout")
        wire.close()
        proxy.wait_event(reason="upstream-timeout", host="api.test", status=504)
        assert ask(proxy, pki) == 200

    def test_an_upstream_that_stops_in_its_body(self, proxy, pki, api):
        def serve(x):
            x.head(headers=[("Content-Length", 100)])
            x.send(b"half")
            x.hang()

        api.on("/half", serve)
        wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        with pytest.raises(http1.Closed):
            client.get(wire, "api.test", "/half")
        wire.close()
        proxy.wait_event(verdict="error", host="api.test", path="/half")

    def test_a_client_that_stops_in_its_body(self, proxy, pki):
        wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        wire.send(b"POST /echo HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100\r\n\r\nhalf")
        try:
            http1.read_response(wire)
        except http1.Closed:
            pass
        wire.close()
        proxy.wait_event(verdict="error", host="api.test")
        assert ask(proxy, pki) == 200

    def test_activity_in_one_direction_is_activity(self, proxy, pki, api):
        """A download that takes longer than the idle time, in steps that do not."""
        def serve(x):
            x.head(headers=[("Transfer-Encoding", "chunked")])
            for _ in range(8):
                x.chunk(b"tick")
                x.server.stopping.wait(0.25)
            x.end_chunks()

        api.on("/ticks", serve)
        wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        assert client.get(wire, "api.test", "/ticks").body == b"tick" * 8
        wire.close()


def test_upstreams_that_break_in_every_way(proxy, pki, api):
    for path in ("/reset", "/close", "/garbage"):
        wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        answer = client.get(wire, "api.test", path)
        assert (answer.status, answer.get("bottle-block-reason")) == (502, "upstream-protocol"), path
        wire.close()
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    with pytest.raises(http1.Closed):
        client.get(wire, "api.test", "/cut")
    wire.close()
    assert ask(proxy, pki) == 200


def test_an_upstream_that_is_silent_in_its_handshake_hurts_nobody(start_proxy, start_upstream, pki):
    api = start_upstream("api.test")
    with upstream.RawServer(lambda wire, _: wire.read_all(), host=upstream.free_loopback(), port=443) as silent:
        proxy = start_proxy(routes=[{"host": "api.test"}, {"host": "silent.test"}], upstreams=[api],
                            resolve={"silent.test": silent.host})
        waiting = client.tunnel(proxy.address, "silent.test:443", pki.bottle_cert)
        waiting.send(b"GET / HTTP/1.1\r\nHost: silent.test\r\n\r\n")
        assert ask(proxy, pki) == 200
        waiting.close()
        proxy.wait_event(verdict="error", host="silent.test")


def test_an_unreachable_upstream_is_named(start_proxy, pki):
    nobody = upstream.free_loopback()
    proxy = start_proxy(routes=[{"host": "api.test"}], resolve={"api.test": nobody})
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    answer = client.get(wire, "api.test")
    wire.close()
    assert (answer.status, answer.get("bottle-block-reason")) == (502, "upstream-unreachable")
    assert b"api.test" in answer.body


def test_a_dead_address_among_live_ones_is_skipped(start_proxy, pki, tmp_path):
    identity = certs.server(pki.root, "api.test")
    with upstream.Upstream(identity, tmp_path, host=upstream.free_loopback(), port=443) as live:
        proxy = start_proxy(routes=[{"host": "api.test"}], options=(
            "--resolve", f"api.test:443:{upstream.free_loopback()}", "--resolve", f"api.test:443:{live.host}"))
        assert ask(proxy, pki) == 200


@pytest.mark.limit(120)
def test_a_thousand_idle_connections(start_proxy, api, pki):
    proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[api])
    assert ask(proxy, pki) == 200
    before = proxy.status("VmRSS")
    wires = []
    try:
        for number in range(1000):
            wire = client.connect(proxy.address)
            wires.append(wire)
            if number % 2:
                client.open_tunnel(wire, "api.test:443")
        assert ask(proxy, pki) == 200
        assert proxy.status("VmRSS") - before < 40 * 1000, "more than 40 KiB for each idle connection"
        assert proxy.descriptors() > 1000
    finally:
        for wire in wires:
            wire.close()
    assert ask(proxy, pki) == 200


def test_random_bytes_are_survived(proxy, pki):
    """Requests with bytes changed, dropped and doubled: an answer or a close each time, and the next one is served."""
    chance = random.Random(20)
    seeds = [
        b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n",
        b"GET http://api.test/a?b HTTP/1.1\r\nHost: api.test\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        b"POST http://api.test/ HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"\x16\x03\x01\x00\x80\x01\x00\x00\x7c\x03\x03" + bytes(range(120)),
    ]
    for _ in range(300):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(data))
            how = chance.randrange(3)
            if how == 0:
                data[at] = chance.randrange(256)
            elif how == 1:
                del data[at]
            else:
                data[at:at] = data[at:at + chance.randint(1, 20)]
        wire = client.connect(proxy.address)
        wire.send(bytes(data))
        wire.finish()
        try:
            while wire.read_some():
                pass
        except http1.Closed:
            pass
        wire.close()
    assert ask(proxy, pki) == 200

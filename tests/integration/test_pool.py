"""Upstream connections are kept and shared, by those alone who may; what is sent again, and what never is."""

import json
import threading

import pytest

from support import client, http1, http2

ROUTES = [{"host": "api.test", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"}, {"host": "other.test"}]
TOKENS = {0: "correct-horse-battery-staple", 1: "another-horse-another-staple"}
CUTS = [b"", b"H", b"HTTP/1.1 200 OK\r\nContent-Len", b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"]


@pytest.fixture
def connect(pki):
    """Client connections, each in a tunnel of its own."""
    opened = []

    def connect(proxy, host="api.test"):
        opened.append(client.tunnel(proxy.address, f"{host}:443", pki.bottle_cert))
        return opened[-1]

    yield connect
    for wire in opened:
        wire.close()


def send(wire, method, body=b"", host="api.test"):
    head = f"{method} /echo HTTP/1.1\r\nHost: {host}\r\n"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return client.request(wire, head.encode() + b"\r\n" + body, method)


def set_routes(proxy, *routes):
    proxy.ctl("routes", "set", input=json.dumps({"routes": routes}))


def metric(proxy, name):
    return int(next(line for line in proxy.ctl("metrics").splitlines()
                    if line.startswith(f"egress_proxy_{name} ")).split()[1])


def retries(proxy):
    return metric(proxy, "upstream_retries_total")


def test_one_connection_for_all(start_upstream, start_proxy, connect):
    api = start_upstream("api.test")
    proxy = start_proxy(routes=ROUTES, upstreams=[api], tokens=TOKENS)
    for _ in range(3):
        wire = connect(proxy)
        assert [send(wire, m).status for m in ("GET", "POST", "HEAD")] == [200] * 3
    assert send(wire, "POST", b"x" * 100000).status == 200
    assert api.connections == 1
    assert len(api.requests) == 10
    assert metric(proxy, "upstream_connections_open") == metric(proxy, "upstream_connections_idle") == 1
    assert metric(proxy, 'upstream_dials_total{result="ok"}') == 1
    assert metric(proxy, 'upstream_requests_total{connection="new"}') == 1
    assert metric(proxy, 'upstream_requests_total{connection="kept"}') == 9


def test_another_credential_gets_another_connection(start_upstream, start_proxy, connect):
    """A server may tie to a connection who spoke on it first."""
    api = start_upstream("api.test")
    proxy = start_proxy(routes=ROUTES, upstreams=[api], tokens=TOKENS)
    wire = connect(proxy)
    assert send(wire, "GET").status == 200
    set_routes(proxy, {**ROUTES[0], "token_env": "EGRESS_PROXY_TOKEN_1"})
    assert send(wire, "GET").status == 200
    set_routes(proxy, {"host": "api.test"})
    assert send(wire, "GET").status == 200
    assert api.connections == 3
    assert [r.get("authorization") for r in api.requests] == [f"Bearer {TOKENS[0]}", f"Bearer {TOKENS[1]}", None]


def test_h2_streams_share_one(start_h2, start_proxy, connect):
    api = start_h2("api.test")
    gate = threading.Barrier(20, timeout=10)
    proxy = start_proxy(routes=ROUTES, upstreams=[api], tokens=TOKENS)
    wires = [connect(proxy) for _ in range(20)]
    answers = []

    def ask(wire):
        gate.wait()
        answers.append(send(wire, "GET").status)

    threads = [threading.Thread(target=ask, args=(w,)) for w in wires]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 20
    assert api.connections == 1


def test_hosts_are_not_coalesced(start_h2, start_proxy, connect):
    """One address, and a certificate that is good for both: still a connection each (RFC 9113 9.1.1 allows one)."""
    api = start_h2("api.test", "other.test")
    proxy = start_proxy(routes=ROUTES, upstreams=[api], resolve={"other.test": api.host}, tokens=TOKENS)
    assert send(connect(proxy), "GET").status == 200
    assert send(connect(proxy, "other.test"), "GET", host="other.test").status == 200
    assert api.connections == 2


class Moody:
    """An HTTP/1.1 server that answers the first request of a connection, and cuts the second with `last`."""

    def __init__(self, last, always=False):
        self.last = last
        self.always = always
        self.requests = []

    def __call__(self, wire, number):
        self.requests.append((number, http1.read_request(wire)))
        if number > 1 and self.always:
            return
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.requests.append((number, http1.read_request(wire)))
        wire.send(self.last)

    @property
    def numbers(self):
        """The connection on which each request came."""
        return [number for number, _ in self.requests]


@pytest.fixture
def moody(start_raw, start_proxy):
    def moody(*args):
        server = Moody(*args)
        return server, start_proxy(routes=ROUTES, upstreams=[start_raw(server, "api.test")], tokens=TOKENS)

    return moody


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_idempotent_goes_again(moody, connect, method):
    server, proxy = moody(b"")
    wire = connect(proxy)
    assert send(wire, "GET").status == 200
    assert send(wire, method).status == 200
    assert server.numbers == [1, 1, 2]
    assert retries(proxy) == 1
    assert not [e for e in proxy.decisions() if e["verdict"] != "allow"]


@pytest.mark.parametrize("method, body", [("POST", b""), ("PATCH", b""), ("POST", b"x"), ("PUT", b"x"), ("CUSTOM", b"")])
def test_what_might_be_done_twice_does_not(moody, connect, method, body):
    server, proxy = moody(b"")
    wire = connect(proxy)
    assert send(wire, "GET").status == 200
    assert send(wire, method, body).get("bottle-block-reason") == "upstream-protocol"
    assert server.numbers == [1, 1]
    assert retries(proxy) == 0


@pytest.mark.parametrize("part", CUTS[1:])
def test_a_begun_answer_is_not_asked_for_again(moody, connect, part):
    server, proxy = moody(part)
    wire = connect(proxy)
    assert send(wire, "GET").status == 200
    try:
        assert send(wire, "GET").status == 502
    except http1.Closed:
        pass  # the cut came behind the head
    assert server.numbers == [1, 1]


def test_once_more_and_not_again(moody, connect):
    server, proxy = moody(b"", True)
    wire = connect(proxy)
    assert send(wire, "GET").status == 200
    assert send(wire, "GET").status == 502
    assert server.numbers == [1, 1, 2]


def test_again_means_on_a_new_connection(start_raw, start_proxy, connect):
    """Of several kept connections the others are as likely to be closed."""
    both = threading.Barrier(2, timeout=10)
    numbers = []

    def script(wire, number):
        http1.read_request(wire)
        if number < 3:
            both.wait()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        http1.read_request(wire)
        numbers.append(number)

    proxy = start_proxy(routes=ROUTES, upstreams=[start_raw(script, "api.test")], tokens=TOKENS)
    wires = [connect(proxy), connect(proxy)]
    first = threading.Thread(target=send, args=(wires[0], "GET"))
    first.start()
    assert send(wires[1], "GET").status == 200
    first.join()
    assert send(wires[1], "GET").status == 200
    assert len(numbers) == 1


def test_a_first_request_is_not_repeated(start_raw, start_proxy, connect):
    """A server that closes on every request has read it."""
    seen = []
    api = start_raw(lambda wire, number: seen.append(http1.read_request(wire)), "api.test")
    proxy = start_proxy(routes=ROUTES, upstreams=[api], tokens=TOKENS)
    assert send(connect(proxy), "GET").status == 502
    assert len(seen) == 1


def test_a_refused_stream_goes_again(start_h2, start_proxy, connect):
    """REFUSED_STREAM says that it was not looked at (RFC 9113 8.7), so any method may."""
    api = start_h2("api.test")
    refused = []

    def refuse_once(x):
        if not refused:
            refused.append(x.stream)
            x.reset(http2.h2.errors.ErrorCodes.REFUSED_STREAM)
        else:
            x.respond(body=b"second")

    api.on("/echo", refuse_once)
    proxy = start_proxy(routes=ROUTES, upstreams=[api], tokens=TOKENS)
    assert send(connect(proxy), "POST").body == b"second"
    assert len(refused) == 1
    assert retries(proxy) == 1


def test_a_server_that_refuses_all(start_h2, start_proxy, connect):
    api = start_h2("api.test")
    api.on("/echo", lambda x: x.reset(http2.h2.errors.ErrorCodes.REFUSED_STREAM))
    proxy = start_proxy(routes=ROUTES, upstreams=[api], tokens=TOKENS)
    assert send(connect(proxy), "GET").status == 502
    assert len(api.requests) == 2


def test_a_refusal_behind_a_begun_answer_is_the_end(start_h2, start_proxy, connect):
    api = start_h2("api.test")

    def refuse_late(x):
        x.head(103, [("link", "</a>")])
        x.reset(http2.h2.errors.ErrorCodes.REFUSED_STREAM)

    api.on("/echo", refuse_late)
    proxy = start_proxy(routes=ROUTES, upstreams=[api], tokens=TOKENS)
    assert send(connect(proxy), "GET").status == 502
    assert len(api.requests) == 1


@pytest.mark.parametrize("method, again", [("GET", True), ("POST", False)])
def test_a_kept_h2_connection_that_is_cut(start_h2, start_proxy, connect, method, again):
    api = start_h2("api.test")

    def cut_the_second(x):
        if len(api.requests) == 2:
            x.peer.close()
        else:
            x.respond(body=b"ok")

    api.on("/echo", cut_the_second)
    proxy = start_proxy(routes=ROUTES, upstreams=[api], tokens=TOKENS)
    wire = connect(proxy)
    assert send(wire, "GET").status == 200
    assert send(wire, method).status == (200 if again else 502)
    assert len(api.requests) == (3 if again else 2)

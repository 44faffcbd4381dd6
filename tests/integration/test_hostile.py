"""Peers that leave, break off, send too much or read nothing, at every point; the proxy must not notice for long.

What is judged is the process: no sanitizer report, a clean end, one event for each request it took, descriptors and
memory back where they were, no turning on the spot. It runs on the sanitizer build when there is one.
"""

import collections
import json
import os
import random
import signal
import socket
import ssl
import threading
import time

import pytest

from support import certs, client, http1, paths, upstream
from support.proxy import EgressProxy

SEED = int(os.environ.get("HOSTILE_SEED", "20261122"))
TOKEN = "correct-horse-battery-staple"
SANITIZERS = "detect_leaks=1:detect_stack_use_after_return=1:quarantine_size_mb=16:allocator_release_to_os_interval_ms=0"


@pytest.fixture(autouse=True)
def sanitized(monkeypatch):
    """The sanitizer build lies beside the one that ships."""
    if (paths.BUILD / "asan" / "egress-proxy").exists():
        monkeypatch.setattr(paths, "BUILD", paths.BUILD / "asan")
    monkeypatch.setenv("ASAN_OPTIONS", SANITIZERS)


def eventually(what, holds, seconds=10.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.02)


def connections(proxy):
    return json.loads(proxy.ctl("status", "--json"))["connections"]


def settled(proxy, descriptors):
    """All that was opened is closed again."""
    eventually(lambda: f"{proxy.descriptors()} descriptors, not {descriptors}",
               lambda: proxy.descriptors() <= descriptors)


def assert_rests(proxy):
    """It waits instead of turning on the spot."""
    before = proxy.cpu_seconds()
    time.sleep(0.5)
    assert proxy.cpu_seconds() - before < 0.25


def client_hello(name):
    out = ssl.MemoryBIO()
    tls = client.tls_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


class TestPassthrough:
    """Bytes between two ends of which either may be gone in one direction only."""

    @pytest.fixture
    def gone(self):
        gone = threading.Event()
        yield gone
        gone.set()

    @pytest.fixture
    def splice(self, start_raw, start_proxy):
        """splice(script): (proxy, wire) with the ClientHello on its way to an upstream that runs the script."""
        def open_splice(script):
            began = threading.Event()

            def begin(wire, number):
                assert wire.sock.recv(65536)
                began.set()
                script(wire)

            server = start_raw(begin)
            proxy = start_proxy(routes=[{"host": "p.test", "tls": "passthrough"}], resolve={"p.test": server.host})
            wire = client.connect(proxy.address)
            client.open_tunnel(wire, "p.test:443")
            wire.send(client_hello("p.test"))
            assert began.wait(10)
            return proxy, wire
        return open_splice

    def test_a_reset_after_the_half_close(self, splice, gone):
        """Nothing more can be read of such a client, so only the hang-up tells, for ever."""
        ended = threading.Event()

        def silent(wire):
            while wire.sock.recv(65536):
                pass
            ended.set()
            gone.wait(20)

        proxy, wire = splice(silent)
        wire.finish()
        assert ended.wait(10)
        wire.reset()
        assert_rests(proxy)
        assert proxy.wait_event(event="tunnel")["verdict"] == "error"

    def test_a_reset_behind_full_buffers(self, splice, gone):
        """The upstream reads nothing, so nothing more is read of the client; it leaves by a reset."""
        proxy, wire = splice(lambda w: gone.wait(20))
        wire.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                wire.send(bytes(65536))
        wire.reset()
        assert_rests(proxy)
        assert proxy.wait_event(event="tunnel")["verdict"] == "error"

    def test_closed_by_both_while_bytes_wait(self, splice, gone):
        """The upstream has ended its direction, the client both; what the client sent still has to arrive."""
        got = bytearray()
        go_on, all_read = threading.Event(), threading.Event()

        def late(wire):
            wire.finish()
            go_on.wait(20)
            while True:
                piece = wire.sock.recv(65536)
                if not piece:
                    break
                got.extend(piece)
            all_read.set()

        proxy, wire = splice(late)
        assert wire.read_all() == b""
        sent = 0
        wire.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                sent += wire.sock.send(bytes(65536))
        wire.close()
        assert_rests(proxy)
        go_on.set()
        assert proxy.wait_event(event="tunnel")["verdict"] == "allow"
        assert all_read.wait(10)
        assert len(got) >= sent

    def test_cut_by_the_end_of_the_process(self, splice, gone):
        """What passed is on record, although nobody but us ended it."""
        proxy, wire = splice(lambda w: gone.wait(20))
        proxy.kill()
        assert proxy.end() == 0
        (event,) = [e for e in proxy.events if e["event"] == "tunnel"]
        assert (event["verdict"], event["reason"], event["host"]) == ("error", "shutting-down", "p.test")
        assert event["bytes_in"] > 0
        wire.close()

    def test_rules_of_when_the_first_bytes_come(self, start_proxy, pki):
        """A tunnel that was opened before a change is judged by the rules after it."""
        proxy = start_proxy(routes=[{"host": "p.test", "tls": "passthrough"}], resolve={"p.test": "127.0.0.1"})
        wire = client.connect(proxy.address)
        client.open_tunnel(wire, "p.test:443")
        proxy.ctl("routes", "set", input='{"routes": [{"host": "other.test"}]}')
        inner = client.start_tls(wire, client.tls_context(pki.bottle_cert), "p.test")
        answer = client.get(inner, "p.test")
        assert (answer.status, answer.get("bottle-block-reason")) == (403, "host-not-allowed")
        inner.close()


class TestLimits:
    def test_pipelined_without_reading(self, start_proxy):
        """Requests sent ahead by a client that reads no answer cost one buffer, and wait."""
        proxy = start_proxy(routes=[{"host": "a.test"}])
        before = proxy.status("VmRSS")
        wire = client.connect(proxy.address)
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.sock.settimeout(2)
        request = b"GET http://no.test/ HTTP/1.1\r\nHost: no.test\r\nX: " + b"x" * 2000 + b"\r\n\r\n"
        with pytest.raises(TimeoutError):
            while True:
                wire.send(request * 100)
        assert_rests(proxy)
        assert proxy.status("VmRSS") - before < 40 * 1024
        wire.reset()
        eventually("the connection is gone", lambda: connections(proxy) == 0)

    def test_interim_flood(self, start_raw, start_proxy, pki):
        def flood(wire, number):
            http1.read_request(wire)
            while True:
                wire.send(b"HTTP/1.1 103 Early Hints\r\nX: " + b"x" * 60000 + b"\r\n\r\n")

        server = start_raw(flood, "a.test")
        proxy = start_proxy(routes=[{"host": "a.test"}], resolve={"a.test": server.host})
        wire = client.tunnel(proxy.address, "a.test:443", pki.bottle_cert)
        wire.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert http1.read_response(wire).status == 502
        assert proxy.wait_event(event="request")["verdict"] == "error"
        wire.close()


class Storm:
    """Clients and upstreams that misbehave by the dice of one seed."""

    HOSTS = ("a.test", "b.test", "p.test", "gone.test", "no.test", "plain.test")

    def __init__(self, proxy, servers):
        self.proxy, self.servers = proxy, servers
        self.dice = random.Random(SEED)

    def body(self, dice):
        size = dice.choice([0, 1, 100, 20000, 400000])
        return dice.randbytes(size)

    def request(self, dice, host, absolute=False):
        """(bytes, a whole well-formed request)"""
        scheme = f"http://{host}" if absolute else ""
        path = dice.choice(["/", "/echo", "/chunked", "/hints", "/early", "/cut", "/hang", "/reset", "/close", "/garbage",
                            "/half", "/long", "/slow", "/many", "/tail", "/a%2e%2e/b", "/x.git/git-receive-pack"])
        kind = dice.randrange(6)
        line = f"{scheme}{path} HTTP/1.{dice.choice('1110')}\r\nHost: {host}\r\n"
        if kind < 3:
            return f"{dice.choice(['GET', 'HEAD', 'OPTIONS'])} {line}\r\n".encode()
        body = self.body(dice)
        if kind == 3:
            expect = dice.choice(["", "Expect: 100-continue\r\n"])
            return f"POST {line}{expect}Content-Length: {len(body)}\r\n\r\n".encode() + body
        head = f"POST {line}Transfer-Encoding: chunked\r\n\r\n".encode()
        trailer = dice.choice([b"", b"X-T: 1\r\n", b"X-Auth-Token: 1\r\n", b"Content-Length: 3\r\n"])
        size = dice.choice([b"%x", b"%x;a=b", b"0x%x"])
        return head + (size % len(body) + b"\r\n" + body + b"\r\n" if body else b"") + b"0\r\n" + trailer + b"\r\n"

    def leave(self, dice, wire):
        how = dice.randrange(4)
        try:
            if how == 0:
                wire.reset()
            elif how == 1:
                wire.finish()
                wire.sock.settimeout(0.3)
                wire.read_all()
            elif how == 2:
                wire.sock.settimeout(0.3)
                wire.read_some()
        except (OSError, http1.Closed):
            pass
        wire.close()

    def client(self, number, seed):
        dice = random.Random(seed)
        host = dice.choice(self.HOSTS)
        wire = client.connect(self.proxy.address, 5)
        try:
            if dice.random() < 0.25:
                data = b"".join(self.request(dice, host, True) for _ in range(dice.choice([1, 1, 3])))
            else:
                opening = f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode()
                if dice.random() < 0.1:
                    wire.send(opening[:dice.randrange(len(opening))])
                    return
                client.open_tunnel(wire, f"{host}:443")
                if dice.random() < 0.2:
                    hello = client_hello(host)
                    wire.send(hello[:dice.randrange(len(hello) + 1)] + dice.choice([b"", b"\x17\x03\x03\x00\x05junk!"]))
                    return
                wire = client.start_tls(wire, client.tls_context(), host if dice.random() < 0.9 else "b.test")
                data = b"".join(self.request(dice, host) for _ in range(dice.choice([1, 1, 3])))
            if dice.random() < 0.4:
                data = data[:dice.randrange(len(data) + 1)]
            elif dice.random() < 0.1:
                data = bytes(dice.choice([b, b ^ 1]) if dice.random() < 0.01 else b for b in data)
            at = 0
            while at < len(data):
                piece = dice.choice([1, 100, 16384, len(data)])
                wire.send(data[at:at + piece])
                at += piece
        except (OSError, http1.Closed, http1.Malformed, client.Refused):
            pass
        finally:
            self.leave(dice, wire)


def early(x):
    x.head(headers=[("Content-Length", 2)])
    x.send(b"ok")
    x.close()


def half(x):
    x.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    x.close() if random.random() < 0.5 else x.reset()


def long(x):
    """More than all buffers hold, to somebody who may not read."""
    x.head(headers=[("Content-Length", 4 << 20)])
    for _ in range(64):
        x.send(bytes(1 << 16))


def many(x):
    for _ in range(25):
        x.head(103, "Early Hints", [("Link", "</a>")])
    x.respond()


def hang(x):
    """Not for ever: a client that has left behind more than was read of it is not seen to be gone."""
    x.wire.sock.settimeout(2)
    try:
        x.wire.sock.recv(1)
    except OSError:
        pass
    x.keep = False


def tail(x):
    x.respond(body=TOKEN.encode() * 100 + b"HTTP/1.1 200 OK")
    x.send(b"HTTP/1.1 200 OK\r\n\r\n")
    x.keep = False


def slow(x):
    x.head(headers=[("Transfer-Encoding", "chunked")])
    for word in (TOKEN[:7].encode(), TOKEN[7:].encode()):
        x.chunk(word)
        x.server.stopping.wait(0.02)
    x.end_chunks([("X-T", TOKEN)])


def storm_upstream(start_upstream, name, **more):
    server = start_upstream(name, timeout=5.0, **more)
    for path, handler in {"/early": early, "/half": half, "/long": long, "/many": many, "/tail": tail,
                          "/slow": slow, "/hang": hang}.items():
        server.on(path, handler)
    return server


@pytest.fixture
def storm(start_upstream, start_proxy):
    servers = [storm_upstream(start_upstream, n) for n in ("a.test", "b.test", "p.test")]
    servers.append(storm_upstream(start_upstream, "plain.test", tls=False))
    proxy = start_proxy(
        routes=[
            {"host": "a.test", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"},
            {"host": "b.test", "path_allowlist": ["/echo", "/long", "/hang", "/cut"]},
            {"host": "p.test", "tls": "passthrough"}, {"host": "plain.test"}, {"host": "gone.test"},
        ],
        upstreams=servers, tokens={0: TOKEN}, resolve={"gone.test": "127.0.0.1"},
    )
    return Storm(proxy, servers)


def run_clients(storm, seeds, threads=6):
    """All of them, some at a time."""
    todo = iter(list(enumerate(seeds)))
    lock = threading.Lock()
    broken = []

    def work():
        while True:
            with lock:
                job = next(todo, None)
            if job is None:
                return
            try:
                storm.client(*job)
            except Exception as e:
                broken.append(f"seed {job[1]}: {e!r}")

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not broken, broken[:3]


def assert_recorded(storm):
    """One event for each request, and none of what reached an upstream without one."""
    events = storm.proxy.decisions()
    numbers = [e["request_id"] for e in events]
    assert len(numbers) == len(set(numbers)), "two events for one request"
    for server in storm.servers:
        if server.name == "p.test":
            continue  # its tunnels are told of, what is in them nobody knows
        arrived = sorted(r.path.removeprefix("http://" + server.name) for r in server.requests)
        told = sorted(e["path"] for e in events if e.get("host") == server.name and e["verdict"] != "block"
                      and e["event"] == "request")
        missing = collections.Counter(arrived) - collections.Counter(told)
        assert not missing, f"{server.name} was asked for {missing} without an event"


class TestStorm:
    @pytest.mark.limit(90)
    def test_random_ends(self, storm):
        proxy, dice = storm.proxy, storm.dice
        run_clients(storm, [dice.getrandbits(32) for _ in range(60)])
        eventually("quiet", lambda: connections(proxy) == 0, 20)
        descriptors = proxy.descriptors()
        memory = proxy.status("VmRSS")
        for round in range(3):
            run_clients(storm, [dice.getrandbits(32) for _ in range(80)])
            proxy.ctl("token", "set", "EGRESS_PROXY_TOKEN_0", input=TOKEN)
            proxy.write_routes(proxy.routes_file.read_text())
            proxy.kill(signal.SIGHUP)
        eventually("quiet", lambda: connections(proxy) == 0, 20)
        settled(proxy, descriptors)
        assert_rests(proxy)
        assert proxy.status("VmRSS") - memory < 48 * 1024
        assert_recorded(storm)
        proxy.kill()
        assert proxy.end() == 0
        proxy.check_output()

    @pytest.mark.limit(60)
    @pytest.mark.parametrize("round", range(4))
    def test_ended_in_the_middle(self, storm, round):
        """TERM while all of it goes on: an end in time, and an event for each request that had begun."""
        proxy, dice = storm.proxy, random.Random(SEED + round)
        worker = threading.Thread(target=self.ignoring_refusals, args=(storm, dice))
        worker.start()
        proxy._wait("events", lambda: len(proxy.events) > 10 + 10 * round or None, 20)
        proxy.kill()
        assert proxy.end(9) == 0
        worker.join()
        assert_recorded(storm)
        proxy.check_output()

    @staticmethod
    def ignoring_refusals(storm, dice):
        try:
            run_clients(storm, [dice.getrandbits(32) for _ in range(60)])
        except AssertionError:
            pass  # nobody listens any more

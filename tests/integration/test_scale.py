"""Ten thousand who rest, thousands who ask, more than there are descriptors or memory for."""

import contextlib
import select
import socket
import ssl
import struct
import time

import pytest

from support import certs, client, crowd, http1, upstream

pytestmark = pytest.mark.limit(240)

IDLE = 10_000
IDLE_KIB = 28  # for each: what the budget charges for it (PROXY_CONN_COST, PROXY_TLS_COST), and little more


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    return crowd.raise_descriptors()


@pytest.fixture
def feeder():
    with crowd.Feeder(upstream.free_loopback(), 80) as one:
        yield one


@pytest.fixture
def tls_feeder(pki, tmp_path):
    context = upstream.server_context(certs.server(pki.root, "tls.test"), tmp_path)
    with crowd.Feeder(upstream.free_loopback(), 443, context) as one:
        yield one


@contextlib.contextmanager
def closing(socks):
    """All are closed at the end, whatever happened."""
    try:
        yield socks
    finally:
        for sock in socks:
            sock.close()


def ask(proxy, target="http://plain.test/"):
    """One request on a connection of its own."""
    wire = client.connect(proxy.address)
    try:
        return client.get(wire, "plain.test", target, headers=[("Connection", "close")])
    finally:
        wire.close()


def send_get(sock, host, target):
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


def overload_events(proxy, reason):
    return [e for e in proxy.events if e.get("reason") == reason]


class TestIdle:
    def test_ten_thousand_intercepted_tunnels(self, start_proxy, pki):
        proxy = start_proxy(routes=[{"host": "api.test"}], resolve={"api.test": "127.0.0.1"})
        context = client.tls_context(pki.bottle_cert)
        first = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        # Tickets come with the first answer; a resumed handshake costs a fraction.
        assert client.get(first, "other.test").status == 421
        session = first.sock.session
        context = first.sock.context
        before = proxy.status("VmRSS")
        with closing(crowd.open_tunnels(proxy.address, "api.test:443", IDLE, context, session)) as tunnels:
            each = (proxy.status("VmRSS") - before) / IDLE
            assert each <= IDLE_KIB, f"{each:.1f} KiB for each idle tunnel"
            assert proxy.descriptors() > IDLE
            for sock in tunnels[::100]:
                send_get(sock, "other.test", "/")
            for answer in crowd.read_until(tunnels[::100], b"}}\n").values():
                assert answer.startswith(b"HTTP/1.1 421 ")
            # Who has asked rests as cheaply as who has not.
            assert (proxy.status("VmRSS") - before) / IDLE <= IDLE_KIB
        first.close()
        assert client.tunnel(proxy.address, "api.test:443", pki.bottle_cert).sock.version()

    def test_thousands_that_pass_through(self, start_proxy, feeder, pki, tmp_path):
        """Each takes two descriptors and no TLS of ours."""
        count = 3000
        hello = _client_hello("raw.test")
        silent = socket.create_server((feeder.host, 443), backlog=4096)
        proxy = start_proxy(routes=[{"host": "raw.test", "tls": "passthrough"}], resolve={"raw.test": feeder.host})
        before = proxy.status("VmRSS")
        with closing(crowd.open_tunnels(proxy.address, "raw.test:443", count)) as tunnels, closing([silent]) as far:
            for sock in tunnels:
                sock.sendall(hello)
                far.append(silent.accept()[0])
            for sock in far[1:]:
                assert sock.recv(len(hello), socket.MSG_WAITALL) == hello
            each = (proxy.status("VmRSS") - before) / count
            assert each <= 8, f"{each:.1f} KiB for each tunnel"


def _client_hello(name):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.tls_context().wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_two_thousand_streams_at_once(start_proxy, feeder, tls_feeder, pki):
    """Server-sent events, in lockstep: nobody gets the next one before all have had this one."""
    proxy = start_proxy(routes=[{"host": "plain.test"}, {"host": "tls.test"}],
                        resolve={"plain.test": feeder.host, "tls.test": tls_feeder.host})
    base = proxy.status("VmRSS")
    plain = [socket.create_connection(proxy.address) for _ in range(1000)]
    tls = crowd.open_tunnels(proxy.address, "tls.test:443", 1000, client.tls_context(pki.bottle_cert))
    with closing(plain + tls) as everybody:
        for sock in plain:
            send_get(sock, "plain.test", "http://plain.test/drip")
        for sock in tls:
            send_get(sock, "tls.test", "/drip")
        for number in range(3):
            got = crowd.read_until(everybody, b"data: %d\n\n\r\n" % number)
            assert all(number or answer.startswith(b"HTTP/1.1 200 ") for answer in got.values())
            if number == 0:
                each = (proxy.status("VmRSS") - base) / len(everybody)
                assert each <= 100, f"{each:.1f} KiB for each stream"
            for one in (feeder, tls_feeder):
                one.tick() if number < 2 else one.finish()
        crowd.read_until(everybody, b"0\r\n\r\n")
    proxy.wait_event(host="plain.test", verdict="allow")
    assert not [e for e in proxy.decisions() if e["verdict"] != "allow"]


class TestDescriptors:
    FEW = 64

    @pytest.fixture
    def proxy(self, start_proxy, feeder):
        # The soft limit is lower still: the proxy raises it.
        return start_proxy(routes=[{"host": "plain.test"}], resolve={"plain.test": feeder.host},
                           under=["prlimit", f"--nofile={self.FEW // 2}:{self.FEW}"])

    def test_too_many_clients(self, proxy):
        """They are told; who was there before goes on; nothing spins; later there is room again."""
        early = client.connect(proxy.address)
        assert client.get(early, "plain.test", "http://plain.test/").status == 200
        with closing([socket.create_connection(proxy.address) for _ in range(self.FEW)]) as crowd_of_many:
            # Those who say nothing are waited for, but not for long and not in any number.
            for _ in range(3):
                answer = ask(proxy)
                assert (answer.status, answer.get("bottle-block-reason")) == (503, "too-many-connections")
                assert b'"too-many-connections"' in answer.body
            assert client.get(early, "plain.test", "http://plain.test/").status == 200
            assert proxy.descriptors() > self.FEW // 2
            before, ended = proxy.cpu_seconds(), _closed(crowd_of_many, 0)
            assert ended
            late = _closed(set(crowd_of_many) - ended, 30)
            assert late and len(ended) + len(late) < len(crowd_of_many)
            assert proxy.cpu_seconds() - before < 1
            # With their descriptors free, the answer can wait for the question.
            answer = ask(proxy)
            assert (answer.status, answer.get("connection")) == (503, "close")
        assert client.get(early, "plain.test", "http://plain.test/").status == 200
        early.close()
        _until(lambda: ask(proxy).status == 200)
        assert len(overload_events(proxy, "too-many-connections")) >= 4

    def test_none_left_for_the_upstream(self, proxy, feeder):
        wires = [client.connect(proxy.address) for _ in range(28)]
        with closing([wire.sock for wire in wires]):
            for wire in wires:
                assert client.get(wire, "egress-proxy.local", "http://egress-proxy.local/allowlist").status == 200
            for wire in wires[1:]:
                wire.send(b"GET http://plain.test/hang HTTP/1.1\r\nHost: plain.test\r\n\r\n")
            refused = proxy.wait_event(reason="overloaded")
            assert (refused["status"], refused["verdict"], refused["host"]) == (503, "error", "plain.test")
            answer = client.get(wires[0], "plain.test", "http://plain.test/")
            assert (answer.status, answer.get("bottle-block-reason")) == (503, "overloaded")
            _until(lambda: feeder.waiting > 0)
            # Nor for one more client; the listener has put one aside to say so.
            answer = ask(proxy)
            assert (answer.status, answer.get("bottle-block-reason")) == (503, "too-many-connections")
            proxy.wait_event(reason="too-many-connections")
        _until(lambda: ask(proxy).status == 200)

    def test_kept_connections_give_way(self, start_proxy, feeder):
        """To an upstream of now: those that are kept for later are closed for their descriptors."""
        proxy = start_proxy(routes=[{"host": "plain.test"}, {"host": "other.test"}],
                            resolve={"plain.test": feeder.host, "other.test": feeder.host},
                            under=["prlimit", f"--nofile={self.FEW}"])
        with closing([socket.create_connection(proxy.address) for _ in range(22)]) as socks:
            for sock in socks:
                send_get(sock, "plain.test", "http://plain.test/drip")
            crowd.read_until(socks, b"data: 0\n\n\r\n")
            feeder.finish()
            crowd.read_until(socks, b"0\r\n\r\n")
            with closing([socket.create_connection(proxy.address) for _ in range(self.FEW)]):
                assert ask(proxy).status == 503
                for sock in socks:
                    send_get(sock, "other.test", "http://other.test/big/3")
                for answer in crowd.read_until(socks, bytes(3)).values():
                    assert answer.startswith(b"HTTP/1.1 200 ")

    def test_a_storm_of_connections_that_close_at_once(self, start_proxy, feeder):
        proxy = start_proxy(routes=[{"host": "plain.test"}], resolve={"plain.test": feeder.host})
        assert ask(proxy).status == 200
        open_before, memory, cpu = proxy.descriptors(), proxy.status("VmRSS"), proxy.cpu_seconds()
        for number in range(5000):
            with socket.create_connection(proxy.address) as sock:
                if number % 2:  # a reset
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert ask(proxy).status == 200
        _until(lambda: proxy.descriptors() <= open_before)
        assert proxy.cpu_seconds() - cpu < 5
        assert proxy.status("VmRSS") - memory < 4 * 1024


class TestMemory:
    """A budget of 64 MiB, and readers that do not read."""

    MIB = 64
    BODY = 1 << 20

    @pytest.fixture
    def proxy(self, start_proxy, feeder):
        return start_proxy(routes=[{"host": "plain.test"}], resolve={"plain.test": feeder.host},
                           options=["--memory", str(self.MIB)])

    def test_stalled_readers(self, proxy, feeder):
        """Thousands of them: those who came first keep what they have, later ones are refused; nobody is cut."""
        assert ask(proxy).status == 200
        base = proxy.status("VmRSS")
        drip = socket.create_connection(proxy.address)
        send_get(drip, "plain.test", "http://plain.test/drip")
        crowd.read_until([drip], b"data: 0\n\n\r\n")
        early = client.connect(proxy.address)
        assert client.get(early, "plain.test", "http://plain.test/").status == 200
        readers = [_stalled_reader(proxy, self.BODY) for _ in range(3000)]
        with closing(readers + [drip, early.sock]):
            _until(lambda: len(overload_events(proxy, "too-many-connections")) > len(readers) // 2)
            assert ask(proxy).get("bottle-block-reason") == "too-many-connections"
            answer = client.get(early, "plain.test", "http://plain.test/")
            assert (answer.status, answer.get("bottle-block-reason")) == (503, "overloaded")
            proxy.wait_event(reason="overloaded", verdict="block", status=503)
            assert proxy.status("VmHWM") - base < self.MIB * 1024
            # What was under way goes on.
            feeder.tick()
            crowd.read_until([drip], b"data: 1\n\n\r\n")
            feeder.finish()
            crowd.read_until([drip], b"0\r\n\r\n")
            sizes = _read_bodies(readers)
            assert set(sizes) == {0, self.BODY}
            assert sizes.count(self.BODY) > 100
            assert proxy.status("VmHWM") - base < self.MIB * 1024
            assert client.get(early, "plain.test", "http://plain.test/").status == 200

    def test_stalled_tunnels(self, start_proxy, feeder):
        """What passes through without TLS of ours takes part in the same budget."""
        count, mib, body = 100, 16, 1 << 20
        server = socket.create_server((feeder.host, 443), backlog=count)
        hello = _client_hello("raw.test")
        proxy = start_proxy(routes=[{"host": "raw.test", "tls": "passthrough"}], resolve={"raw.test": feeder.host},
                            options=["--memory", str(mib)])
        base = proxy.status("VmRSS")
        with closing([_small_window(proxy) for _ in range(count)]) as clients, closing([server]) as far:
            for sock in clients:
                sock.sendall(b"CONNECT raw.test:443 HTTP/1.1\r\nHost: raw.test:443\r\n\r\n")
            crowd.read_until(clients, b"\r\n\r\n")
            for sock in clients:
                sock.setblocking(True)
                sock.sendall(hello)
                far.append(server.accept()[0])
                far[-1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, body)
                assert far[-1].recv(len(hello), socket.MSG_WAITALL) == hello
            for sock in far[1:]:
                sock.setblocking(False)
                sock.send(bytes(body))
            # Another connection is served after what came before it was looked at.
            assert ask(proxy).status >= 400
            assert proxy.status("VmHWM") - base < mib * 1024

    def test_a_few_hurt_nobody(self, proxy):
        """Far from the maximum the others notice nothing."""
        readers = [_stalled_reader(proxy, self.BODY) for _ in range(20)]
        with closing(readers):
            for _ in range(20):
                assert ask(proxy).status == 200
            assert len(ask(proxy, f"http://plain.test/big/{self.BODY}").body) == self.BODY


def _small_window(proxy):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(proxy.address)
    return sock


def _stalled_reader(proxy, size):
    sock = _small_window(proxy)
    send_get(sock, "plain.test", f"http://plain.test/big/{size}")
    return sock


def _read_bodies(socks):
    """How many bytes of body each 200 had; 0 for a 503."""
    sizes = []
    for sock in socks:
        sock.settimeout(30)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        head = b""
        while b"\r\n\r\n" not in head:
            part = sock.recv(4096)
            assert part, head
            head += part
        if head.startswith(b"HTTP/1.1 503 "):
            sizes.append(0)
            continue
        size = len(head.partition(b"\r\n\r\n")[2])
        want = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while size < want:
            part = sock.recv(1 << 18)
            assert part, f"cut after {size} bytes"
            size += len(part)
        sizes.append(size)
    return sizes


def _closed(socks, seconds):
    """Those that the other side has closed, once one of them is."""
    poll = select.poll()
    for sock in socks:
        poll.register(sock, select.POLLRDHUP)
    numbers = {number for number, _ in poll.poll(seconds * 1000)}
    return {sock for sock in socks if sock.fileno() in numbers}


def _until(holds, seconds=30):
    """For what comes when somebody gets to it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(http1.Closed, OSError):
            if holds():
                return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")

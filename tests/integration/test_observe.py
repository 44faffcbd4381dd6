"""A running proxy seen from outside: its metrics, and what `ctl` shows."""

import collections
import socket
import ssl

import pytest

from support import client, prometheus

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")

PREFIX = "egress_proxy_"


@pytest.fixture
def api(start_upstream):
    return start_upstream("api.test")


@pytest.fixture
def proxy(start_proxy, api):
    return start_proxy(routes=[{"host": "api.test"}], upstreams=[api])


def ask(proxy, pki, target="/echo", host="api.test", data=None, **more):
    wire = client.tunnel(proxy.address, f"{host}:443", pki.bottle_cert, **more)
    try:
        if data is None:
            return client.get(wire, host, target)
        return client.request(wire, f"POST {target} HTTP/1.1\r\nHost: {host}\r\n"
                                    f"Content-Length: {len(data)}\r\n\r\n".encode() + data, "POST")
    finally:
        wire.close()


class Metrics(dict):
    """All families of a proxy now, by their names without the prefix."""

    def __init__(self, proxy):
        families = prometheus.parse(proxy.ctl("metrics"))
        assert all(name.startswith(PREFIX) for name in families)
        super().__init__({name[len(PREFIX):]: family for name, family in families.items()})


class TestMetrics:
    def test_over_http(self, start_proxy):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        proxy = start_proxy(options=("--health", f"127.0.0.1:{port}"))
        wire = client.connect(("127.0.0.1", port))
        answer = client.get(wire, "127.0.0.1", "/metrics")
        wire.close()
        assert answer.status == 200
        assert answer.get("content-type") == "text/plain; version=0.0.4; charset=utf-8"
        assert answer.body.decode() == proxy.ctl("metrics"), "one text, by either way"

    def test_before_anything_happened(self, start_proxy):
        metrics = Metrics(start_proxy())
        assert metrics["requests_total"].value(verdict="allow") == 0
        assert metrics["request_duration_seconds"].count == 0
        assert metrics["build_info"].value() == 1

    def test_they_count_what_the_events_say(self, proxy, pki, api):
        ask(proxy, pki, data=b"x" * 1000)
        ask(proxy, pki, "/download/5000")
        ask(proxy, pki, "/x/git-receive-pack")
        ask(proxy, pki, host="evil.test")
        ask(proxy, pki, host="evil.test")
        ask(proxy, pki, "/garbage")
        wire = client.connect(proxy.address)
        client.open_tunnel(wire, "evil.test:443")
        wire.send(b"not TLS at all\r\n\r\n")
        assert wire.sock.recv(100) == b""
        wire.close()
        proxy.wait_event(event="tunnel")
        proxy.wait_event(path="/garbage")
        metrics = Metrics(proxy)
        told = collections.Counter(
            (e["event"] + "s_total", e["verdict"], e.get("reason", "")) for e in proxy.decisions())
        counted = {(name, dict(labels)["verdict"], dict(labels)["reason"]): int(value)
                   for name in ("requests_total", "tunnels_total")
                   for (_, labels), value in metrics[name].samples.items() if value}
        assert counted == dict(told)
        assert len(counted) == 5
        events = proxy.decisions()
        assert metrics["request_bytes_total"].value() == sum(e["bytes_in"] for e in events) == 1000
        assert metrics["response_bytes_total"].value() == sum(e["bytes_out"] for e in events) > 5000
        requests = [e for e in events if e["event"] == "request"]
        assert metrics["request_duration_seconds"].count == len(requests) == 6
        assert metrics["request_duration_seconds"].sum == pytest.approx(sum(e["ms"] for e in requests) / 1000)
        assert metrics["response_start_seconds"].count == 2, "two had an answer from the upstream"

    def test_connections(self, proxy, pki):
        wires = [client.connect(proxy.address) for _ in range(3)]
        for wire in wires:
            client.open_tunnel(wire, "api.test:443")
        metrics = Metrics(proxy)
        assert metrics["connections_open"].value() == 3 and metrics["connections_total"].value() == 3
        for wire in wires:
            wire.close()

    def test_handshakes_and_leaves(self, proxy, pki):
        for host in ("api.test", "api.test", "evil.test"):
            ask(proxy, pki, host=host)
        with pytest.raises(ssl.SSLError):
            ask(proxy, pki, version=ssl.TLSVersion.TLSv1_1)
        proxy.wait_event(reason="client-tls")
        metrics = Metrics(proxy)
        handshakes = metrics["tls_handshakes_total"]
        assert handshakes.value(side="client", result="full") == 3
        assert handshakes.value(side="client", result="failed") == 1
        leaves = [metrics[f"leaf_cache_{name}"].value() for name in ("entries", "mints_total", "hits_total")]
        assert leaves == [2, 2, 1]

    def test_reloads(self, proxy):
        assert Metrics(proxy)["policy_generation"].value() == 1
        proxy.ctl("routes", "set", input='{"routes": []}')
        proxy.ctl("routes", "set", input="nonsense", check=False)
        metrics = Metrics(proxy)
        assert [metrics[n].value() for n in ("policy_generation", "reloads_total", "reloads_failed_total")] == [2, 1, 1]

"""A running proxy seen from outside: its metrics, and what `ctl` shows."""

import collections
import json
import socket
import ssl
import subprocess
import sys

import pytest

from support import client, http1, paths, prometheus

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
        # The answer itself takes some memory.
        one, other = ([line for line in text.splitlines() if not line.startswith(PREFIX + "memory_bytes ")]
                      for text in (answer.body.decode(), proxy.ctl("metrics")))
        assert one == other, "one text, by either way"

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

    def test_upstream(self, start_proxy, start_upstream, api, pki):
        bad = start_upstream("bad.test", "expired")
        plain = start_upstream("plain.test", tls=False)
        proxy = start_proxy(routes=[{"host": h} for h in ("api.test", "bad.test", "plain.test")],
                            upstreams=[api, bad, plain])
        for host in ("api.test", "api.test", "bad.test"):
            ask(proxy, pki, host=host)
        wire = client.connect(proxy.address)
        assert client.get(wire, "plain.test", "http://plain.test/").status == 200
        wire.close()
        metrics = Metrics(proxy)
        handshakes = metrics["tls_handshakes_total"]
        assert [handshakes.value(side="upstream", result=r) for r in ("full", "resumed", "failed")] == [1, 0, 1]
        assert metrics["upstream_connect_seconds"].count == 2, "those that were made: one for TLS, one for plain"
        assert metrics["upstream_requests_total"].value(connection="new") == 2
        assert metrics["upstream_requests_total"].value(connection="kept") == 1
        assert metrics["upstream_dials_total"].value(result="failed") == 1

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_resumption(self, start_proxy, start_upstream, pki, version):
        """Both sides: the client presents our ticket, and we present the upstream's."""
        api = start_upstream("api.test")
        api.on("/close", lambda x: (x.respond(headers=[("Connection", "close")]), x.close()))
        proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[api])
        context = client.tls_context(pki.bottle_cert, version=version)
        session = None
        for _ in range(2):
            wire = client.connect(proxy.address)
            client.open_tunnel(wire, "api.test:443")
            sock = context.wrap_socket(wire.sock, server_hostname="api.test", session=session)
            wire = http1.Wire(sock, 10)
            assert client.get(wire, "api.test", "/close").status == 200
            session = sock.session
            wire.close()
        handshakes = Metrics(proxy)["tls_handshakes_total"]
        for side in ("client", "upstream"):
            assert [handshakes.value(side=side, result=r) for r in ("full", "resumed")] == [1, 1], side

    def test_reloads(self, proxy):
        assert Metrics(proxy)["policy_generation"].value() == 1
        proxy.ctl("routes", "set", input='{"routes": []}')
        proxy.ctl("routes", "set", input="nonsense", check=False)
        metrics = Metrics(proxy)
        assert [metrics[n].value() for n in ("policy_generation", "reloads_total", "reloads_failed_total")] == [2, 1, 1]


def connections(proxy, *options):
    """The answer, and of its list the entries by where they go."""
    answer = json.loads(proxy.ctl("connections", "--json", *options))
    return answer, {c.get("to"): c for c in answer["list"]}


class TestConnections:
    def test_each_state(self, start_proxy, start_upstream, api, pki):
        raw = start_upstream("raw.test")
        proxy = start_proxy(routes=[{"host": "api.test"}, {"host": "raw.test", "tls": "passthrough"}],
                            upstreams=[api, raw])
        wires = [client.connect(proxy.address), client.connect(proxy.address)]
        client.open_tunnel(wires[1], "waiting.test:443")
        wires.append(client.tunnel(proxy.address, "api.test:443", pki.bottle_cert))
        assert client.get(wires[2], "api.test").status == 200
        wires[2].send(b"GET /hang HTTP/1.1\r\nHost: api.test\r\n\r\n")
        wires.append(client.tunnel(proxy.address, "raw.test:443", pki.root_cert))
        assert client.get(wires[3], "raw.test").status == 200
        wires.append(client.tunnel(proxy.address, "h2.test:443", pki.bottle_cert, alpn=("h2",)))
        api.wait_requests(2)
        answer, by_to = connections(proxy)
        assert answer["connections"] == len(answer["list"]) == 5
        states = {to: (c["state"], c.get("protocol"), c["exchanges"], c["open"]) for to, c in by_to.items()}
        assert states == {
            None: ("proxy", "http/1.1", 0, 0),
            "waiting.test:443": ("tunnel", None, 0, 0),
            "api.test:443": ("intercepted", "http/1.1", 2, 1),
            "raw.test:443": ("passthrough", None, 0, 0),
            "h2.test:443": ("intercepted", "h2", 0, 0),
        }
        for wire, c in zip(wires[:1] + wires[2:3], (by_to[None], by_to["api.test:443"])):
            assert c["peer"] == "%s:%d" % wire.sock.getsockname()
        assert by_to[None]["bytes_in"] == 0
        assert by_to["raw.test:443"]["bytes_in"] > 300 < by_to["raw.test:443"]["bytes_out"]
        for c in answer["list"]:
            assert 0 <= c["idle_ms"] <= c["age_ms"] < 60_000
        text = proxy.ctl("connections")
        assert text.startswith("connections: 5\n") and "api.test:443" in text and "passthrough" in text
        for wire in wires:
            wire.close()

    def test_a_plain_request_shows_where_it_goes(self, start_proxy, start_upstream):
        plain = start_upstream("plain.test", tls=False)
        proxy = start_proxy(routes=[{"host": "plain.test"}], upstreams=[plain])
        wire = client.connect(proxy.address)
        wire.send(b"GET http://plain.test/hang HTTP/1.1\r\nHost: plain.test\r\n\r\n")
        plain.wait_requests(1)
        assert connections(proxy)[1]["plain.test:80"]["open"] == 1
        wire.close()

    def test_the_list_is_bounded(self, start_proxy):
        """Whatever is asked for and however many there are: the loop that answers has others to serve."""
        proxy = start_proxy()
        wires = [client.connect(proxy.address) for _ in range(1010)]
        client.open_tunnel(wires[-1], "last.test:443")
        answer, by_to = connections(proxy, "--limit", "3")
        assert answer["connections"] == 1010 and len(answer["list"]) == 3
        assert answer["list"][0]["to"] == "last.test:443", "the newest come first"
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(proxy.control))
            raw.sendall(b'{"command": "connections", "limit": 1000000}\n')
            with raw.makefile() as lines:
                assert len(json.loads(lines.readline())["list"]) == 1000
        for wire in wires:
            wire.close()


class TestControl:
    def test_status(self, proxy):
        text = proxy.ctl("status")
        answer = json.loads(proxy.ctl("status", "--json"))
        assert text.splitlines() == [
            "generation: 1", f"sha256: {answer['sha256']}", "connections: 0", "draining: no", "log level: info",
            "credentials missing: none"]

    def test_leaf_cache(self, proxy, pki):
        assert "entries: 0\n" in proxy.ctl("leaf-cache")
        for host in ("api.test", "other.test", "api.test"):
            ask(proxy, pki, host=host)
        answer = json.loads(proxy.ctl("leaf-cache", "--json"))
        assert [answer[k] for k in ("entries", "mints", "hits")] == [2, 2, 1]
        assert [leaf["host"] for leaf in answer["list"]] == ["api.test", "other.test"]
        lines = proxy.ctl("leaf-cache").splitlines()
        assert lines[-2].split()[1:] == ["d", "api.test"]

    @pytest.mark.parametrize("words", [("loud",), ("debug", "--for", "2h"), ("debug", "--for", "0s"), ()])
    def test_log_level_refused(self, proxy, words):
        assert proxy.ctl("log-level", *words, check=False).returncode != 0
        assert "log level: info" in proxy.ctl("status")

    def test_log_level(self, proxy):
        assert "log level: debug\n" in proxy.ctl("log-level", "debug", "--for", "1m")


def test_what_is_not_on_record_does_not_happen(api, pki, tmp_path):
    """When nobody reads the events any more, nothing is forwarded any more, and whoever looks is told."""
    routes, control = tmp_path / "routes.json", tmp_path / "control.sock"
    routes.write_text('{"routes": [{"host": "api.test"}]}')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [paths.applet("egress-proxy"), "--routes", routes, "--listen", "127.0.0.1:0", "--ca", pki.bottle_ca,
         "--upstream-ca", pki.root_cert, "--resolve", f"api.test:443:{api.host}", "--control", control,
         "--health", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        host, _, listen = json.loads(process.stdout.readline())["listen"].rpartition(":")
        process.stdout.close()

        def get(target):
            wire = client.tunnel((host, int(listen)), "api.test:443", pki.bottle_cert)
            try:
                return client.get(wire, "api.test", target)
            finally:
                wire.close()

        assert get("/echo").status == 200, "its event is the first that is lost"
        with pytest.raises(client.Refused) as refused:
            get("/echo")
        assert refused.value.response.status == 503
        assert len(api.requests) == 1
        wire = client.connect(("127.0.0.1", port))
        assert client.get(wire, "127.0.0.1", "/health").status == 503
        metrics = prometheus.parse(client.get(wire, "127.0.0.1", "/metrics").body.decode())
        assert metrics["egress_proxy_events_lost_total"].value() == 2
        wire.close()
    finally:
        process.terminate()
        talk = process.communicate(timeout=10)[1]
    assert talk.count("refusing every request") == 1 and process.returncode == 0


def test_debug_tells_the_way_of_a_request_and_no_secret(start_proxy, start_upstream, pki):
    secrets = {"credential": "correct-horse-battery", "cookie": "cookie-battery", "key": "query-battery",
               "body": "body-battery", "answer": "answer-battery", "path": "path-battery"}
    api = start_upstream("api.test")
    api.otherwise = lambda x: x.respond(body=secrets["answer"].encode(), headers=[("Set-Cookie", secrets["cookie"])])
    proxy = start_proxy(routes=[{"host": "api.test", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"},
                                {"host": "gone.test"}],
                        upstreams=[api], tokens={0: secrets["credential"]}, resolve={"gone.test": "127.99.99.99"})
    proxy.ctl("log-level", "debug")
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    body = secrets["body"]
    for _ in range(2):
        client.request(wire, f"POST /{secrets['path']}?q={secrets['key']} HTTP/1.1\r\nHost: api.test\r\n"
                             f"Cookie: {secrets['cookie']}\r\nAuthorization: Basic {secrets['credential']}\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n{body}", "POST")
    wire.close()
    ask(proxy, pki, host="gone.test")
    peer = proxy.wait_talk(": connected").split()[2]
    for step in (f"{peer} CONNECT api.test:443", f"{peer} TLSv1.3, name api.test, protocol http/1.1",
                 "POST for api.test:443 allowed by route api.test, credential EGRESS_PROXY_TOKEN_0",
                 "api.test:443: connecting to 1 address", "api.test:443: TLSv1.3, http/1.1",
                 "api.test:443: connected in", "api.test:443: request on a new connection",
                 "sent by http/1.1", "answered with 200", "request on a kept connection",
                 "gone.test:443: not connected: ", f"{peer} closed after 2 requests"):
        assert proxy.wait_talk(step).startswith("egress-proxy: debug: ")
    talk = "".join(proxy.talk)
    for name, value in secrets.items():
        assert value not in talk, name


def test_the_example_of_the_help_works_as_it_is(tmp_path, require):
    """Pasted into a shell on a machine where nothing of ours runs, by a user who has read no further."""
    require("curl")
    text = subprocess.run([paths.applet("egress-proxy"), "--help"], text=True, capture_output=True).stdout
    example = text[text.index("Example:\n") + len("Example:\n"):].split("\n\n")[0]
    done = subprocess.run([sys.executable, paths.REPO / "tests" / "support" / "try_it.py", tmp_path], input=example,
                          text=True, capture_output=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "this is example.com" in done.stdout

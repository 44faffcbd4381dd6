"""Through another proxy (EGRESS_PROXY_UPSTREAM_PROXY, _CA): always through it, never around it."""

import json
import subprocess

import pytest

from support import certs, client, forward, paths, upstream

TOKEN = "correct-horse-battery-staple"


@pytest.fixture
def api(start_upstream):
    return start_upstream("api.test")


@pytest.fixture
def gate(api):
    with forward.ForwardProxy({("api.test", 443): (api.host, api.port)}) as gate:
        yield gate


def ask(proxy, pki, target="/echo"):
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    try:
        return client.get(wire, "api.test", target)
    finally:
        wire.close()


def test_every_connection_goes_through_the_gate(api, gate, start_proxy, pki):
    proxy = start_proxy(routes=[{"host": "api.test", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"}],
                        tokens={0: TOKEN}, env={"EGRESS_PROXY_UPSTREAM_PROXY": gate.url})
    assert ask(proxy, pki).status == 200
    assert [r.start for r in gate.requests] == ["CONNECT api.test:443 HTTP/1.1"]
    assert api.requests[0].get("authorization") == f"Bearer {TOKEN}"
    assert TOKEN not in str([r.headers for r in gate.requests])


def test_plain_http_goes_in_absolute_form(start_upstream, start_proxy, pki):
    plain = start_upstream("plain.test", tls=False)
    with forward.ForwardProxy({("plain.test", 80): (plain.host, plain.port)}) as gate:
        proxy = start_proxy(routes=[{"host": "plain.test"}], env={"EGRESS_PROXY_UPSTREAM_PROXY": gate.url})
        wire = client.connect(proxy.address)
        answer = client.request(wire, "GET http://plain.test/echo?a HTTP/1.1\r\nHost: plain.test\r\n\r\n")
        wire.close()
        assert json.loads(answer.body)["target"] == "/echo?a"
        assert [r.start for r in gate.requests] == ["GET http://plain.test/echo?a HTTP/1.1"]


def test_a_gate_that_is_down_is_never_gone_around(api, start_proxy, pki):
    """The upstream itself could be reached: --resolve says where."""
    with forward.ForwardProxy({}) as gone:
        url = gone.url
    proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[api], env={"EGRESS_PROXY_UPSTREAM_PROXY": url})
    answer = ask(proxy, pki)
    assert (answer.status, answer.get("bottle-block-reason")) == (502, "gate-unreachable")
    assert api.connections == 0


def test_the_gates_own_reason_is_passed_on(api, start_proxy, pki):
    with forward.ForwardProxy({}, refuse=(403, "Forbidden", "dlp-block")) as gate:
        proxy = start_proxy(routes=[{"host": "api.test"}], env={"EGRESS_PROXY_UPSTREAM_PROXY": gate.url})
        answer = ask(proxy, pki)
        assert (answer.status, answer.get("bottle-block-reason")) == (403, "dlp-block")
        assert json.loads(answer.body)["error"]["component"] == "gate"
        proxy.wait_event(verdict="block", host="api.test")


def test_a_gate_that_speaks_rubbish(api, start_proxy, pki):
    def script(wire, _):
        wire.read_line()
        wire.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    with upstream.RawServer(script) as gate:
        proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[api],
                            env={"EGRESS_PROXY_UPSTREAM_PROXY": f"http://{gate.host}:{gate.port}"})
        answer = ask(proxy, pki)
        assert answer.status == 502 and answer.get("bottle-block-reason") in ("gate-unreachable", "upstream-protocol")
    assert api.connections == 0


def test_bytes_behind_the_gates_answer_are_not_lost(pki, tmp_path, start_proxy):
    """The gate's 200 and the first bytes of the tunnel may come in one packet."""
    context = upstream.server_context(certs.server(pki.root, "api.test"), tmp_path)

    def script(wire, _):
        while wire.read_line():
            pass
        wire.send(b"HTTP/1.1 200 OK\r\nX-Gate: yes\r\n\r\n")
        server = upstream.http1.Wire(context.wrap_socket(wire.sock, server_side=True), wire.timeout)
        upstream.http1.read_request(server)
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        server.close_in_order()

    with upstream.RawServer(script) as gate:
        proxy = start_proxy(routes=[{"host": "api.test"}],
                            env={"EGRESS_PROXY_UPSTREAM_PROXY": f"http://{gate.host}:{gate.port}"})
        assert ask(proxy, pki).body == b"ok"


def test_the_gates_ca(pki, tmp_path, start_proxy):
    """A gate that intercepts: its CA comes by EGRESS_PROXY_UPSTREAM_CA."""
    authority = certs.authority("Gate CA")
    file = authority.write_cert(tmp_path)
    with upstream.Upstream(certs.server(authority, "api.test"), tmp_path) as inner:
        with forward.ForwardProxy({("api.test", 443): (inner.host, inner.port)}) as gate:
            environment = {"EGRESS_PROXY_UPSTREAM_PROXY": gate.url}
            proxy = start_proxy(routes=[{"host": "api.test"}], env=environment, upstream_ca=[])
            assert ask(proxy, pki).get("bottle-block-reason") == "upstream-tls"
            environment["EGRESS_PROXY_UPSTREAM_CA"] = str(file)
            proxy = start_proxy(routes=[{"host": "api.test"}], env=environment, upstream_ca=[])
            assert ask(proxy, pki).status == 200


@pytest.mark.parametrize("environment, named", [
    ({"EGRESS_PROXY_UPSTREAM_CA": "ROOT"}, "EGRESS_PROXY_UPSTREAM_PROXY"),
    ({"EGRESS_PROXY_UPSTREAM_PROXY": "http://127.0.0.1:1", "EGRESS_PROXY_UPSTREAM_CA": "/no/such/file"}, "/no/such/file"),
    ({"EGRESS_PROXY_UPSTREAM_PROXY": "gate:8888"}, "EGRESS_PROXY_UPSTREAM_PROXY"),
    ({"EGRESS_PROXY_UPSTREAM_PROXY": "http://me:secret@gate:8888"}, "EGRESS_PROXY_UPSTREAM_PROXY"),
    ({"EGRESS_PROXY_UPSTREAM_PROXY": "http://gate:8888/path"}, "EGRESS_PROXY_UPSTREAM_PROXY"),
])
def test_wrong_settings_are_start_errors(pki, tmp_path, environment, named):
    environment = {k: str(pki.root_cert) if v == "ROOT" else v for k, v in environment.items()}
    routes = tmp_path / "routes.json"
    routes.write_text('{"routes": []}')
    done = subprocess.run(
        [paths.applet("egress-proxy"), "--routes", routes, "--ca", pki.bottle_ca, "--listen", "127.0.0.1:0"],
        env=environment, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    assert done.returncode in (1, 2)
    assert named in done.stderr and "secret" not in done.stderr

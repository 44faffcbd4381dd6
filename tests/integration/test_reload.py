"""Changing the rules of a running proxy: by file and SIGHUP, by the control socket; all or nothing."""

import json
import signal
import socket
import threading

import pytest

from support import client, http1

OPEN = [{"host": "api.test"}]
PATHS = [{"host": "api.test", "path_allowlist": ["/echo"]}]


@pytest.fixture
def api(start_upstream):
    return start_upstream("api.test")


@pytest.fixture
def proxy(start_proxy, api):
    return start_proxy(routes=OPEN, upstreams=[api])


@pytest.fixture
def ask(proxy, pki):
    def ask(target="/echo"):
        wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        try:
            answer = client.get(wire, "api.test", target)
            return answer.get("bottle-block-reason") or answer.status
        finally:
            wire.close()
    return ask


def live(proxy):
    return json.loads(proxy.ctl("status", "--json"))


def reload(proxy, routes):
    """Writes the file, sends HUP, and returns once the new table is in force."""
    events = len(proxy.events)
    proxy.write_routes(routes)
    proxy.kill(signal.SIGHUP)
    return proxy.wait_event(start=events, event="routes")


def reload_in_vain(proxy, text):
    """The same with a table that must be refused: returns the one line that says why."""
    talk = len(proxy.talk)
    proxy.write_routes(text)
    proxy.kill(signal.SIGHUP)
    proxy.wait_talk("routes.json", start=talk)
    lines = proxy.talk[talk:]
    assert len(lines) == 1, lines
    return lines[0]


class TestHangup:
    def test_new_table(self, proxy, ask):
        assert ask("/other") == 200
        before = live(proxy)
        reload(proxy, PATHS)
        assert ask("/other") == "path-not-allowed"
        assert ask("/echo") == 200
        after = live(proxy)
        assert after["generation"] > before["generation"] and after["sha256"] != before["sha256"]

    @pytest.mark.parametrize("text, place", [
        ("", "routes.json"),
        ("{", "routes.json:"),
        ("\0\1\2", "routes.json"),
        ('{"routes": [\n  {"host": "api.test", "paths": ["/"]}\n]}', "routes.json:2"),
        ('{"routes": [{"host": "api.test"},\n {"host": "API.test"}]}', "routes.json:2"),
        ('{"routes": [{"host": "api.test", "host": "b.test"}]}', "routes.json:1"),
        ('{"routes": [{"host": 5}]}', "routes.json:1"),
        ('{"routes": [{"host": "https://api.test/"}]}', "routes.json:1"),
        ('{"routes": [{"host": "api.test", "auth_scheme": "Bearer"}]}', "routes.json:1"),
        ('{"routes": [{"host": "api.test", "path_allowlist": ["no-slash"]}]}', "routes.json:1"),
        ('{"route": []}', "routes.json:1"),
        ("[]", "routes.json:1"),
        ('{"routes": []} {"routes": []}', "routes.json"),
    ])
    def test_a_bad_file_changes_nothing(self, proxy, ask, text, place):
        before = live(proxy)
        assert place in reload_in_vain(proxy, text)
        after = live(proxy)
        assert (after["generation"], after["sha256"]) == (before["generation"], before["sha256"])
        assert ask("/other") == 200

    def test_a_missing_file_changes_nothing(self, proxy, ask):
        proxy.routes_file.unlink()
        talk = len(proxy.talk)
        proxy.kill(signal.SIGHUP)
        proxy.wait_talk("routes.json", start=talk)
        assert ask("/other") == 200

    def test_good_after_bad(self, proxy, ask):
        reload_in_vain(proxy, "{")
        reload(proxy, PATHS)
        assert ask("/other") == "path-not-allowed"


class TestControl:
    def test_get_and_set(self, proxy, ask):
        assert json.loads(proxy.ctl("routes", "get")) == {"routes": OPEN}
        before = live(proxy)
        proxy.ctl("routes", "set", input=json.dumps({"routes": PATHS}))
        assert json.loads(proxy.ctl("routes", "get")) == {"routes": PATHS}
        assert live(proxy)["generation"] == before["generation"] + 1
        assert ask("/other") == "path-not-allowed"

    def test_same_table_same_hash(self, proxy):
        proxy.ctl("routes", "set", input=json.dumps({"routes": PATHS}))
        first = live(proxy)["sha256"]
        proxy.ctl("routes", "set", input=json.dumps({"routes": PATHS}, indent=4))
        assert live(proxy)["sha256"] == first

    def test_a_bad_table_changes_nothing(self, proxy, ask):
        before = live(proxy)
        done = proxy.ctl("routes", "set", input='{"routes": [{"host": "api.test", "oops": 1}]}', check=False)
        assert done.returncode == 1 and "oops" in done.stderr
        assert live(proxy)["sha256"] == before["sha256"]
        assert ask("/other") == 200

    def test_an_open_exchange_finishes_under_its_old_rules(self, proxy, api, pki, ask):
        go_on = threading.Event()

        def serve(x):
            x.head(headers=[("Transfer-Encoding", "chunked")])
            x.chunk(b"one")
            assert go_on.wait(10)
            x.chunk(b"two")
            x.end_chunks()

        api.on("/events", serve)
        wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        wire.send(b"GET /events HTTP/1.1\r\nHost: api.test\r\n\r\n")
        http1.read_response_head(wire)
        proxy.ctl("routes", "set", input='{"routes": []}')
        go_on.set()
        assert http1.read_chunked(wire)[0] == b"onetwo"
        answer = client.get(wire, "api.test", "/echo")
        assert answer.get("bottle-block-reason") == "host-not-allowed"
        wire.close()
        assert ask() == "host-not-allowed"

    def test_credentials_can_be_rotated(self, start_proxy, start_upstream, pki):
        api = start_upstream("auth.test")
        proxy = start_proxy(
            routes=[{"host": "auth.test", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"}],
            upstreams=[api])
        proxy.tokens = {0: "first-horse-battery", 1: "second-horse-battery"}  # neither may be in an event

        def ask():
            wire = client.tunnel(proxy.address, "auth.test:443", pki.bottle_cert)
            try:
                return client.get(wire, "auth.test", "/echo").get("bottle-block-reason")
            finally:
                wire.close()

        assert ask() == "credential-missing"
        proxy.ctl("token", "set", "EGRESS_PROXY_TOKEN_0", input="first-horse-battery")
        assert ask() is None
        proxy.ctl("token", "set", "EGRESS_PROXY_TOKEN_0", input="second-horse-battery")
        assert ask() is None
        assert [r.get("authorization") for r in api.requests] == [
            "Bearer first-horse-battery", "Bearer second-horse-battery"]
        status = proxy.ctl("status")
        assert "horse" not in status

    @pytest.mark.parametrize("slot, value", [
        ("EGRESS_PROXY_TOKEN_0", ""),
        ("EGRESS_PROXY_TOKEN_0", "two\r\nX-Injected: lines"),
        ("EGRESS_PROXY_TOKEN_0", "nul\0byte-secret"),
        ("HOME", "correct-horse"),
        ("EGRESS_PROXY_TOKEN_00", "correct-horse"),
    ])
    def test_bad_credentials_are_refused_without_saying_them(self, proxy, slot, value):
        done = proxy.ctl("token", "set", slot, input=value, check=False)
        assert done.returncode != 0 and done.stderr
        assert "horse" not in done.stderr and "secret" not in done.stderr and "Injected" not in done.stderr

    def test_the_socket_is_the_operators(self, proxy):
        assert proxy.control.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("words", [["nonsense"], ["routes"], ["routes", "nonsense"], ["token", "set"]])
    def test_bad_usage(self, proxy, words):
        done = proxy.ctl(*words, check=False)
        assert done.returncode == 2 and done.stderr

    def test_rubbish_on_the_socket(self, proxy, ask):
        for rubbish in (b"\0" * 100, b"{" * 100000 + b"\n", b"GET / HTTP/1.1\r\n\r\n", b""):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(str(proxy.control))
                try:
                    s.sendall(rubbish)
                    s.shutdown(socket.SHUT_WR)
                    s.recv(4096)
                except (ConnectionError, TimeoutError):
                    pass
        assert ask() == 200

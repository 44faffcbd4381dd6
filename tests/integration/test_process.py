"""egress-proxy as a process: starting (by files, by bundle), refusing to start, stopping, keeping its secrets."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

import pytest

from support import certs, client, http1, paths
from support.proxy import Process

TOKEN = "correct-horse-battery-staple"
BINARY = paths.applet("egress-proxy")


@pytest.fixture
def api(start_upstream):
    return start_upstream("api.test")


def ask(address, pki, target="/echo", host="api.test"):
    wire = client.tunnel(address, f"{host}:443", pki.bottle_cert)
    try:
        return client.get(wire, host, target)
    finally:
        wire.close()


class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_idle(self, start_proxy, pki, number):
        proxy = start_proxy()
        idle = [client.connect(proxy.address) for _ in range(3)]
        client.open_tunnel(idle[1], "api.test:443")
        proxy.kill(number)
        assert proxy.end(timeout=4) == 0, "idle connections are not in flight: nothing to wait for"
        for wire in idle:
            wire.close()

    def test_what_is_in_flight_finishes(self, start_proxy, api, pki):
        go_on = threading.Event()

        def serve(x):
            x.head(headers=[("Content-Length", 8)])
            x.send(b"half")
            assert go_on.wait(4)
            x.send(b"half")

        api.on("/slow", serve)
        proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[api])
        wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        wire.send(b"GET /slow HTTP/1.1\r\nHost: api.test\r\n\r\n")
        http1.read_response_head(wire)
        assert wire.read_exact(4) == b"half"
        proxy.kill()
        self.wait_closed(proxy.address)
        go_on.set()
        assert wire.read_exact(4) == b"half"
        assert proxy.end() == 0
        wire.close()

    @staticmethod
    def wait_closed(address):
        """Returns once nobody listens at address any more."""
        while True:
            try:
                socket.create_connection(address, 5).close()
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue  # it was in the queue of a listener that has just gone

    def test_what_does_not_finish_is_cut(self, start_proxy, api, pki):
        proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[api])
        wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
        wire.send(b"GET /hang HTTP/1.1\r\nHost: api.test\r\n\r\n")
        api.wait_requests(1)
        proxy.kill()
        assert proxy.end() == 0
        wire.close()


class TestStart:
    @pytest.fixture
    def attempt(self, tmp_path, pki):
        def attempt(*options, routes='{"routes": []}', env=None, code=1):
            file = tmp_path / "routes.json"
            file.write_bytes(routes if isinstance(routes, bytes) else routes.encode())
            argv = [BINARY, *options]
            for option, value in (("--listen", "127.0.0.1:0"), ("--routes", file), ("--ca", pki.bottle_ca)):
                if option not in options:
                    argv += [option, value]
            done = subprocess.run([str(a) for a in argv], env=dict(env or {}), capture_output=True, text=True,
                                  timeout=10, stdin=subprocess.DEVNULL, cwd=tmp_path)
            assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
            assert not done.stdout
            return done.stderr
        return attempt

    @pytest.mark.parametrize("text, named", [
        ("", "routes.json"),
        ("\0" * 100, "routes.json"),
        (b"\xff\xfe\xfd", "routes.json"),
        ("{", "routes.json:"),
        ("routes:\n  - host: a.test\n    port: 5\n", "routes.json:3:"),
        ("routes:\n  - host: a.test\n  - host: A.test\n", "routes.json:3:"),
        ('{"routes": [{"host": "a.test", "methods": "GET"}]}', "methods"),
        ('{"routes": [{"host": "a.test", "token_env": "EGRESS_PROXY_TOKEN_0"}]}', "auth_scheme"),
        ('{"routes": [{"host": "a.test", "auth_scheme": "Bearer", "token_env": "HOME"}]}', "token_env"),
        ('{"routes": [{"host": "a.test", "auth_scheme": "NTLM", "token_env": "EGRESS_PROXY_TOKEN_0"}]}', "Bearer"),
        ('{"routes": [{"host": "a.test", "path_allowlist": ["/../x"]}]}', "'/../x'"),
        ('{"routes": [{"host": "a.*.test"}]}', "host"),
        ('{"routes": [{"host": "*"}]}', "host"),
        ('{"routes": [{"host": "a.test", "pass_authorization": true, "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"}]}', "pass_authorization"),
        ('{"routes": [' + '{"host": "a.test"},' * 100_000 + "]}", "routes.json"),
        ("x: &a [*a]\n", "routes.json"),
        ("[" * 10_000, "routes.json"),
        ("{" * 10_000, "routes.json"),
    ])
    def test_bad_routes(self, attempt, text, named):
        talk = attempt(routes=text)
        assert named in talk and len(talk.splitlines()) == 1 and len(talk) < 2000

    def test_both_notations(self, start_proxy, api, pki):
        proxy = start_proxy(routes="routes:\n  - host: api.test\n    path_allowlist: [/echo]\n", upstreams=[api])
        assert ask(proxy.address, pki).status == 200
        assert ask(proxy.address, pki, "/x").get("bottle-block-reason") == "path-not-allowed"

    def test_missing_files(self, attempt, tmp_path):
        assert "/no/such/ca" in attempt("--ca", "/no/such/ca")
        assert "/no/such/up" in attempt("--upstream-ca", "/no/such/up")
        assert "/no/such/routes" in attempt("--routes", "/no/such/routes")

    def test_bad_ca(self, attempt, pki, tmp_path):
        leaf = tmp_path / "leaf.pem"
        leaf.write_bytes(certs.server(pki.root, "a.test").pem)
        swapped = tmp_path / "swapped.pem"
        swapped.write_bytes(pki.bottle.cert_pem + pki.root.key_pem)
        for file in (pki.bottle_cert, leaf, swapped, "/dev/null", "/etc/passwd"):
            talk = attempt("--ca", file)
            assert str(file) in talk and "PRIVATE" not in talk

    @pytest.mark.parametrize("options, named", [
        (["--nonsense"], "--nonsense"),
        (["--listne", "127.0.0.1:0"], "--listen"),
        (["nonsense"], "nonsense"),
    ])
    def test_bad_usage(self, attempt, options, named):
        talk = attempt(*options, code=2)
        assert named in talk and len(talk.splitlines()) <= 2

    @pytest.mark.parametrize("options, named", [
        (["--listen", "nowhere"], "nowhere"),
        (["--listen", "127.0.0.1:99999"], "99999"),
        (["--resolve", "a.test:443"], "a.test:443"),
        (["--resolve", "a.test:443:nowhere"], "nowhere"),
        (["--allow-private", "10.0.0.0/99"], "10.0.0.0/99"),
        (["--allow-private", "ten"], "ten"),
    ])
    def test_bad_values(self, tmp_path, options, named):
        routes = tmp_path / "routes.json"
        routes.write_text('{"routes": []}')
        done = subprocess.run([BINARY, "--routes", routes, *options], env={}, text=True, capture_output=True, timeout=10)
        assert done.returncode in (1, 2) and named in done.stderr

    def test_port_in_use(self, attempt, api):
        talk = attempt("--listen", f"{api.host}:{api.port}")
        assert str(api.port) in talk

    def test_bad_token(self, attempt):
        talk = attempt(env={"EGRESS_PROXY_TOKEN_0": "correct\nhorse"})
        assert "EGRESS_PROXY_TOKEN_0" in talk and "horse" not in talk

    def test_help(self):
        done = subprocess.run([BINARY, "--help"], capture_output=True, text=True, timeout=10)
        assert done.returncode == 0 and "curl" in done.stdout and "--routes" in done.stdout

    def test_without_a_ca_one_is_made_for_the_run(self, start_proxy, api, tmp_path):
        proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[api], ca=None)
        file = re.search(r"(/\S+\.pem)", proxy.wait_talk(".pem")).group(1)
        text = pathlib.Path(file).read_text()
        assert "BEGIN CERTIFICATE" in text and "PRIVATE" not in text
        wire = client.tunnel(proxy.address, "api.test:443", file)
        assert client.get(wire, "api.test").status == 200
        wire.close()

    def test_port_from_the_environment(self, tmp_path, pki):
        routes = tmp_path / "routes.json"
        routes.write_text('{"routes": []}')
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = Process([BINARY, "--routes", routes, "--ca", pki.bottle_ca], {"EGRESS_PROXY_PORT": str(port)})
        assert process.wait_event(event="ready")["listen"] == f"127.0.0.1:{port}"
        process.kill()
        assert process.end() == 0


class TestBundle:
    @pytest.fixture
    def start(self, pki, api, tmp_path):
        running = []

        def start(change=None, raw=None, close=False):
            bundle = {
                "schema": 1, "component": "egress-proxy", "listen": "127.0.0.1:0",
                "control": str(tmp_path / "control.sock"),
                "routes": {"routes": [{"host": "api.test", "auth_scheme": "Bearer",
                                       "token_env": "EGRESS_PROXY_TOKEN_0"}]},
                "tokens": {"EGRESS_PROXY_TOKEN_0": TOKEN},
                "ca": pki.bottle.pem.decode(), "upstream_ca": [pki.root.cert_pem.decode()],
                "resolve": [f"api.test:443:{api.host}"],
            } | (change or {})
            bundle = {k: v for k, v in bundle.items() if v is not None}
            process = Process([BINARY, "--bundle", "-"], {}, stdin=subprocess.PIPE)
            process.process.stdin.write(raw if raw is not None else json.dumps(bundle) + "\n")
            process.process.stdin.flush()
            if close:
                process.process.stdin.close()
            running.append(process)
            return process

        yield start
        for process in running:
            if process.process.poll() is None:
                process.process.kill()
            process.end()

    def address(self, process):
        host, _, port = process.wait_event(event="ready")["listen"].rpartition(":")
        return host, int(port)

    def test_serves_and_ends_with_its_lease(self, start, api, pki):
        process = start()
        answer = ask(self.address(process), pki)
        assert answer.status == 200
        assert api.requests[0].get("authorization") == f"Bearer {TOKEN}"
        process.process.stdin.close()
        assert process.end() == 0
        assert TOKEN not in json.dumps(process.events) + "".join(process.talk)

    @pytest.mark.parametrize("change, named", [
        ({"schema": 2}, "schema"),
        ({"component": "pipelock"}, "component"),
        ({"nonsense": 1}, "nonsense"),
        ({"ca": None}, "ca"),
        ({"ca": "not PEM"}, "ca"),
        ({"routes": None}, "routes"),
        ({"routes": {"routes": [{"host": "a.test", "oops": 1}]}}, "oops"),
        ({"tokens": {"HOME": "correct-horse"}}, "HOME"),
        ({"tokens": {"EGRESS_PROXY_TOKEN_0": "correct\nhorse"}}, "EGRESS_PROXY_TOKEN_0"),
        ({"tokens": {"EGRESS_PROXY_TOKEN_0": 5}}, "tokens"),
        ({"upstream_proxy_ca": "x"}, "upstream_proxy"),
        ({"listen": "nowhere"}, "listen"),
    ])
    def test_a_bad_bundle_is_named_and_fatal(self, start, change, named):
        process = start(change)
        assert process.end() == 1
        talk = "".join(process.talk)
        assert named in talk and "horse" not in talk and "PRIVATE" not in talk
        assert not process.events

    @pytest.mark.parametrize("raw", ["", "{", "\0\0\0\n", "[]\n", "{}\n", '{"schema": 1, "schema": 1}\n'])
    def test_rubbish(self, start, raw):
        process = start(raw=raw, close=True)
        assert process.end() == 1 and process.talk and not process.events

    def test_nothing_listens_before_the_bundle(self, start):
        """It says nothing and listens nowhere until it knows what to refuse."""
        process = start(raw="")
        inodes = {os.readlink(f"/proc/{process.process.pid}/fd/{n}") for n in os.listdir(f"/proc/{process.process.pid}/fd")}
        listening = {f"socket:[{line.split()[9]}]" for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
                     if line.split()[3] == "0A"}
        assert not inodes & listening
        process.process.stdin.close()
        assert process.end() == 1


class TestHealth:
    @pytest.fixture
    def port(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def test_health(self, start_proxy, port):
        start_proxy(options=("--health", f"127.0.0.1:{port}"))
        wire = client.connect(("127.0.0.1", port))
        health = client.get(wire, "127.0.0.1", "/health")
        assert health.status == 200 and json.loads(health.body)
        wire.close()

    def test_nothing_else_is_served_there(self, start_proxy, port):
        start_proxy(options=("--health", f"127.0.0.1:{port}"))
        for request in ("GET / HTTP/1.1", "POST /health HTTP/1.1", "GET http://api.test/ HTTP/1.1",
                        "CONNECT api.test:443 HTTP/1.1"):
            wire = client.connect(("127.0.0.1", port))
            answer = client.request(wire, f"{request}\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
            assert 400 <= answer.status < 500, request
            wire.close()


class TestSecrets:
    def test_the_environment_is_emptied_of_tokens(self, start_proxy):
        proxy = start_proxy(tokens={0: TOKEN})
        pid = proxy.process.pid
        for file in ("environ", "cmdline"):
            assert TOKEN.encode() not in pathlib.Path(f"/proc/{pid}/{file}").read_bytes()

    def test_no_core_dump(self, start_proxy):
        proxy = start_proxy()
        limits = pathlib.Path(f"/proc/{proxy.process.pid}/limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0", limits)

"""gRPC's own library on both ends, the proxy between them: calls of all four shapes, trailers, status, cancellation."""

import hashlib
import json
import pathlib
import subprocess

import pytest

from support import certs, grpc_echo, upstream

TOKEN = "correct-horse-battery-staple"
PROGRAM = ["/usr/bin/python3", pathlib.Path(grpc_echo.__file__)]


@pytest.fixture
def server(pki, tmp_path):
    """The process; its `host`."""
    host = upstream.free_loopback()
    pem = certs.make("valid", pki.root, "grpc.test").write(tmp_path)
    process = subprocess.Popen([*PROGRAM, "serve", f"{host}:443", pem], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.host = host
    yield process
    if process.poll() is None:
        process.stdin.close()
        process.wait(10)
    process.stdout.close()


@pytest.fixture
def proxy(start_proxy, server):
    return start_proxy(routes=[{"host": "grpc.test", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"}],
                       resolve={"grpc.test": server.host}, tokens={0: TOKEN})


def test_grpc(agent, proxy, server):
    out = json.loads(agent.run(*PROGRAM, "call"))
    metadata = out["unary"].pop("metadata")
    # The server tells what it was given, and the proxy masks it again.
    assert [v for k, v in metadata if k == "authorization"] == ["Bearer " + "*" * len(TOKEN)]
    assert ["x-mine", "1"] in metadata
    assert out["unary"] == {"length": len(grpc_echo.LARGE), "sha256": hashlib.sha256(grpc_echo.LARGE).hexdigest()}
    assert out["trailers"] == {"x-sum": str(len(grpc_echo.LARGE)), "x-bytes-bin": "0001ff"}
    assert out["stream"] == [str(n) for n in range(200, 0, -1)]
    assert out["total"] == 3 * len(grpc_echo.LARGE)
    assert out["chat"] == [f"re: m{n}" for n in range(5)]
    assert out["Fail"] == {"code": "NOT_FOUND", "details": "no such thing: größer"}
    assert out["Hang"]["code"] == "DEADLINE_EXCEEDED"
    assert server.stdout.readline() == b"cancelled\n"  # the server was told, too
    assert out["Missing"]["code"] == "UNIMPLEMENTED"
    assert out["refused"]["code"] == "PERMISSION_DENIED"
    assert out["refused"]["details"].startswith("host-not-allowed: "), out["refused"]
    proxy.wait_event(verdict="allow", host="grpc.test", path="/t.Echo/Chat", status=200, credential="EGRESS_PROXY_TOKEN_0")
    proxy.wait_event(verdict="block", host="evil.example", reason="host-not-allowed")

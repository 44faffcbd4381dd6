"""A gRPC server and its client, run as programs of their own: `grpc_echo.py serve ADDRESS PEM`, `grpc_echo.py call`.

Messages are bytes as they are, so that nothing has to be generated. The client prints one JSON object.
"""

import concurrent.futures
import hashlib
import json
import sys
import threading

import grpc

LARGE = b"0123456789abcdef" * 200_000
LIMITS = [("grpc.max_receive_message_length", 16 << 20), ("grpc.max_send_message_length", 16 << 20)]
CALL_SECONDS = 20


# --- the server ------------------------------------------------------------------------------------------------------


def unary(request, context):
    """What it saw; the trailers carry a word of its own."""
    context.set_trailing_metadata((("x-sum", str(len(request))), ("x-bytes-bin", b"\0\1\xff")))
    metadata = [[k, v] for k, v in context.invocation_metadata() if isinstance(v, str)]
    return json.dumps({"metadata": metadata, "length": len(request), "sha256": hashlib.sha256(request).hexdigest()}).encode()


def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: größer")


def hang(request, context):
    """Ends when the client has given up."""
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait(CALL_SECONDS)
    print("cancelled", flush=True)
    return b""


def count_down(request, context):
    for number in range(int(request), 0, -1):
        yield b"%d" % number


def total(requests, context):
    return b"%d" % sum(len(r) for r in requests)


def chat(requests, context):
    """Answers each message before the next one comes."""
    for request in requests:
        yield b"re: " + request


class Handler(grpc.GenericRpcHandler):
    METHODS = {
        "/t.Echo/Unary": grpc.unary_unary_rpc_method_handler(unary),
        "/t.Echo/Fail": grpc.unary_unary_rpc_method_handler(fail),
        "/t.Echo/Hang": grpc.unary_unary_rpc_method_handler(hang),
        "/t.Echo/CountDown": grpc.unary_stream_rpc_method_handler(count_down),
        "/t.Echo/Total": grpc.stream_unary_rpc_method_handler(total),
        "/t.Echo/Chat": grpc.stream_stream_rpc_method_handler(chat),
    }

    def service(self, details):
        return self.METHODS.get(details.method)


def serve(address, pem):
    with open(pem, "rb") as file:
        data = file.read()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), [Handler()], options=LIMITS)
    server.add_secure_port(address, grpc.ssl_server_credentials([(data, data)]))
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop(1).wait()


# --- the client ------------------------------------------------------------------------------------------------------


def call():
    trust = grpc.ssl_channel_credentials()
    channel = grpc.secure_channel("grpc.test:443", trust, options=LIMITS)
    out = {}
    answer, done = channel.unary_unary("/t.Echo/Unary").with_call(
        LARGE, timeout=CALL_SECONDS, metadata=[("authorization", "Bearer mine"), ("x-mine", "1")])
    out["unary"] = json.loads(answer)
    out["trailers"] = {k: v if isinstance(v, str) else v.hex() for k, v in done.trailing_metadata()}
    out["stream"] = [m.decode() for m in channel.unary_stream("/t.Echo/CountDown")(b"200", timeout=CALL_SECONDS)]
    out["total"] = int(channel.stream_unary("/t.Echo/Total")((LARGE for _ in range(3)), timeout=CALL_SECONDS))
    out["chat"] = talk(channel)
    for name in ("Fail", "Hang", "Missing"):
        out[name] = failure(channel, "/t.Echo/" + name, 1 if name == "Hang" else CALL_SECONDS)
    out["refused"] = failure(grpc.secure_channel("evil.example:443", trust), "/t.Echo/Unary", CALL_SECONDS)
    print(json.dumps(out))


def talk(channel):
    """Each message only after the answer to the one before."""
    turn, heard = threading.Semaphore(1), []

    def say():
        for number in range(5):
            turn.acquire(timeout=CALL_SECONDS)
            yield b"m%d" % number

    for answer in channel.stream_stream("/t.Echo/Chat")(say(), timeout=CALL_SECONDS):
        heard.append(answer.decode())
        turn.release()
    return heard


def failure(channel, method, seconds):
    try:
        channel.unary_unary(method)(b"", timeout=seconds)
    except grpc.RpcError as e:
        return {"code": e.code().name, "details": e.details()}


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])

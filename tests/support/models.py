"""The two model APIs that agents speak, scripted: handlers for an Upstream of either protocol, told apart from the real
ones by nothing that a client's SDK looks at.

A streamed answer stops after its first word until the client, having read them, has asked for the model `ack`: what
comes through a proxy that holds answers back never ends.
"""

import hashlib
import json
import threading

WORDS = ["Hello", " from", " the", " script", "."]
TEXT = "".join(WORDS)
ACK_SECONDS = 20


class Exchange:
    """One of HTTP/1.1 or HTTP/2, in the same words."""

    def __init__(self, x):
        self.x = x
        self.http2 = x.request.get(":path") is not None
        self.get = x.request.get
        self.body = x.request.body
        self.method = x.request.get(":method") or x.request.method
        self.path = x.request.get(":path") or x.request.target
        self.path = self.path.partition("?")[0]

    def respond(self, status=200, headers=(), body=b""):
        headers = [("content-type", "application/json"), *headers]
        self.x.respond(status, *([] if self.http2 else ["Reason"]), headers, body)

    def start_events(self):
        headers = [("content-type", "text/event-stream"), ("cache-control", "no-cache")]
        self.x.head(headers=headers + ([] if self.http2 else [("Transfer-Encoding", "chunked")]))

    def event(self, text):
        if self.http2:
            self.x.peer.send_body(self.x.stream, text.encode(), end=False)
        else:
            self.x.chunk(text.encode())

    def wait(self, event):
        """For something that another request brings about, on this connection perhaps."""
        if self.http2:
            self.x.server.serve(self.x.peer, event.is_set)
        elif not event.wait(ACK_SECONDS):
            raise TimeoutError("the client has not seen the first word")

    def end_events(self):
        if self.http2:
            self.x.peer.send_body(self.x.stream, b"")
        else:
            self.x.end_chunks()


class Model:
    """serve: the server's handler. uploads: (name, SHA-256) of the files it was given."""

    def __init__(self, server):
        self.acknowledged = threading.Event()
        self.overloaded = 0
        self.uploads = []
        server.otherwise = self.serve

    def serve(self, x):
        x = Exchange(x)
        handler = self.PATHS.get((x.method, x.path))
        if handler and self.overloaded:
            self.overloaded -= 1
            x.respond(529, [("retry-after-ms", "1")],
                      b'{"type": "error", "error": {"type": "overloaded_error", "message": "later"}}')
        elif handler:
            handler(self, x)
        else:
            x.respond(404, body=b'{"error": {"message": "what?"}}')

    def acknowledge(self, x):
        self.acknowledged.set()
        _json(x, {"id": "ack", "type": "model", "object": "model", "display_name": "ack", "created": 1, "owned_by": "t",
                  "created_at": "2026-01-01T00:00:00Z"})

    def stream(self, x, events):
        """events: (name or None, object, is it text?)."""
        x.start_events()
        for name, data, is_text in events:
            line = data if isinstance(data, str) else json.dumps(data)
            x.event((f"event: {name}\n" if name else "") + f"data: {line}\n\n")
            if is_text:
                x.wait(self.acknowledged)
        x.end_events()


def _json(x, value):
    x.respond(headers=[("request-id", "req_1")], body=json.dumps(value).encode())


class Anthropic(Model):
    """tools: (name, input) of the tools that streamed answers ask for, one each, before they are words."""

    tools = ()

    def messages(self, x):
        asked = json.loads(x.body)
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "stop_sequence": None}
        usage = {"input_tokens": len(x.body), "output_tokens": len(WORDS)}
        if not asked.get("stream"):
            _json(x, message | {"content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "usage": usage})
            return

        def events():
            start = message | {"content": [], "stop_reason": None, "usage": usage}
            yield "message_start", {"message": start}, False
            if self.tools:
                (name, arguments), self.tools = self.tools[0], self.tools[1:]
                block, reason = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}, "tool_use"
                deltas = [{"type": "input_json_delta", "partial_json": json.dumps(arguments)}]
            else:
                block, reason = {"type": "text", "text": ""}, "end_turn"
                deltas = [{"type": "text_delta", "text": word} for word in WORDS]
            yield "content_block_start", {"index": 0, "content_block": block}, False
            yield "ping", {}, False
            for delta in deltas:
                yield "content_block_delta", {"index": 0, "delta": delta}, "text" in delta
            yield "content_block_stop", {"index": 0}, False
            yield "message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}, False
            yield "message_stop", {}, False

        self.stream(x, ((name, {"type": name} | data, text) for name, data, text in events()))

    PATHS = {("POST", "/v1/messages"): messages, ("GET", "/v1/models/ack"): Model.acknowledge}


class Openai(Model):
    def chat(self, x):
        asked = json.loads(x.body)
        base = {"id": "c1", "created": 1, "model": asked["model"]}
        if not asked.get("stream"):
            message = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
            _json(x, base | {"object": "chat.completion", "choices": [message]})
            return

        def events():
            for word in WORDS:
                choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
                yield None, base | {"object": "chat.completion.chunk", "choices": [choice]}, True
            choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
            yield None, base | {"object": "chat.completion.chunk", "choices": [choice]}, False
            yield None, "[DONE]", False

        self.stream(x, events())

    def files(self, x):
        """One part of multipart/form-data is the file."""
        boundary = x.get("content-type").split("boundary=")[1].strip('"').encode()
        for part in x.body.split(b"--" + boundary)[1:-1]:
            head, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            if b"filename=" in head:
                name = head.split(b'filename="')[1].split(b'"')[0].decode()
                self.uploads.append((name, hashlib.sha256(body.removesuffix(b"\r\n")).hexdigest()))
        _json(x, {"id": "file-1", "object": "file", "bytes": len(x.body), "created_at": 1, "filename": "f",
                  "purpose": "user_data"})

    PATHS = {("POST", "/v1/chat/completions"): chat, ("POST", "/v1/files"): files,
             ("GET", "/v1/models/ack"): Model.acknowledge}

"""HTTP/2 peers of the tests, on python3-h2, which knows nothing of our own code.

Upstream is a server that answers by path and remembers what it was asked; Client is a connection through the proxy
whose frames a test may also write by hand.
"""

import collections
import dataclasses
import hashlib
import json
import random
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from . import client, frames, http1, upstream

CONFIG = {"header_encoding": "utf-8", "validate_outbound_headers": False, "normalize_outbound_headers": False,
          "validate_inbound_headers": True}


@dataclasses.dataclass
class Message:
    """A request or a response. headers and trailers are lists of pairs, pseudo-header fields included."""

    headers: list = dataclasses.field(default_factory=list)
    interim: list = dataclasses.field(default_factory=list)
    trailers: list = dataclasses.field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    reset: int = None

    def get(self, name):
        return next((v for n, v in self.headers if n == name), None)

    def all(self, name):
        return [v for n, v in self.headers if n == name]

    @property
    def status(self):
        return int(self.get(":status"))


class Peer:
    """One connection. `credit`: give window back for what was received."""

    def __init__(self, wire, client_side):
        self.wire = wire
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=client_side, **CONFIG))
        self.client_side = client_side
        self.streams = {}
        self.out = {}
        self.events = collections.deque()  # received, not yet answered by a server
        self.credit = True
        self.goaway = None
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.wire.send(data)

    def receive(self):
        """Handles what came in one read; the events. Raises Closed at the end of the connection."""
        data = self.wire.read_some()
        if not data:
            raise http1.Closed("closed")
        events = self.h2.receive_data(data)
        for event in events:
            self._note(event)
        self.flush()
        for stream in list(self.out):
            self._pump(stream)
        return events

    def _note(self, event):
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code
            return
        stream = getattr(event, "stream_id", None)
        if not stream:
            return
        message = self.streams.setdefault(stream, Message())
        if isinstance(event, (h2.events.RequestReceived, h2.events.ResponseReceived)):
            message.headers = list(event.headers)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            message.interim.append(list(event.headers))
        elif isinstance(event, h2.events.TrailersReceived):
            message.trailers = list(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            message.body += event.data
            if self.credit and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.StreamEnded):
            message.ended = True
        elif isinstance(event, h2.events.StreamReset):
            message.reset = event.error_code

    def send_body(self, stream, data, end=True):
        """A client returns when the windows have allowed all of it; a server has other streams to see to meanwhile."""
        self._queue(stream, data)
        if end:
            self._queue(stream, lambda: self.h2.end_stream(stream))
        while self.client_side and self.out.get(stream):
            self.receive()

    def send_trailers(self, stream, fields):
        self._queue(stream, lambda: self.h2.send_headers(stream, fields, end_stream=True))

    def _queue(self, stream, what):
        self.out.setdefault(stream, []).append(what)
        self._pump(stream)

    def _pump(self, stream):
        """Sends what waits on this stream, as far as the windows allow."""
        queue = self.out[stream]
        if self.streams.get(stream, Message()).reset is not None:
            queue.clear()
        while queue:
            if callable(queue[0]):
                queue.pop(0)()
                self.flush()
                continue
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if queue[0] and room <= 0:
                break
            if queue[0]:
                self.h2.send_data(stream, queue[0][:room])
                self.flush()
            queue[0] = queue[0][room:]
            if not queue[0]:
                queue.pop(0)

    def close(self):
        self.wire.close()


class Client(Peer):
    def __init__(self, proxy, authority, ca, timeout=10.0):
        wire = client.tunnel(proxy, authority, ca, alpn=("h2",), timeout=timeout)
        assert wire.sock.selected_alpn_protocol() == "h2"
        super().__init__(wire, True)
        self.host = authority.rsplit(":", 1)[0]

    def start(self, path="/echo", method="GET", headers=(), end=True, authority=None, scheme="https"):
        """Sends a head; the stream's number."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", method), (":scheme", scheme), (":authority", authority or self.host),
                                      (":path", path), *headers], end_stream=end)
        self.streams[stream] = Message()
        self.flush()
        return stream

    def finish(self, *streams):
        """Reads until these are over; their responses."""
        while not all(self.streams[s].ended or self.streams[s].reset is not None for s in streams):
            self.receive()
        return [self.streams[s] for s in streams]

    def get(self, path="/echo", **more):
        return self.finish(self.start(path, **more))[0]

    def raw_headers(self, stream, fields):
        """A request without a body and with any fields, past all of h2's own checks."""
        self.wire.send(frames.headers(frames.END_STREAM, stream, fields))

    def raw_frame(self, kind, flags, stream, payload=b""):
        self.wire.send(frames.frame(kind, flags, stream, payload))

    def read_frames(self):
        """Frames as (type, flags, stream, payload) until the connection ends."""
        while True:
            try:
                head = self.wire.read_exact(9)
                yield head[3], head[4], int.from_bytes(head[5:9], "big"), self.wire.read_exact(
                    int.from_bytes(head[:3], "big"))
            except http1.Closed:
                return


class Exchange:
    def __init__(self, server, peer, stream, request):
        self.server, self.peer, self.stream, self.request = server, peer, stream, request

    def head(self, status=200, headers=(), end=False):
        self.peer.h2.send_headers(self.stream, [(":status", str(status)), *headers], end_stream=end)
        self.peer.flush()

    def respond(self, status=200, headers=(), body=b""):
        bodiless = self.request.get(":method") == "HEAD"
        self.head(status, [*headers, ("content-length", str(len(body)))], end=bodiless)
        if not bodiless:
            self.peer.send_body(self.stream, body)

    def trailers(self, fields):
        self.peer.send_trailers(self.stream, fields)

    def reset(self, code):
        self.peer.h2.reset_stream(self.stream, code)
        self.peer.flush()


def echo(x):
    r = x.request
    x.respond(headers=[("content-type", "application/json")], body=json.dumps({
        "headers": r.headers, "trailers": r.trailers, "length": len(r.body),
        "sha256": hashlib.sha256(r.body).hexdigest(),
    }).encode())


def hints(x):
    x.head(103, [("link", "</style.css>; rel=preload")])
    x.respond(body=b"hinted")


def trailed(x):
    x.head(200, [("content-type", "application/grpc")])
    x.peer.send_body(x.stream, b"message", end=False)
    x.trailers([("grpc-status", "0"), ("grpc-message", "fine")])


def trailers_only(x):
    x.head(200, [("content-type", "application/grpc"), ("grpc-status", "5")], end=True)


def download(x):
    x.respond(body=content(int(x.request.get(":path").rsplit("/", 1)[1])))


def content(n):
    """n pseudo-random bytes, always the same."""
    return random.Random(n).randbytes(n)


BUILTIN = {"/hints": hints, "/trailed": trailed, "/trailers-only": trailers_only}


class Upstream(upstream.Server):
    """Speaks h2 only. Attributes: those of Server; requests; on(path, handler); early: paths answered before their
    body is complete; otherwise: the handler of other paths."""

    def __init__(self, identity, directory, host="127.0.0.1", port=0, timeout=20.0):
        context = upstream.server_context(identity, directory)
        context.set_alpn_protocols(["h2"])
        super().__init__(host, port, context, timeout)
        self.requests = []
        self.early = set()
        self.otherwise = echo
        self._routes = {}
        self._changed = threading.Condition()

    def on(self, path, handler, early=False):
        self._routes[path] = handler
        if early:
            self.early.add(path)

    def wait_requests(self, count, timeout=10.0):
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"upstream saw {len(self.requests)} requests, not {count}")
            return list(self.requests)

    def _talk(self, wire, number):
        try:
            if wire.sock.selected_alpn_protocol() != "h2":
                self.errors.append("h2 was not chosen")
                return
            self.serve(Peer(wire, False), lambda: False)
        except (http1.Closed, OSError):
            pass
        except h2.exceptions.H2Error as e:
            self.errors.append(f"HTTP/2: {e!r}")

    def serve(self, peer, done):
        """Answers what comes on a connection until done(). A handler calls it to wait for another request."""
        while not done():
            if peer.events:
                self._answer(peer, peer.events.popleft())
            else:
                peer.events.extend(peer.receive())

    def _answer(self, peer, event):
        stream = getattr(event, "stream_id", None)
        if not stream:
            return
        message = peer.streams.get(stream)
        early = isinstance(event, h2.events.RequestReceived) and message.get(":path") in self.early
        late = isinstance(event, h2.events.StreamEnded) and message.get(":path") not in self.early
        if not (early or late):
            return
        with self._changed:
            self.requests.append(message)
            self._changed.notify_all()
        path = message.get(":path").partition("?")[0]
        handler = self._routes.get(path) or BUILTIN.get(path) or (
            download if path.startswith("/download/") else self.otherwise)
        handler(Exchange(self, peer, stream, message))

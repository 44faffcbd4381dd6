"""A real TLS or plain HTTP/1.1 server that tests program per path, and that remembers all it was asked.

    with Upstream(identity, port=443) as upstream:
        upstream.on("/slow", lambda x: x.respond(200, body=b"done"))
        ...
        assert upstream.requests[0].get("authorization") == "Bearer s3cr3t"

Paths that no test programmed answer as BUILTIN says; anything else is /echo.
"""

import hashlib
import json
import random
import socket
import ssl
import threading

from . import http1


def free_loopback():
    """An address of 127/8 that (almost certainly) nobody else uses: each server may have its ports 80 and 443."""
    return "127.%d.%d.%d" % (random.randint(16, 250), random.randint(0, 255), random.randint(1, 254))


def server_context(identity, directory, minimum=ssl.TLSVersion.TLSv1_2, maximum=ssl.TLSVersion.TLSv1_3):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = minimum, maximum
    context.set_alpn_protocols(["http/1.1"])
    # Some tests serve keys and digests that OpenSSL's default level would refuse to load.
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.load_cert_chain(identity.write(directory))
    return context


class Exchange:
    """One request at the server, and the means to answer it."""

    def __init__(self, server, wire, request, connection):
        self.server = server
        self.wire = wire
        self.request = request
        self.connection = connection
        self.keep = True

    def send(self, data):
        self.wire.send(data)

    def head(self, status=200, reason="OK", headers=()):
        lines = [f"HTTP/1.1 {status} {reason}"] + [f"{n}: {v}" for n, v in headers]
        self.send("\r\n".join(lines + ["", ""]).encode("latin-1"))

    def respond(self, status=200, reason="OK", headers=(), body=b""):
        """A whole response with a Content-Length, in one write."""
        lines = [f"HTTP/1.1 {status} {reason}"] + [f"{n}: {v}" for n, v in headers]
        lines += [f"Content-Length: {len(body)}", "", ""]
        if self.request.method == "HEAD":
            body = b""
        self.send("\r\n".join(lines).encode("latin-1") + body)

    def chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end_chunks(self, trailers=()):
        lines = "".join(f"{n}: {v}\r\n" for n, v in trailers)
        self.send(("0\r\n" + lines + "\r\n").encode("latin-1"))

    def close(self):
        """Closes at once, whatever was promised."""
        self.wire.close_in_order()
        self.keep = False

    def reset(self):
        self.wire.reset()
        self.keep = False

    def hang(self):
        """Says nothing until the peer goes away or the server stops."""
        self.wire.sock.settimeout(0.2)
        while not self.server.stopping.is_set():
            try:
                if not self.wire.sock.recv(65536):
                    break
            except socket.timeout:
                continue
            except OSError:
                break
        self.keep = False


def echo(x):
    """What the server saw, as JSON."""
    r = x.request
    x.respond(headers=[("Content-Type", "application/json")], body=json.dumps({
        "method": r.method,
        "target": r.target,
        "headers": r.headers,
        "trailers": r.trailers,
        "length": len(r.body),
        "sha256": hashlib.sha256(r.body).hexdigest(),
        "chunks": r.chunks,
    }).encode())


def download(x):
    """/download/BYTES: that many pseudo-random bytes with a Content-Length, made as they are sent."""
    left = int(x.request.path.rsplit("/", 1)[1])
    x.head(headers=[("Content-Type", "application/octet-stream"), ("Content-Length", left)])
    block = random.Random(left).randbytes(256 * 1024)
    while left:
        piece = block[:left]
        x.send(piece)
        left -= len(piece)


def chunked(x):
    """Three chunks and two trailers."""
    x.head(headers=[("Content-Type", "text/plain"), ("Trailer", "X-Sum, X-Done"), ("Transfer-Encoding", "chunked")])
    for word in (b"one ", b"two ", b"three"):
        x.chunk(word)
    x.end_chunks([("X-Sum", "13"), ("X-Done", "yes")])


def hints(x):
    """103 Early Hints before the response."""
    x.head(103, "Early Hints", [("Link", "</style.css>; rel=preload")])
    x.respond(body=b"hinted")


def redirect(x):
    x.respond(302, "Found", [("Location", "https://elsewhere.test/there")])


BUILTIN = {
    "/echo": echo,
    "/chunked": chunked,
    "/hints": hints,
    "/redirect": redirect,
    "/hang": Exchange.hang,
    "/reset": Exchange.reset,
    "/close": Exchange.close,
    "/garbage": lambda x: (x.send(b"\x16\x03 this is not HTTP\r\n\r\n"), x.close()),
    "/cut": lambda x: (x.head(headers=[("Content-Length", 1000)]), x.send(b"only this"), x.close()),
}


class Server:
    """Listens, and serves each connection in a thread of its own: _talk(wire, number), which a subclass has.

    Attributes: host, port, connections (count), errors.
    """

    def __init__(self, host="127.0.0.1", port=0, context=None, timeout=20.0):
        self.context = context
        self.timeout = timeout
        self.connections = 0
        self.errors = []
        self.stopping = threading.Event()
        self._threads = []
        self._wires = set()
        self._listener = socket.create_server((host, port), backlog=256)
        self.host, self.port = self._listener.getsockname()[:2]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self._acceptor.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for wire in list(self._wires):
            http1.hang_up(wire.sock)
        self._acceptor.join(self.timeout)
        for thread in self._threads:
            thread.join(self.timeout)

    def _accept(self):
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock, number):
        try:
            if self.context:
                sock.settimeout(self.timeout)
                sock = self.context.wrap_socket(sock, server_side=True)
        except OSError as e:
            self.errors.append(f"handshake: {e}")
            sock.close()
            return
        wire = http1.Wire(sock, self.timeout)
        self._wires.add(wire)
        try:
            self._talk(wire, number)
        finally:
            self._wires.discard(wire)
            wire.close()


class Upstream(Server):
    """identity None: plain HTTP. Attributes: those of Server; requests; otherwise: the handler of paths that neither
    on() nor BUILTIN knows."""

    def __init__(self, identity=None, directory=None, host="127.0.0.1", port=0, context=None, timeout=20.0):
        super().__init__(host, port, context or (identity and server_context(identity, directory)), timeout)
        self.requests = []
        self.otherwise = echo
        self._routes = {}
        self._changed = threading.Condition()

    def on(self, path, handler):
        """handler(exchange) answers requests for path from now on."""
        self._routes[path] = handler

    def wait_requests(self, count, timeout=10.0):
        """The requests seen so far, once there are at least count."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"upstream saw {len(self.requests)} requests, not {count}")
            return list(self.requests)

    def _talk(self, wire, number):
        try:
            while self._exchange(wire, number):
                pass
        except http1.Closed:
            pass
        except http1.Malformed as e:
            self.errors.append(f"malformed: {e}")
        except OSError as e:
            # A kept connection that nobody uses is no error.
            if not self.stopping.is_set() and (wire.buffer or not isinstance(e, TimeoutError)):
                self.errors.append(str(e))

    def _exchange(self, wire, number):
        request = http1.read_request(wire, lambda head: self._continue(wire, head))
        x = Exchange(self, wire, request, number)
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        self._handler(request.path)(x)
        return x.keep and request.get("connection", "").lower() != "close"

    def _continue(self, wire, head):
        if head.get("expect", "").lower() == "100-continue":
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _handler(self, path):
        if path in self._routes:
            return self._routes[path]
        if path.startswith("/download/"):
            return download
        return BUILTIN.get(path, self.otherwise)


class RawServer(Server):
    """A server below HTTP: script(wire, number) talks on each accepted connection as it likes."""

    def __init__(self, script, host="127.0.0.1", port=0, context=None, timeout=20.0):
        super().__init__(host, port, context, timeout)
        self.script = script

    def _talk(self, wire, number):
        try:
            self.script(wire, number)
        except (OSError, http1.Closed, http1.Malformed) as e:
            self.errors.append(str(e))

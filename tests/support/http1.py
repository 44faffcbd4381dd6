"""A strict HTTP/1.1 reader and the socket under it. What it accepts is unambiguous; what is not raises Malformed.

It is the tests' own judge of what the proxy emits, so it shares nothing with the proxy's parser.
"""

import dataclasses
import re
import socket
import ssl
import struct
import time

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
HEAD_LIMIT = 256 * 1024


class Malformed(Exception):
    """The peer sent something that is not strict HTTP/1.1."""


class Closed(Exception):
    """The peer closed (or reset) the connection before the message was complete."""


def hang_up(sock):
    """Ends a connection from which another thread may be reading: below TLS, and without closing its descriptor."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass  # it is gone already


class Wire:
    """A connected socket with a reading buffer. Every operation ends within `timeout` seconds."""

    def __init__(self, sock, timeout=10.0):
        self.sock = sock
        self.timeout = timeout
        self.buffer = b""
        self.received = bytearray()
        sock.settimeout(timeout)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.sock.sendall(data)

    def _fill(self):
        try:
            piece = self.sock.recv(65536)
        except socket.timeout:
            raise TimeoutError(f"nothing came within {self.timeout} s") from None
        except OSError as e:
            raise Closed(f"connection lost: {e}") from None
        self.received += piece
        self.buffer += piece
        return bool(piece)

    def take(self, count):
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_some(self):
        """The next bytes as they come, b"" at the end of the stream."""
        if not self.buffer:
            self._fill()
        return self.take(len(self.buffer))

    def read_exact(self, count):
        while len(self.buffer) < count:
            if not self._fill():
                raise Closed(f"closed {count - len(self.buffer)} bytes early")
        return self.take(count)

    def read_line(self):
        """One line without its CRLF."""
        while b"\n" not in self.buffer:
            if len(self.buffer) > HEAD_LIMIT:
                raise Malformed("line without end")
            if not self._fill():
                raise Closed("closed within a line" if self.buffer else "closed")
        line = self.take(self.buffer.index(b"\n") + 1)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise Malformed(f"line not ended by CRLF: {line!r}")
        return line[:-2]

    def read_all(self):
        while self._fill():
            pass
        return self.take(len(self.buffer))

    def at_end(self):
        """True when the peer has closed and left nothing unread; False when more bytes come."""
        if self.buffer:
            return False
        try:
            return not self._fill()
        except Closed:
            return True

    def finish(self):
        """No more bytes from us; the peer may still send."""
        # Not SSLSocket.shutdown, which would also forget how to decrypt what still comes.
        try:
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
        except OSError:
            pass  # the peer was faster, with a reset

    def close_in_order(self):
        """Says over TLS that nothing more comes (close_notify), then closes."""
        if isinstance(self.sock, ssl.SSLSocket):
            try:
                self.sock.unwrap()
            except (OSError, ValueError):
                pass  # the peer need not answer in kind, and the record may be over
        self.close()

    def reset(self):
        """Ends the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass


@dataclasses.dataclass
class Message:
    """A request or a response. headers and trailers: (name, value) pairs as they stood on the wire."""

    start: str
    headers: list
    body: bytes = b""
    trailers: list = dataclasses.field(default_factory=list)
    raw_head: bytes = b""
    chunks: int = 0

    @property
    def method(self):
        return self.start.split(" ")[0]

    @property
    def target(self):
        return self.start.split(" ")[1]

    @property
    def path(self):
        return self.target.split("?")[0]

    @property
    def status(self):
        return int(self.start.split(" ")[1])

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default


def _text(raw):
    return raw.decode("latin-1")


def _field(line):
    name, colon, value = line.partition(b":")
    if not colon or not TOKEN.match(name):
        raise Malformed(f"not a header field: {line!r}")
    value = value.strip(b" \t")
    if any(c < 0x20 and c != 9 or c == 0x7F for c in value):
        raise Malformed(f"control character in {line!r}")
    return _text(name), _text(value)


def _fields(wire):
    fields = []
    while True:
        line = wire.read_line()
        if not line:
            return fields
        fields.append(_field(line))
        if len(fields) > 10000:
            raise Malformed("too many fields")


def read_head(wire):
    """Start line and fields of the next message; the body stays on the wire."""
    start = wire.read_line()
    lines = [start]
    if any(c < 0x20 or c == 0x7F for c in start):
        raise Malformed(f"control character in {start!r}")
    fields = []
    while True:
        line = wire.read_line()
        lines.append(line)
        if not line:
            break
        fields.append(_field(line))
    return Message(_text(start), fields, raw_head=b"\r\n".join(lines) + b"\r\n")


def framing(message):
    """"chunked", a length, or None when the message says nothing about its body."""
    lengths = message.all("content-length")
    codings = message.all("transfer-encoding")
    if codings and lengths:
        raise Malformed("Transfer-Encoding and Content-Length")
    if codings:
        if [c.lower() for c in codings] != ["chunked"]:
            raise Malformed(f"Transfer-Encoding: {codings}")
        return "chunked"
    if lengths:
        if len(lengths) > 1 or not re.fullmatch(r"[0-9]+", lengths[0]):
            raise Malformed(f"Content-Length: {lengths}")
        return int(lengths[0])
    return None


def read_chunked(wire, on_chunk=None):
    """A chunked body: (bytes, trailers, number of chunks). on_chunk(data) sees each chunk as it comes."""
    body, count = [], 0
    while True:
        line = wire.read_line()
        if not re.fullmatch(rb"[0-9A-Fa-f]+", line):
            raise Malformed(f"chunk size {line!r}")
        size = int(line, 16)
        if size == 0:
            return b"".join(body), _fields(wire), count
        data = wire.read_exact(size)
        if wire.read_exact(2) != b"\r\n":
            raise Malformed("chunk not ended by CRLF")
        count += 1
        if on_chunk:
            on_chunk(data)
        else:
            body.append(data)


def _read_body(wire, message, length):
    if length == "chunked":
        message.body, message.trailers, message.chunks = read_chunked(wire)
    elif length:
        message.body = wire.read_exact(length)


def read_request(wire, before_body=None):
    """One whole request. before_body(message) runs between head and body (for 100 Continue)."""
    message = read_head(wire)
    if not re.fullmatch(r"\S+ \S+ HTTP/1\.1", message.start):
        raise Malformed(f"request line {message.start!r}")
    if before_body:
        before_body(message)
    _read_body(wire, message, framing(message))
    return message


def read_response_head(wire, interim=None):
    """The head of the final response; 1xx heads before it go into the list `interim`."""
    while True:
        message = read_head(wire)
        if not re.fullmatch(r"HTTP/1\.[01] [1-5][0-9][0-9] [^\r\n]*", message.start):
            raise Malformed(f"status line {message.start!r}")
        if message.status >= 200 or message.status == 101:
            return message
        if interim is not None:
            interim.append(message)


def read_response(wire, method="GET", interim=None):
    """One whole response to a request of the given method."""
    message = read_response_head(wire, interim)
    if method == "HEAD" or message.status in (101, 204, 304) or (method == "CONNECT" and message.status == 200):
        return message
    length = framing(message)
    if length is None:
        message.body = wire.read_all()
    else:
        _read_body(wire, message, length)
    return message


class Deadline:
    """Seconds left of a budget that several waits share."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    @property
    def left(self):
        return max(0.0, self.end - time.monotonic())

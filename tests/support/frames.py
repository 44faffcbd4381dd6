"""HTTP/2 frames by hand. What is written may be anything, for nothing checks it; what is read is put together strictly.

Header blocks go out as literals (RFC 7541 6.2.2); python3-hpack decodes what comes back.
"""

import dataclasses
import itertools

import hpack

from . import http1

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = (1 << 31) - 1
FRAME = 16384


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def headers(flags, stream, fields):
    """Pairs of bytes as HEADERS, with as many CONTINUATIONs as they need."""
    data = b"".join(b"\0" + b"".join(_length(len(part)) + part for part in field) for field in fields)
    pieces = [data[at:at + FRAME] for at in range(0, len(data), FRAME)] or [b""]
    out = b""
    for number, piece in enumerate(pieces):
        last = END_HEADERS if number == len(pieces) - 1 else 0
        out += frame(CONTINUATION, last, stream, piece) if number else frame(HEADERS, flags | last, stream, piece)
    return out


def _length(n):
    if n < 127:
        return bytes([n])
    out, n = bytes([127]), n - 127
    while n >= 128:
        out, n = out + bytes([n % 128 + 128]), n // 128
    return out + bytes([n])


def client_preface():
    """With windows that never hold a response back."""
    return (PREFACE + frame(SETTINGS, 0, 0, (4).to_bytes(2, "big") + WINDOW.to_bytes(4, "big")) +
            frame(WINDOW_UPDATE, 0, 0, (WINDOW - 65535).to_bytes(4, "big")))


def server_preface():
    return frame(SETTINGS, 0, 0)


class Writer:
    """The frames of one side from the words of a record: field, head, data, end, trailers."""

    def __init__(self, stream):
        self.stream = stream
        self.fields = []

    def bytes(self, word, rest, unescape):
        if word == "field":
            name, _, value = rest.partition(" ")
            self.fields.append((unescape(name), unescape(value.strip())))
            return b""
        flags = END_STREAM if word in ("end", "trailers") or rest == "end" else 0
        if word in ("head", "trailers"):
            fields, self.fields = self.fields, []
            return headers(flags, self.stream, fields)
        return frame(DATA, flags, self.stream, unescape(rest) if word == "data" else b"")


WORDS = ("field", "head", "data", "end", "trailers")


@dataclasses.dataclass
class Stream:
    """What came on one stream. The start line of its message is as in HTTP/1.1."""

    message: http1.Message = None
    interim: list = dataclasses.field(default_factory=list)
    ended: bool = False
    reset: int = None
    taken: bool = False


class Reader:
    """Reads frames off a wire into streams and answers what has to be answered. text: all that was said, decoded."""

    def __init__(self, wire, server=False):
        self.wire = wire
        self.server = server
        self.streams = {}
        self.text = bytearray()
        self.goaway = None
        self._decoder = hpack.Decoder()

    def request(self):
        """The next whole request, as (stream, message); pseudo-header fields stay among its fields."""
        while True:
            for number, stream in self.streams.items():
                if stream.ended and not stream.taken:
                    stream.taken = True
                    return number, stream.message
            self._frame()

    def response(self, stream, interim):
        """The whole response on that stream. Raises Closed where it breaks off."""
        here = self.streams.setdefault(stream, Stream())
        while not here.ended:
            if here.reset is not None:
                raise http1.Closed(f"the stream was reset with {here.reset}")
            self._frame()
        interim.extend(here.interim)
        return here.message

    def at_end(self):
        """True when the peer hangs up before it says more on any stream."""
        try:
            while True:
                if self._frame() in (DATA, HEADERS):
                    return False
        except http1.Closed:
            return True

    def _frame(self):
        kind, flags, number, payload = self._read()
        stream = self.streams.setdefault(number, Stream())
        if kind == DATA:
            self._data(stream, _unpadded(payload, flags))
        elif kind == HEADERS:
            self._head(stream, self._block(flags, number, _unpadded(payload, flags)))
        elif kind == RST_STREAM:
            stream.reset = int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self.wire.send(frame(kind, ACK, 0, payload if kind == PING else b""))
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            stream.ended = True
        return kind

    def _read(self):
        head = self.wire.read_exact(9)
        return head[3], head[4], int.from_bytes(head[5:9], "big"), self.wire.read_exact(int.from_bytes(head[:3], "big"))

    def _block(self, flags, number, data):
        while not flags & END_HEADERS:
            kind, flags, same, more = self._read()
            if kind != CONTINUATION or same != number:
                raise http1.Malformed("a header block without its end")
            data += more
        fields = [(bytes(n), bytes(v)) for n, v in self._decoder.decode(data, raw=True)]
        for pair in fields:
            self.text += b": ".join(pair) + b"\n"
        return [(n.decode("latin-1"), v.decode("latin-1")) for n, v in fields]

    def _head(self, stream, fields):
        if stream.ended:
            raise http1.Malformed("fields after the end of a stream")
        if stream.message:
            stream.message.trailers = fields
            return
        pseudo = dict(itertools.takewhile(lambda f: f[0].startswith(":"), fields))
        if set(pseudo) != ({":method", ":scheme", ":authority", ":path"} if self.server else {":status"}):
            raise http1.Malformed(f"not a head: {fields}")
        for name, value in fields[len(pseudo):]:
            if name != name.lower() or not http1.TOKEN.match(name.encode("latin-1")) or value != value.strip(" \t"):
                raise http1.Malformed(f"not a field: {(name, value)}")
        if self.server:
            stream.message = http1.Message(f"{pseudo[':method']} {pseudo[':path']} HTTP/2", fields)
            return
        message = http1.Message(f"HTTP/2 {pseudo[':status']}", fields[1:])
        if message.status < 200:
            stream.interim.append(message)
        else:
            stream.message = message

    def _data(self, stream, data):
        if not stream.message or stream.ended:
            raise http1.Malformed("a body without a head, or behind its end")
        self.text += data
        stream.message.body += data


def _unpadded(payload, flags):
    return payload[1:len(payload) - payload[0]] if flags & PADDED else payload

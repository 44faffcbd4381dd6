"""WebSocket by hand (RFC 6455), and a real server to talk to: python3-websockets in a thread of its own.

    with Server(identity, directory) as server:
        ...
        assert server.requests[0].get("authorization") == "Bearer s3cr3t"
"""

import asyncio
import base64
import hashlib
import os
import struct
import threading

from . import http1, upstream

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def accept_key(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def frame(payload, opcode=TEXT, fin=True, masked=False):
    """One frame, its length in the shortest form."""
    mask = os.urandom(4) if masked else b""
    n, bit = len(payload), 0x80 if masked else 0
    length = bytes([bit | n]) if n < 126 else struct.pack(">BH", bit | 126, n) if n < 65536 else struct.pack(">BQ", bit | 127, n)
    if masked:
        payload = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
    return bytes([(0x80 if fin else 0) | opcode]) + length + mask + payload


def read_frame(wire):
    """(opcode, payload) of the next frame, unmasked."""
    first, second = wire.read_exact(2)
    n = second & 127
    if n > 125:
        n = int.from_bytes(wire.read_exact(2 if n == 126 else 8), "big")
    mask = wire.read_exact(4) if second & 128 else bytes(4)
    return first & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(wire.read_exact(n)))


def handshake(host, path="/ws", headers=(), key=KEY):
    """A client's request of HTTP/1.1."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
             "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *(f"{n}: {v}" for n, v in headers)]
    return "\r\n".join([*lines, "", ""]).encode()


def switch(x, headers=()):
    """Answers a handshake at an upstream.Exchange; the wire carries frames from here on."""
    x.keep = False
    x.head(101, "Switching Protocols", [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                                        ("Sec-WebSocket-Accept", accept_key(x.request.get("sec-websocket-key"))), *headers])


def echo(x):
    """Answers each frame, as it is, until the client ends; then ends."""
    switch(x)
    try:
        while True:
            opcode, payload = read_frame(x.wire)
            x.send(frame(payload, opcode))
    except http1.Closed:
        x.close()


class Server:
    """Echoes messages. Attributes: host, port, requests (heads of the handshakes), closes (code and reason of each end)."""

    def __init__(self, identity, directory, host=None, port=443, **options):
        self.host = host or upstream.free_loopback()
        self.port = port
        self.requests, self.closes = [], []
        self._context = identity and upstream.server_context(identity, directory)
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self):
        import websockets

        return await websockets.serve(self._talk, self.host, self.port, ssl=self._context, max_size=None,
                                      **{"ping_interval": None, **self._options})

    async def _stop(self):
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, socket, *_):
        import websockets

        self.requests.append(http1.Message(f"GET {socket.path} HTTP/1.1", list(socket.request_headers.raw_items())))
        try:
            async for message in socket:
                if message == "bye":
                    await socket.close(4321, "as you wish")
                elif message == "ping":
                    await (await socket.ping(b"pong?"))
                    await socket.send("ponged")
                else:
                    await socket.send(message)
        except websockets.ConnectionClosedError:
            pass
        with self._changed:
            self.closes.append((socket.close_code, socket.close_reason))
            self._changed.notify_all()

    def wait_close(self, timeout=10.0):
        """(code, reason) of the first connection that ended."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.closes, timeout):
                raise TimeoutError("no WebSocket ended")
            return self.closes[0]

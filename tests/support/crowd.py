"""Many connections at once, from one thread: tunnels that rest, and an upstream that feeds thousands.

    raise_descriptors()
    tunnels = open_tunnels(proxy.address, "api.test:443", 10_000, context)
"""

import asyncio
import contextlib
import resource
import select
import socket
import ssl
import threading

# How many connections are being opened at the same time; enough to keep both sides busy.
WINDOW = 64


def raise_descriptors():
    """As many as the machine allows; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class _Tunnel:
    """CONNECT, then TLS: one step for each time that the socket is ready."""

    def __init__(self, proxy, authority, context, session):
        self.sock = socket.create_connection(proxy)
        self.sock.setblocking(False)
        self.sock.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        self.name = authority.rsplit(":", 1)[0]
        self.context = context
        self.session = session
        self.answer = b""

    def step(self):
        """What to wait for next, or 0 when it is up."""
        if not isinstance(self.sock, ssl.SSLSocket):
            part = self.sock.recv(4096)
            self.answer += part
            if part and not self.answer.endswith(b"\r\n\r\n"):
                return select.EPOLLIN
            if not self.answer.startswith(b"HTTP/1.1 200 "):
                raise ConnectionError(f"CONNECT answered {self.answer!r}")
            if not self.context:
                return 0
            self.sock = self.context.wrap_socket(self.sock, server_hostname=self.name, session=self.session,
                                                 do_handshake_on_connect=False)
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            return select.EPOLLIN
        except ssl.SSLWantWriteError:
            return select.EPOLLOUT
        return 0


def open_tunnels(proxy, authority, count, context=None, session=None):
    """count connections with an open CONNECT; with a context, TLS in each (resumed if there is a session)."""
    done, waiting, poll = [], {}, select.epoll()
    while len(done) < count:
        while len(waiting) < min(WINDOW, count - len(done)):
            tunnel = _Tunnel(proxy, authority, context, session)
            waiting[tunnel.sock.fileno()] = tunnel
            poll.register(tunnel.sock.fileno(), select.EPOLLIN)
        for number, _ in poll.poll(30):
            tunnel = waiting[number]
            wants = tunnel.step()
            if wants:
                poll.modify(number, wants)
                continue
            poll.unregister(number)
            del waiting[number]
            tunnel.sock.settimeout(10)
            done.append(tunnel.sock)
    poll.close()
    return done


class Feeder:
    """An HTTP/1.1 upstream for thousands: it remembers nothing, and answers as the path says.

    /big/N      N bytes, as fast as they are taken
    /drip       one event at once; another one each time that .tick() is called, until .finish()
    /hang       nothing
    else        how many bytes of body came
    """

    def __init__(self, host, port, context=None):
        self.host, self.port, self.context = host, port, context
        self.waiting = 0
        self._generation = 0
        self._finished = False

    def __enter__(self):
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(started)), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _main(self, started):
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._changed = asyncio.Condition()
        server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.context, backlog=4096)
        started.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = await self._read_body(head.lower(), reader)
                await self._answer(head.split(b" ", 2)[1].decode(), size, writer)
        writer.close()

    async def _read_body(self, head, reader):
        """Reads past it; returns its size."""
        if b"\r\ntransfer-encoding: chunked\r\n" in head:
            size = 0
            while piece := int(await reader.readline(), 16):
                await reader.readexactly(piece + 2)
                size += piece
            await reader.readline()
            return size
        _, found, rest = head.partition(b"\r\ncontent-length: ")
        size = left = int(rest.partition(b"\r\n")[0]) if found else 0
        while left:
            left -= len(await reader.readexactly(min(left, 1 << 16)))
        return size

    async def _answer(self, path, size, writer):
        if path.startswith("/big/"):
            left = int(path[len("/big/"):])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
            while left and not writer.is_closing():
                piece = min(left, 1 << 16)
                writer.write(bytes(piece))
                left -= piece
                await writer.drain()
        elif path == "/hang":
            self.waiting += 1
            await self._stop.wait()
        elif path == "/drip":
            await self._drip(writer)
        else:
            text = str(size).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
            await writer.drain()

    async def _drip(self, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        seen = self._generation - 1
        while not self._finished or seen < self._generation:
            async with self._changed:
                await self._changed.wait_for(lambda: self._finished or seen < self._generation)
                generation = self._generation
            for number in range(seen + 1, generation + 1):
                event = b"data: %d\n\n" % number
                writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            seen = generation
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _change(self, how):
        async def change():
            async with self._changed:
                how()
                self._changed.notify_all()
        asyncio.run_coroutine_threadsafe(change(), self._loop).result(30)

    def tick(self):
        def how():
            self._generation += 1
        self._change(how)

    def finish(self):
        def how():
            self._finished = True
        self._change(how)


def read_until(socks, ending, timeout=60.0):
    """Reads all sockets (not blocking) until what came on each ends so; returns what came, by socket."""
    got = {sock: b"" for sock in socks}
    poll, by_number = select.epoll(), {}
    for sock in socks:
        sock.setblocking(False)
        by_number[sock.fileno()] = sock
        poll.register(sock.fileno(), select.EPOLLIN)
    while by_number:
        ready = poll.poll(timeout)
        if not ready:
            raise TimeoutError(f"{len(by_number)} of {len(got)} connections got no {ending!r}")
        for number, _ in ready:
            sock = by_number[number]
            with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError):
                while True:
                    part = sock.recv(1 << 16)
                    if not part:
                        raise ConnectionError(f"closed after {got[sock][-200:]!r}")
                    got[sock] += part
                    if got[sock].endswith(ending):
                        poll.unregister(number)
                        del by_number[number]
                        break
    poll.close()
    return got

"""A small real forward proxy that records what it is asked: it stands where the gate stands in a bottle.

It relays CONNECT tunnels and absolute-form requests to addresses given by name, never by lookup.
"""

import json
import selectors
import socket
import threading

from . import http1


class ForwardProxy:
    """targets: {(host, port): (address, port)}. refuse: None, or (status, reason, block_reason).

    Attributes: requests (heads as received), host, port, url.
    """

    def __init__(self, targets, refuse=None, host="127.0.0.1", port=0, timeout=20.0):
        self.targets = targets
        self.refuse = refuse
        self.timeout = timeout
        self.requests = []
        self._stopping = threading.Event()
        self._threads = []
        self._sockets = []
        self._listener = socket.create_server((host, port), backlog=64)
        self.host, self.port = self._listener.getsockname()[:2]
        self.url = f"http://{self.host}:{self.port}"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self._acceptor.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            sock.close()
        self._acceptor.join(self.timeout)
        for thread in self._threads:
            thread.join(self.timeout)

    def _accept(self):
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock):
        wire = http1.Wire(sock, self.timeout)
        try:
            head = http1.read_head(wire)
            self.requests.append(head)
            if self.refuse:
                self._answer_refusal(wire)
            elif head.method == "CONNECT":
                self._tunnel(wire, head)
            else:
                self._forward(wire, head)
        except (OSError, http1.Closed, http1.Malformed, KeyError):
            pass
        finally:
            wire.close()

    def _answer_refusal(self, wire):
        status, reason, block = self.refuse
        body = json.dumps({"error": {"component": "gate", "reason": block, "message": "The gate says no.",
                                     "host": "", "hint": "ask the operator"}}).encode()
        wire.send(
            f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n"
            f"Bottle-Block-Reason: {block}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )

    def _dial(self, host, port):
        upstream = socket.create_connection(self.targets[host.lower(), int(port)], self.timeout)
        self._sockets.append(upstream)
        return upstream

    def _tunnel(self, wire, head):
        host, _, port = head.target.rpartition(":")
        upstream = self._dial(host, port)
        wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._relay(wire, upstream)

    def _forward(self, wire, head):
        authority, _, path = head.target.removeprefix("http://").partition("/")
        host, _, port = authority.partition(":")
        upstream = self._dial(host, port or 80)
        lines = [f"{head.method} /{path} HTTP/1.1"]
        lines += [f"{n}: {v}" for n, v in head.headers if n.lower() != "connection"] + ["Connection: close", "", ""]
        upstream.sendall("\r\n".join(lines).encode("latin-1"))
        self._relay(wire, upstream)

    def _relay(self, wire, upstream):
        if wire.buffer:
            upstream.sendall(wire.take(len(wire.buffer)))
        other = {wire.sock: upstream, upstream: wire.sock}
        with selectors.DefaultSelector() as selector:
            for sock in other:
                selector.register(sock, selectors.EVENT_READ)
            while other and not self._stopping.is_set():
                for key, _ in selector.select(0.5):
                    data = key.fileobj.recv(65536)
                    if data:
                        other[key.fileobj].sendall(data)
                        continue
                    other[key.fileobj].shutdown(socket.SHUT_WR)
                    selector.unregister(key.fileobj)
                    if not selector.get_map():
                        return

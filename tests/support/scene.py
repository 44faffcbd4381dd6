"""The upstream of a case record: servers that do what the record's [upstream] sections say, and note what came."""

import socket
import ssl
import threading

from . import certs, frames, http1, record

WAIT_SECONDS = 8


class Scene:
    """What the upstream shall do, and what it saw, while one record plays."""

    def __init__(self, rec):
        self.scripts = rec.upstream
        self.certificate = "valid"
        self.seen = []
        self.connections = []
        self.errors = []
        self.sockets = []
        self.closed = False
        self.done = threading.Event()
        self.protocol = "h2" if any(s.find("h2") for s in rec.upstream) else "http/1.1"
        for section in rec.upstream:
            for step in section.find("certificate"):
                self.certificate = step.rest

    def close(self):
        """Ends its connections: the proxy keeps those it can use again, and the next scene is to have its own."""
        self.closed = True
        for sock in self.sockets:
            http1.hang_up(sock)

    def add(self, sock):
        self.sockets.append(sock)
        if self.closed:
            http1.hang_up(sock)

    def script(self, index):
        """The section that answers request number index; None: answer anything with 200."""
        if not self.scripts:
            return None
        return self.scripts[index] if index < len(self.scripts) else None


# To a request that no record has an answer to, in HTTP/2
DEFAULT_ANSWER = (("field", ":status 200"), ("head", ""), ("data", "ok"), ("end", ""))

PORTS = (443, 8443, 80, 8080)


class World:
    """The listeners on the island: TLS on 443 and 8443, plain on 80 and 8080, whatever the address."""

    def __init__(self, directory):
        self.directory = directory
        self.root = certs.authority("Island Root")
        self.bottle = certs.authority("Island Bottle CA")
        self.root_cert = self.root.write_cert(directory, "root.crt")
        self.bottle_ca = self.bottle.write(directory, "bottle.pem")
        self.bottle_cert = self.bottle.write_cert(directory, "bottle.crt")
        self.scene = None
        self._contexts = {}
        self._markers = {}
        for port in PORTS:
            self._listen(port, tls=port in (443, 8443))

    def _listen(self, port, tls):
        listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True,
                                              backlog=256)
        threading.Thread(target=self._accept, args=(listener, tls), daemon=True).start()

    def _accept(self, listener, tls):
        while True:
            sock, peer = listener.accept()
            marker = self._markers.pop(peer[:2], None)
            if marker:
                sock.close()
                marker.set()
                continue
            # The scene of this moment: its thread may get to run in the next one.
            scene = self.scene
            if scene:
                scene.add(sock)
            threading.Thread(target=self._serve, args=(sock, tls, scene), daemon=True).start()

    def change(self, scene):
        """Sets the next scene once every connection made so far has been accepted, so that none counts for it."""
        for port in PORTS:
            with socket.socket(socket.AF_INET6) as probe:
                probe.settimeout(WAIT_SECONDS)
                probe.bind(("::1", 0))
                marker = self._markers[probe.getsockname()[:2]] = threading.Event()
                probe.connect(("::1", port))
                if not marker.wait(WAIT_SECONDS):
                    raise TimeoutError(f"port {port} accepts nothing")
        if self.scene:
            self.scene.close()
        self.scene = scene

    def context(self, scene, name):
        key = (scene.certificate, name, scene.protocol)
        if key not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_alpn_protocols([scene.protocol])
            context.set_ciphers("DEFAULT@SECLEVEL=0")
            context.load_cert_chain(certs.make(scene.certificate, self.root, name).write(self.directory))
            self._contexts[key] = context
        return self._contexts[key]

    def _serve(self, sock, tls, scene):
        address = sock.getsockname()
        dialled = address[0].removeprefix("::ffff:")
        scene.connections.append(f"{dialled}:{address[1]}")
        try:
            if tls:
                sock = self._handshake(sock, scene, dialled)
            elif sock.recv(1, socket.MSG_PEEK) == b"\x16":
                # What plain servers say to a ClientHello.
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                sock.close()
                return
            wire = http1.Wire(sock, WAIT_SECONDS)
            talk = self._h2(wire, scene) if tls and scene.protocol == "h2" else iter(lambda: self._answer(wire, scene), False)
            for _ in talk:
                pass
            wire.close()
        except http1.Closed:
            sock.close()
        except http1.Malformed as e:
            scene.errors.append(f"the proxy sent the upstream something malformed: {e}")
            sock.close()
        except OSError:
            sock.close()

    def _handshake(self, sock, scene, dialled):
        sock.settimeout(WAIT_SECONDS)
        base = self.context(scene, dialled)

        def choose(tls, name, _):
            if name:
                tls.context = self.context(scene, name)

        base.sni_callback = choose
        wrapped = base.wrap_socket(sock, server_side=True)
        scene.add(wrapped)
        return wrapped

    def _answer(self, wire, scene):
        """One request and its answer; False ends the connection."""
        request = http1.read_request(wire, lambda head: self._continue(wire, head))
        scene.seen.append(request)
        script = scene.script(len(scene.seen) - 1)
        steps = script.steps if script else []
        out = b""
        for step in steps:
            if step.word == "<":
                out += step.data
            elif step.word in ("flush", "close", "drop", "reset", "hang"):
                wire.send(out)
                out = b""
                if step.word == "close":
                    wire.close_in_order()
                    return False
                if step.word == "drop":
                    return False
                if step.word == "reset":
                    wire.reset()
                    return False
                if step.word == "hang":
                    scene.done.wait(WAIT_SECONDS)
        if not any(step.word in ("<", "flush") for step in steps):
            body = b"" if request.method == "HEAD" else b"ok"
            out = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body
        wire.send(out)
        return request.get("connection", "").lower() != "close"

    @staticmethod
    def _h2(wire, scene):
        """One exchange after the other, in frames by hand."""
        if wire.read_exact(len(frames.PREFACE)) != frames.PREFACE:
            raise http1.Malformed("not HTTP/2")
        wire.send(frames.server_preface())
        reader = frames.Reader(wire, server=True)
        while True:
            number, request = reader.request()
            scene.seen.append(request)
            script = scene.script(len(scene.seen) - 1)
            writer = frames.Writer(number)
            steps = [(s.word, s.rest) for s in script.steps if s.word in frames.WORDS] if script else []
            for word, rest in steps or DEFAULT_ANSWER:
                wire.send(writer.bytes(word, rest, record.unescape))
            yield number

    @staticmethod
    def _continue(wire, head):
        if head.get("expect", "").lower() == "100-continue":
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")

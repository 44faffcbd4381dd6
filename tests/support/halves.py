"""TLS whose directions end apart: Python's own sockets cannot say close_notify and read on."""

import ssl


class Halves:
    """TLS on an open wire, by hand. What is written leaves in one piece with flush(); how: see SSLContext.wrap_bio."""

    def __init__(self, wire, context, **how):
        self.wire = wire
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, **how)
        self._until_done(self._tls.do_handshake)
        self.flush()

    def _until_done(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                data = self.wire.read_some()
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()

    def flush(self):
        if self._out.pending:
            self.wire.send(self._out.read())

    def write(self, data):
        self._tls.write(data)

    def end(self):
        """Says close_notify, with the next flush()."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            pass  # the peer's own is not waited for

    def read(self):
        """Some bytes; b"" when the peer has said close_notify."""
        try:
            return self._until_done(lambda: self._tls.read(65536))
        except ssl.SSLZeroReturnError:
            return b""

    def read_until(self, mark):
        data = b""
        while not data.endswith(mark):
            piece = self.read()
            assert piece, data
            data += piece
        return data

    def read_all(self):
        return b"".join(iter(self.read, b""))

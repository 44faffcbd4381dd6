"""A client that sends the bytes it is told to, and reads answers strictly."""

import socket
import ssl

from . import http1


class Refused(Exception):
    """The proxy answered a CONNECT with something other than 200; .response is that answer."""

    def __init__(self, response):
        super().__init__(f"CONNECT answered {response.start}")
        self.response = response


def connect(proxy, timeout=10.0):
    """A plain connection to proxy, a (host, port)."""
    return http1.Wire(socket.create_connection(proxy, timeout), timeout)


def tls_context(ca=None, alpn=("http/1.1",), version=None):
    """ca: PEM file to trust; None trusts nobody and verifies nothing. version: exactly that TLS version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        context.load_verify_locations(ca)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def open_tunnel(wire, authority):
    """Sends CONNECT and reads the answer; a refusal raises Refused."""
    wire.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("latin-1"))
    answer = http1.read_response(wire, "CONNECT")
    if answer.status != 200:
        raise Refused(answer)


def start_tls(wire, context, sni):
    """TLS on top of an open wire; sni None sends none (and checks no name). The old wire is used up."""
    if wire.buffer:
        raise http1.Malformed(f"{wire.buffer!r} before the handshake")
    check = context.check_hostname
    if sni is None:
        context.check_hostname = False
    try:
        sock = context.wrap_socket(wire.sock, server_hostname=sni)
    finally:
        context.check_hostname = check
    return http1.Wire(sock, wire.timeout)


def tunnel(proxy, authority, ca, sni="", alpn=("http/1.1",), version=None, timeout=10.0):
    """CONNECT authority through proxy, then TLS with that name (or sni) verified by ca."""
    wire = connect(proxy, timeout)
    open_tunnel(wire, authority)
    host = authority.rsplit(":", 1)[0]
    return start_tls(wire, tls_context(ca, alpn, version), host if sni == "" else sni)


def request(wire, data, method="GET", interim=None):
    """Sends data and reads one response."""
    wire.send(data if isinstance(data, bytes) else data.encode("latin-1"))
    return http1.read_response(wire, method, interim)


def get(wire, host, target="/", headers=()):
    """A plain GET on an open wire."""
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}"] + [f"{n}: {v}" for n, v in headers]
    return request(wire, "\r\n".join(lines + ["", ""]))

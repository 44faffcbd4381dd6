"""Trust on both sides: what an upstream must prove to us, and what we prove to the agent."""

import contextlib
import json
import ssl

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from support import certs, client, http1, upstream

# That old versions are deprecated is why they are tried.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")

# kind of certificate: what the message must name, so that an operator knows what to do about it
REFUSED = {
    "expired": "expired",
    "not-yet-valid": "not yet valid",
    "wrong-name": "is for elsewhere.test",
    "self-signed": "trust",
    "unknown-issuer": "trust",
    "missing-intermediate": "trust",
}


def ask(proxy, pki, host="api.test", **more):
    wire = client.tunnel(proxy.address, f"{host}:443", pki.bottle_cert, **more)
    try:
        return client.get(wire, host)
    finally:
        wire.close()


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_bad_certificate_is_refused_and_named(start_upstream, start_proxy, pki, kind):
    server = start_upstream("api.test", kind)
    proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[server])
    answer = ask(proxy, pki)
    assert (answer.status, answer.get("bottle-block-reason")) == (502, "upstream-tls")
    message = json.loads(answer.body)["error"]["message"]
    assert REFUSED[kind] in message.lower() and "api.test" in message
    assert not server.requests
    proxy.wait_event(verdict="error", reason="upstream-tls", host="api.test")


def test_the_name_must_match_even_when_the_chain_is_good(start_upstream, start_proxy, pki):
    """A certificate for one allowed host is no good for another."""
    server = start_upstream("api.test")
    proxy = start_proxy(routes=[{"host": "other.test"}], resolve={"other.test": server.host})
    assert ask(proxy, pki, "other.test").get("bottle-block-reason") == "upstream-tls"


def test_trust_comes_from_the_named_authority_only(start_upstream, start_proxy, pki):
    """Without --upstream-ca the same server is a stranger."""
    server = start_upstream("api.test")
    proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[server], upstream_ca=[])
    assert ask(proxy, pki).get("bottle-block-reason") == "upstream-tls"


def test_several_authorities(start_upstream, start_proxy, pki, tmp_path):
    server = start_upstream("api.test")
    stranger = certs.authority("A Stranger").write_cert(tmp_path)
    proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[server], upstream_ca=[stranger, pki.root_cert])
    assert ask(proxy, pki).status == 200


def test_ssl_cert_file_replaces_the_system_bundle(start_upstream, start_proxy, pki):
    server = start_upstream("api.test")
    proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[server], upstream_ca=[],
                        env={"SSL_CERT_FILE": str(pki.root_cert)})
    assert ask(proxy, pki).status == 200


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_versions_of_the_upstream(pki, tmp_path, start_proxy, version):
    version = getattr(ssl.TLSVersion, version)
    context = upstream.server_context(certs.server(pki.root, "api.test"), tmp_path, version, version)
    with upstream.Upstream(context=context, host=upstream.free_loopback(), port=443) as server:
        proxy = start_proxy(routes=[{"host": "api.test"}], resolve={"api.test": server.host})
        assert ask(proxy, pki).status == 200


def answer_and_close(x):
    x.respond(headers=[("Connection", "close")])
    x.close()


@pytest.fixture
def closing(pki, tmp_path):
    """An upstream of one request per connection, of these versions."""
    with contextlib.ExitStack() as stack:
        def start(*versions):
            context = upstream.server_context(certs.server(pki.root, "api.test"), tmp_path, *versions)
            server = upstream.Upstream(context=context, host=upstream.free_loopback(), port=443)
            server.otherwise = answer_and_close
            return stack.enter_context(server), context

        yield start


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_are_resumed(closing, start_proxy, pki, version):
    version = getattr(ssl.TLSVersion, version)
    server, context = closing(version, version)
    proxy = start_proxy(routes=[{"host": "api.test"}], resolve={"api.test": server.host})
    for _ in range(3):
        assert ask(proxy, pki).status == 200
    assert (server.connections, context.session_stats()["hits"]) == (3, 2)


def test_a_server_that_loses_a_version(closing, start_proxy, pki):
    """A session of TLS 1.3 cannot be declined with 1.2: another connection does without."""
    server, context = closing()
    proxy = start_proxy(routes=[{"host": "api.test"}], resolve={"api.test": server.host})
    assert ask(proxy, pki).status == 200
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert ask(proxy, pki).status == 200
    assert server.connections == 3


def test_old_tls_of_the_upstream_is_refused(pki, tmp_path, start_proxy):
    version = ssl.TLSVersion.TLSv1_1
    context = upstream.server_context(certs.server(pki.root, "api.test"), tmp_path, version, version)
    with upstream.Upstream(context=context, host=upstream.free_loopback(), port=443) as server:
        proxy = start_proxy(routes=[{"host": "api.test"}], resolve={"api.test": server.host})
        answer = ask(proxy, pki)
        assert answer.get("bottle-block-reason") == "upstream-tls"
        assert "no TLS version in common with 1.2 and 1.3" in json.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_versions_of_the_agent(start_upstream, start_proxy, pki, version):
    server = start_upstream("api.test")
    proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[server])
    assert ask(proxy, pki, version=getattr(ssl.TLSVersion, version)).status == 200


def test_old_tls_of_the_agent_is_refused(start_proxy, pki):
    proxy = start_proxy(routes=[{"host": "api.test"}])
    wire = client.connect(proxy.address)
    client.open_tunnel(wire, "api.test:443")
    context = client.tls_context(version=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        client.start_tls(wire, context, "api.test")


def test_the_leaf_that_agents_see(start_upstream, start_proxy, pki):
    """Minted for the name, signed by the bottle's CA, short of the limits that clients set (spec 2.6)."""
    server = start_upstream("api.test")
    proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[server])
    wire = client.tunnel(proxy.address, "api.test:443", pki.bottle_cert)
    leaf = x509.load_der_x509_certificate(wire.sock.getpeercert(binary_form=True))
    wire.close()
    extensions = leaf.extensions
    names = extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert names.get_values_for_type(x509.DNSName) == ["api.test"]
    ski = pki.bottle.cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == ski
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (leaf.not_valid_after - leaf.not_valid_before).days <= 397
    assert leaf.serial_number.bit_length() > 64
    assert leaf.not_valid_after <= pki.bottle.cert.not_valid_after


def test_an_agent_that_does_not_trust_the_ca_gets_nothing(start_upstream, start_proxy, pki):
    server = start_upstream("api.test")
    proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[server])
    with pytest.raises(ssl.SSLCertVerificationError):
        client.tunnel(proxy.address, "api.test:443", pki.root_cert)
    assert server.connections == 0


def test_half_a_handshake_hurts_nobody(start_upstream, start_proxy, pki):
    """Clients that begin TLS and stay silent, or send rubbish in it, leave others served."""
    server = start_upstream("api.test")
    proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[server])
    wires = []
    for rubbish in (b"\x16\x03\x01", b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x03\x40\x00" + b"\xff" * 100):
        wire = client.connect(proxy.address)
        client.open_tunnel(wire, "api.test:443")
        wire.send(rubbish)
        wires.append(wire)
    assert ask(proxy, pki).status == 200
    for wire in wires:
        wire.close()


def test_no_alpn_and_foreign_alpn(start_upstream, start_proxy, pki):
    server = start_upstream("api.test")
    proxy = start_proxy(routes=[{"host": "api.test"}], upstreams=[server])
    assert ask(proxy, pki, alpn=()).status == 200
    with pytest.raises((ssl.SSLError, http1.Closed)):
        ask(proxy, pki, alpn=("spdy/1",))

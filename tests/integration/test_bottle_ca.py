"""bottle-ca: what it makes is accepted by every verifier at hand, strictest first."""

import os
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from support import paths, upstream

BINARY = paths.applet("bottle-ca")
KEYS = ["ec:p256", "ec:p384", "rsa:2048", pytest.param("rsa:4096", marks=pytest.mark.limit(180))]


def bottle_ca(*argv, code=0, cwd=None):
    done = subprocess.run([BINARY, *map(str, argv)], capture_output=True, text=True, timeout=170, cwd=cwd)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout if code == 0 else done.stderr


def load(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ca")
    bottle_ca("init", "--dir", directory)
    return directory


class TestInit:
    @pytest.mark.parametrize("key", KEYS)
    def test_strictly_valid(self, tmp_path, require, key):
        require("openssl")
        bottle_ca("init", "--dir", tmp_path, "--key", key)
        leaf = tmp_path / "leaf.pem"
        bottle_ca("leaf", "--ca", tmp_path / "ca-combined.pem", "--out", leaf, "api.test")
        subprocess.run(
            ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslserver", "-verify_hostname",
             "api.test", "-CAfile", tmp_path / "ca.pem", leaf], check=True, capture_output=True)

    @pytest.mark.parametrize("leaf_key", ["ec:p256", "ec:p384", "rsa:2048"])
    @pytest.mark.parametrize("ca_key", ["ec:p256", "ec:p384", "rsa:2048"])
    def test_strictly_valid_leaves_of_every_type(self, tmp_path, require, ca_key, leaf_key):
        bottle_ca("init", "--dir", tmp_path, "--key", ca_key)
        leaf = tmp_path / "leaf.pem"
        bottle_ca("leaf", "--ca", tmp_path / "ca-combined.pem", "--key", leaf_key, "--out", leaf, "*.api.test", "10.0.0.7")
        for check in (["-verify_hostname", "a.api.test"], ["-verify_ip", "10.0.0.7"]):
            subprocess.run([require("openssl"), "verify", "-x509_strict", "-purpose", "sslserver", *check, "-CAfile",
                            tmp_path / "ca.pem", leaf], check=True, capture_output=True)

    def test_fields(self, ca):
        cert = load(ca / "ca.pem")
        constraints = cert.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = cert.extensions.get_extension_for_class(x509.KeyUsage)
        assert constraints.critical and constraints.value.ca
        assert usage.critical and usage.value.key_cert_sign and usage.value.crl_sign
        assert not usage.value.digital_signature
        assert cert.version is x509.Version.v3
        assert cert.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)[0].value == "bottle"

    def test_key_identifier_is_sha1_of_the_key(self, ca):
        """Any other makes OpenSSL look for an issuer that is not there."""
        cert = load(ca / "ca.pem")
        expected = x509.SubjectKeyIdentifier.from_public_key(cert.public_key())
        assert cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value == expected

    def test_options(self, tmp_path):
        bottle_ca("init", "--dir", tmp_path / "new", "--name", "My CA", "--days", "7")
        cert = load(tmp_path / "new" / "ca.pem")
        assert cert.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == "My CA"
        assert 6 <= (cert.not_valid_after - cert.not_valid_before).days <= 8

    def test_files(self, ca):
        modes = {p.name: p.stat().st_mode & 0o777 for p in ca.iterdir()}
        assert modes == {"ca.pem": 0o644, "ca-key.pem": 0o600, "ca-combined.pem": 0o600}
        key = serialization.load_pem_private_key((ca / "ca-key.pem").read_bytes(), None)
        assert key.public_key().public_numbers() == load(ca / "ca.pem").public_key().public_numbers()
        assert b"PRIVATE" not in (ca / "ca.pem").read_bytes()
        combined = (ca / "ca-combined.pem").read_bytes()
        assert (ca / "ca.pem").read_bytes().strip() in combined and b"PRIVATE" in combined

    def test_files_are_private_whatever_the_umask(self, tmp_path):
        old = os.umask(0)
        try:
            bottle_ca("init", "--dir", tmp_path)
        finally:
            os.umask(old)
        assert (tmp_path / "ca-key.pem").stat().st_mode & 0o777 == 0o600

    def test_nothing_is_overwritten_without_force(self, tmp_path):
        bottle_ca("init", "--dir", tmp_path)
        before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
        talk = bottle_ca("init", "--dir", tmp_path, code=1)
        assert "--force" in talk and str(tmp_path) in talk
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
        bottle_ca("init", "--dir", tmp_path, "--force")
        assert (tmp_path / "ca.pem").read_bytes() != before["ca.pem"]

    @pytest.mark.parametrize("options, named", [
        (["--key", "dsa:1024"], "ec:p256"), (["--days", "0"], "days"), (["--days", "x"], "days"),
        (["--dir", "/proc/none"], "/proc/none"), (["--nonsense"], "--nonsense"),
    ])
    def test_bad_values(self, tmp_path, options, named):
        done = subprocess.run([BINARY, "init", *options], capture_output=True, text=True, timeout=20, cwd=tmp_path)
        assert done.returncode in (1, 2) and named in done.stderr
        assert not list(tmp_path.iterdir())


class TestShow:
    def test_matches_openssl(self, ca):
        out = bottle_ca("show", ca / "ca.pem")
        cert = load(ca / "ca.pem")
        plain = out.replace(":", "").lower()
        assert cert.fingerprint(hashes.SHA256()).hex() in plain
        ski = cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        assert ski.hex() in plain
        assert str(cert.not_valid_after.year) in out

    def test_never_shows_the_key(self, ca):
        assert "PRIVATE" not in bottle_ca("show", ca / "ca-combined.pem")

    @pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                                         b"\0" * 1000])
    def test_bad_file(self, tmp_path, content):
        file = tmp_path / "bad.pem"
        file.write_bytes(content)
        talk = bottle_ca("show", file, code=1)
        assert str(file) in talk and len(talk.splitlines()) == 1

    def test_missing_file(self):
        assert "/no/such" in bottle_ca("show", "/no/such", code=1)


class TestLeaf:
    def test_fields(self, ca, tmp_path):
        leaf_file = tmp_path / "leaf.pem"
        bottle_ca("leaf", "--ca", ca / "ca-combined.pem", "--out", leaf_file, "api.test", "*.wild.test", "10.0.0.7", "::1")
        leaf, root = load(leaf_file), load(ca / "ca.pem")
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["api.test", "*.wild.test"]
        assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7", "::1"]
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]
        aki = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        assert aki == root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        assert 64 < leaf.serial_number.bit_length() <= 128
        assert leaf.not_valid_after <= root.not_valid_after
        assert (leaf.not_valid_after - leaf.not_valid_before).days <= 397
        assert leaf_file.stat().st_mode & 0o777 == 0o600

    def test_serials_differ(self, ca):
        out = [bottle_ca("leaf", "--ca", ca / "ca-combined.pem", "a.test") for _ in range(5)]
        assert len({x509.load_pem_x509_certificate(o.encode()).serial_number for o in out}) == 5

    @pytest.mark.parametrize("names, named", [
        (["a b"], "a b"), (["*.*.test"], "*.*.test"), (["http://a.test"], "http://a.test"), ([""], "name"),
        (["a..test"], "a..test"), (["-a.test"], "-a.test"),
    ])
    def test_bad_names(self, ca, names, named):
        done = subprocess.run([BINARY, "leaf", "--ca", ca / "ca-combined.pem", *names], capture_output=True, text=True,
                              timeout=20)
        assert done.returncode in (1, 2) and named in done.stderr and not done.stdout

    def test_needs_a_ca(self, ca, tmp_path):
        leaf = tmp_path / "leaf.pem"
        bottle_ca("leaf", "--ca", ca / "ca-combined.pem", "--out", leaf, "a.test")
        assert str(leaf) in bottle_ca("leaf", "--ca", leaf, "b.test", code=1)
        assert str(ca / "ca.pem") in bottle_ca("leaf", "--ca", ca / "ca.pem", "b.test", code=1)

    def test_a_ca_made_by_others(self, tmp_path, require):
        """Its name is in another string type and order: the leaf's issuer has to be the same bytes (Go compares them)."""
        ca, leaf = tmp_path / "ca.pem", tmp_path / "leaf.pem"
        for key in (["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], ["rsa:2048"]):
            (tmp_path / "conf").write_text("[req]\nstring_mask=default\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n"
                                           "[v3]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
                                           "subjectKeyIdentifier=hash\n")
            subprocess.run([require("openssl"), "req", "-x509", "-nodes", "-newkey", *key, "-config", tmp_path / "conf",
                            "-subj", "/CN=Some Root/OU=a+O=b/C=DE", "-days", "3", "-keyout", tmp_path / "key.pem",
                            "-out", ca], check=True, capture_output=True)
            both = tmp_path / "both.pem"
            both.write_bytes((tmp_path / "key.pem").read_bytes() + ca.read_bytes())
            bottle_ca("leaf", "--ca", both, "--out", leaf, "--force", "a.test")
            assert load(leaf).issuer.public_bytes() == load(ca).subject.public_bytes()
            subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", ca, leaf],
                           check=True, capture_output=True)

    @pytest.mark.parametrize("options, named", [
        (["--days", "398"], "397"), (["--key", "rsa:1024"], "rsa:2048"), (["--nonsense"], "--nonsense"),
    ])
    def test_bad_options(self, ca, options, named):
        assert named in bottle_ca("leaf", "--ca", ca / "ca-combined.pem", *options, "a.test", code=2)

    def test_an_existing_file_stays_without_force(self, ca, tmp_path):
        file = tmp_path / "leaf.pem"
        file.write_text("mine")
        assert "--force" in bottle_ca("leaf", "--ca", ca / "ca-combined.pem", "--out", file, "a.test", code=1)
        assert file.read_text() == "mine"


JAVA = """
import java.net.*;
import javax.net.ssl.*;

public class Get {
    public static void main(String[] a) throws Exception {
        HttpsURLConnection c = (HttpsURLConnection) new URL(a[0]).openConnection();
        System.out.print(new String(c.getInputStream().readAllBytes()));
    }
}
"""

GO = """
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	r, err := http.Get(os.Args[1])
	if err != nil {
		panic(err)
	}
	io.Copy(os.Stdout, r.Body)
}
"""


class TestVerifiers:
    """A TLS server with a leaf of ours, asked by each runtime with its own verifier."""

    @pytest.fixture(params=["ec:p256", "rsa:2048"])
    def server(self, request, tmp_path):
        bottle_ca("init", "--dir", tmp_path, "--key", request.param)
        bottle_ca("leaf", "--ca", tmp_path / "ca-combined.pem", "--key", request.param, "--out", tmp_path / "leaf.pem",
                  "localhost", "127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "leaf.pem")
        with upstream.Upstream(context=context) as server:
            server.on("/", lambda x: x.respond(body=b"verified"))
            server.ca = tmp_path / "ca.pem"
            server.url = f"https://localhost:{server.port}/"
            server.directory = tmp_path
            yield server

    def check(self, *argv, **environment):
        done = subprocess.run([str(a) for a in argv], env=os.environ | environment, capture_output=True, text=True,
                              timeout=170)
        assert done.stdout == "verified", done.stderr

    def test_curl(self, server, require):
        self.check(require("curl"), "-sS", "--cacert", server.ca, server.url)

    def test_node(self, server, require):
        self.check(require("node"), "-e", f'require("https").get("{server.url}", r => r.pipe(process.stdout))',
                   NODE_EXTRA_CA_CERTS=str(server.ca))

    def test_python(self, server):
        """VERIFY_X509_STRICT is Python's default from 3.13 on."""
        script = f"""
import ssl, urllib.request
c = ssl.create_default_context(cafile={str(server.ca)!r})
c.verify_flags |= ssl.VERIFY_X509_STRICT
print(urllib.request.urlopen({server.url!r}, context=c, timeout=10).read().decode(), end="")
"""
        self.check("/usr/bin/python3", "-c", script)

    def test_git(self, server, require):
        """git's own TLS (gnutls in Debian's build); the server is no repository, and says so after the handshake."""
        done = subprocess.run([require("git"), "ls-remote", server.url], capture_output=True, text=True, timeout=20,
                              env=os.environ | {"GIT_SSL_CAINFO": str(server.ca)})
        assert "certificate" not in done.stderr.lower() and server.requests

    def test_java(self, server, require):
        store, source = server.directory / "store.p12", server.directory / "Get.java"
        source.write_text(JAVA)
        require("javac")  # a runtime alone does not run a source file
        subprocess.run([require("keytool"), "-importcert", "-noprompt", "-alias", "bottle", "-file", server.ca,
                        "-keystore", store, "-storepass", "changeit"], check=True, capture_output=True, timeout=40)
        self.check(require("java"), f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit",
                   source, server.url)

    @pytest.mark.limit(180)
    def test_go(self, server, require):
        source = server.directory / "get.go"
        source.write_text(GO)
        self.check(require("go"), "run", source, server.url, SSL_CERT_FILE=str(server.ca), SSL_CERT_DIR="/nonexistent",
                   GOCACHE=str(server.directory / "cache"), GO111MODULE="off", HOME=str(server.directory))

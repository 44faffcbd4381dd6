"""Certificates for test servers: good ones, and one bad one of each kind.

    root = authority("Test Root")
    good = server(root, "api.test")
    path = good.write(directory)          # certificate chain + key in one PEM file

KINDS names every way in which `make(kind, root, name)` can make a server certificate.
"""

import dataclasses
import datetime
import ipaddress
import pathlib
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# One kind of certificate below is signed with SHA-1 on purpose.
warnings.filterwarnings("ignore", message="SHA1 signatures are deprecated")


@dataclasses.dataclass
class Identity:
    """A key, its certificate, and the intermediates that a server sends along with it."""

    cert: x509.Certificate
    key: object
    chain: list = dataclasses.field(default_factory=list)

    @property
    def cert_pem(self):
        return self.cert.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self):
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def pem(self):
        chain = b"".join(c.public_bytes(serialization.Encoding.PEM) for c in self.chain)
        return self.cert_pem + chain + self.key_pem

    def write(self, directory, name=None):
        """Writes chain and key into one file (for servers and for `--ca`) and returns its path."""
        path = pathlib.Path(directory) / (name or f"{self.cert.serial_number:x}.pem")
        path.write_bytes(self.pem)
        return path

    def write_cert(self, directory, name=None):
        """Writes the certificate alone (for those who shall trust it) and returns its path."""
        path = pathlib.Path(directory) / (name or f"{self.cert.serial_number:x}.crt")
        path.write_bytes(self.cert_pem)
        return path


def _name(common_name):
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "bottle tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _san(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, ca):
    off = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **off)


def _sign(subject, key, issuer, extensions, days, digest=None):
    """days: (first, last) day of validity, counted from now; issuer None: self-signed."""
    now = datetime.datetime.utcnow()
    issuer_name = issuer.cert.subject if issuer else subject
    issuer_key = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, digest or hashes.SHA256())


def authority(common_name, issuer=None):
    """A CA; with an issuer, an intermediate one."""
    key = ec.generate_private_key(ec.SECP256R1())
    extensions = [(x509.BasicConstraints(True, None), True), (_usage(ca=True), True)]
    return Identity(_sign(_name(common_name), key, issuer, extensions, (-1, 365)), key)


def server(issuer, *names, days=(-1, 30), san=True, key=None, digest=None, chain=(),
           usage=ExtendedKeyUsageOID.SERVER_AUTH):
    """A server certificate for names (DNS or addresses); issuer None: self-signed."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    extensions = [
        (x509.BasicConstraints(False, None), True),
        (_usage(ca=False), True),
        (x509.ExtendedKeyUsage([usage]), False),
    ]
    if san:
        extensions.append((x509.SubjectAlternativeName([_san(n) for n in names]), False))
    cert = _sign(_name(names[0]), key, issuer, extensions, days, digest)
    return Identity(cert, key, list(chain))


def _intermediate(root, name, sent):
    middle = authority("Test Intermediate", root)
    return server(middle, name, chain=[middle.cert] if sent else [])


KINDS = {
    "valid": lambda root, name: server(root, name),
    "valid-wildcard": lambda root, name: server(root, "*." + name.split(".", 1)[1]),
    "valid-intermediate": lambda root, name: _intermediate(root, name, sent=True),
    "valid-rsa": lambda root, name: server(root, name, key=rsa.generate_private_key(65537, 2048)),
    "expired": lambda root, name: server(root, name, days=(-30, -1)),
    "not-yet-valid": lambda root, name: server(root, name, days=(2, 30)),
    "wrong-name": lambda root, name: server(root, "elsewhere.test"),
    "name-only-in-cn": lambda root, name: server(root, name, san=False),
    "wildcard-too-deep": lambda root, name: server(root, "*.test"),
    "self-signed": lambda root, name: server(None, name),
    "unknown-issuer": lambda root, name: server(authority("Some Other Root"), name),
    "missing-intermediate": lambda root, name: _intermediate(root, name, sent=False),
    "not-a-server": lambda root, name: server(root, name, usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    "issuer-not-a-ca": lambda root, name: server(server(root, "leaf.test"), name),
    "weak-rsa": lambda root, name: server(root, name, key=rsa.generate_private_key(65537, 1024)),
    "sha1": lambda root, name: server(root, name, digest=hashes.SHA1()),
}


def make(kind, root, name):
    """A server certificate of one of KINDS for name, under root unless the kind says otherwise."""
    return KINDS[kind](root, name)

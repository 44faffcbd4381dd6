"""X.509 certificates made by hand, so that they may be wrong: every part of the DER can be chosen.

    root = Authority("Root")
    inter = root.authority("Inter", usage=None)
    leaf = inter.leaf("api.test", serial=-5)          # Cert: .der, .key, .issuer

RFC 5280 names the rules. The `cryptography` package signs; it would refuse to build most of what is made here.
"""

import dataclasses
import datetime
import functools
import hashlib
import ipaddress

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

# --- DER ----------------------------------------------------------------------------------------------


def tlv(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    size = b"" if n < 128 else n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag, n if n < 128 else 0x80 | len(size)]) + size + body


def seq(*parts):
    return tlv(0x30, *parts)


def context(number, *parts, primitive=False):
    return tlv((0x80 if primitive else 0xa0) | number, *parts)


def integer(value):
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def boolean(value):
    return tlv(1, b"\xff" if value else b"\0")


def bits(data, unused=0):
    return tlv(3, bytes([unused]), data)


def octets(data):
    return tlv(4, data)


def utf8(text):
    return tlv(12, text.encode())


def printable(text):
    return tlv(19, text.encode())


def oid(dotted):
    first, second, *rest = (int(n) for n in dotted.split("."))
    out = b""
    for n in [first * 40 + second, *rest]:
        piece = [n & 0x7f]
        while n := n >> 7:
            piece.insert(0, 0x80 | n & 0x7f)
        out += bytes(piece)
    return tlv(6, out)


# --- keys and signatures ------------------------------------------------------------------------------


@functools.cache
def _rsa(size, number):
    return rsa.generate_private_key(65537, size)


def new_key(kind="p256", number=0):
    """RSA keys take their time: those of one size and number are the same."""
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind.startswith("rsa"):
        return _rsa(int(kind[3:]), number)
    curves = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1, "p224": ec.SECP224R1,
              "p192": ec.SECP192R1, "k256": ec.SECP256K1}
    return ec.generate_private_key(curves[kind]())


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


HASHES = {"md5": hashes.MD5, "sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384,
          "sha512": hashes.SHA512}
RSA_OIDS = {"md5": 4, "sha1": 5, "sha256": 11, "sha384": 12, "sha512": 13}
ECDSA_OIDS = {"sha1": "1.2.840.10045.4.1", "sha256": "1.2.840.10045.4.3.2", "sha384": "1.2.840.10045.4.3.3",
              "sha512": "1.2.840.10045.4.3.4"}
NULL = b"\x05\0"


def algorithm(key, digest, pss=False):
    """AlgorithmIdentifier of a signature by key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return seq(oid("1.3.101.112"))
    if not isinstance(key, rsa.RSAPrivateKey):
        return seq(oid(ECDSA_OIDS[digest]))
    if not pss:
        return seq(oid(f"1.2.840.113549.1.1.{RSA_OIDS[digest]}"), NULL)
    hash_id = seq(oid({"sha256": "2.16.840.1.101.3.4.2.1"}[digest]), NULL)
    return seq(oid("1.2.840.113549.1.1.10"), seq(
        context(0, hash_id), context(1, seq(oid("1.2.840.113549.1.1.8"), hash_id)), context(2, integer(32))))


def sign(key, digest, data, pss=False):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    if not isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, ec.ECDSA(HASHES[digest]()))
    if pss:
        return key.sign(data, padding.PSS(padding.MGF1(HASHES[digest]()), 32), HASHES[digest]())
    return key.sign(data, padding.PKCS1v15(), HASHES[digest]())


# --- names, times, extensions -------------------------------------------------------------------------


def name(common_name, string=utf8, organization="bottle tests"):
    rdns = [("2.5.4.10", organization), ("2.5.4.3", common_name)]
    return seq(*(tlv(0x31, seq(oid(kind), string(text))) for kind, text in rdns if text))


def utc(days):
    return tlv(23, _when(days).strftime("%y%m%d%H%M%SZ").encode())


def general(days):
    return tlv(24, _when(days).strftime("%Y%m%d%H%M%SZ").encode())


def _when(days):
    return datetime.datetime.utcnow() + datetime.timedelta(days=days)


def extension(dotted, value, critical=False):
    return seq(oid(dotted), boolean(True) if critical else b"", octets(value))


def dns(text):
    return context(2, text if isinstance(text, bytes) else text.encode(), primitive=True)


def ip(text):
    return context(7, text if isinstance(text, bytes) else ipaddress.ip_address(text).packed, primitive=True)


def email(text):
    return context(1, text.encode(), primitive=True)


def uri(text):
    return context(6, text.encode(), primitive=True)


def directory(der):
    return context(4, der)


def san(*names, critical=False):
    """Strings are DNS names."""
    return extension("2.5.29.17", seq(*(dns(n) if isinstance(n, str) else n for n in names)), critical)


def basic(ca, pathlen=None, critical=True):
    return extension("2.5.29.19", seq(boolean(True) if ca else b"", b"" if pathlen is None else integer(pathlen)),
                     critical)


DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, KEY_CERT_SIGN, CRL_SIGN = 0x80, 0x20, 0x04, 0x02


def key_usage(value, critical=True):
    return extension("2.5.29.15", bits(bytes([value]), (value & -value).bit_length() - 1), critical)


SERVER_AUTH, CLIENT_AUTH, ANY_USAGE = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0"


def extended_usage(*dotted, critical=False):
    return extension("2.5.29.37", seq(*(oid(d) for d in dotted)), critical)


def constraints(permitted=(), excluded=(), critical=True):
    """Each a GeneralName: dns(…), directory(…), or ip(address and mask)."""
    def trees(number, bases):
        return context(number, *(seq(base) for base in bases)) if bases else b""
    return extension("2.5.29.30", seq(trees(0, permitted), trees(1, excluded)), critical)


def key_id(key):
    return hashlib.sha1(spki(key)).digest()


def subject_key(key):
    return extension("2.5.29.14", octets(key_id(key)))


def authority_key(identifier):
    return extension("2.5.29.35", seq(context(0, identifier, primitive=True)))


UNKNOWN = "1.3.6.1.4.1.99999.1"


# --- certificates -------------------------------------------------------------------------------------


@dataclasses.dataclass
class Cert:
    der: bytes
    key: object
    subject: bytes

    @property
    def pem(self):
        return pem(self.der)

    @property
    def key_pem(self):
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption())

    def authority(self, common_name, **parts):
        """A CA below this one."""
        return make(common_name, self, ca=True, **parts)

    def leaf(self, host, **parts):
        """A server certificate below this one, for host unless `names` says otherwise."""
        return make(host, self, **({"names": (host,)} | parts))


def pem(der):
    import base64
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode()


def root(common_name, **parts):
    return make(common_name, None, ca=True, **parts)


_serials = iter(range(1000, 1_000_000))


def make(common_name, issuer, *, ca=False, names=None, key="p256", digest="sha256", pss=False, version=3, serial=None,
         start=None, end=None, bc=True, pathlen=None, usage=True, eku=True, ids=True, extra=(), extensions=None,
         subject=None, issuer_name=None, named_algorithm=None, spoil=False):
    """issuer None: self-signed.

    bc, usage, eku, ids: True for what the kind of certificate should have, None for none, or the extension's DER.
    extensions: all of them instead. named_algorithm: in the certificate itself, when it lies. spoil: the signature.
    """
    if isinstance(key, str):
        key = new_key(key)
    subject = name(common_name) if subject is None else subject
    signer = issuer.key if issuer else key

    def part(given, right):
        return right if given is True else given or b""

    if extensions is None:
        extensions = [
            part(bc, basic(ca, pathlen)),
            part(usage, key_usage(KEY_CERT_SIGN | CRL_SIGN if ca else DIGITAL_SIGNATURE)),
            part(eku, b"" if ca else extended_usage(SERVER_AUTH)),
            part(ids, subject_key(key) + (authority_key(key_id(signer)) if issuer else b"")),
            san(*names) if names is not None else b"",
            *extra,
        ]
    body = b"".join(extensions)
    id = algorithm(signer, digest, pss)
    serial = next(_serials) if serial is None else serial
    tbs = seq(
        context(0, integer(version - 1)) if version > 1 else b"",
        serial if isinstance(serial, bytes) else integer(serial),
        named_algorithm or id,
        issuer_name or (issuer.subject if issuer else subject),
        seq(start or utc(-10), end or utc(100)),
        subject,
        spki(key),
        context(3, seq(body)) if body else b"",
    )
    signature = bytearray(sign(signer, digest, tbs, pss))
    if spoil:
        signature[-1] ^= 1
    return Cert(seq(tbs, id, bits(bytes(signature))), key, subject)

"""Server certificates, good and bad, with what a verifier must say to each: in the manner of x509-limbo.

CASES is a table; `says` is None for a chain that must be accepted, else words of the sentence in which the proxy
refuses it. Where `openssl verify -x509_strict` or Go's crypto/x509 decide otherwise, `openssl` or `go` says why ours
is right. A Corpus makes all of them.
"""

import collections
import dataclasses

from . import x509
from .x509 import UNKNOWN, dns, extension, ip, san

NOT_TRUSTED = "is not trusted"
UNREADABLE = "cannot be read"
CRITICAL = "critical extension"
WEAK = "too weak a key"
CURVE = "kind of key that is not accepted"
DIGEST = "broken digest"
CONSTRAINED = "may not sign for"

# Why others decide otherwise, when it is the same reason for several cases.
SIMPLER = "refused although RFC 5280 4.2.1.9 does not count self-issued certificates: a rollover nobody does any more"
COMMON_NAME = "a common name is no host (RFC 9525 2)"
CURVES = "we take RSA, P-256 and P-384, as the CABF BR does but for P-521, which nobody uses"
WEAK_KEYS = "Go looks at no key's strength; CABF BR 6.1.5: 2048 bits"
FIRST_ISSUER = "it turns back for trusted issuers only; the next one of that name is good (RFC 4158 2.4)"
CA_DUTY = "RFC 5280 tells CAs to do this (-x509_strict checks them); nothing is believed wrongly when they do not"


@dataclasses.dataclass
class Case:
    id: str
    build: object  # build(corpus, host): the chain to send, leaf first
    says: str = None
    host: str = "{id}.test"
    openssl: str = None
    go: str = None


def one(**parts):
    """A leaf below the root."""
    return lambda c, host: [c.root.leaf(host, **parts)]


def named(*names, **parts):
    return one(names=names, **parts)


def below(leaf=None, **parts):
    """A leaf below an intermediate with these parts, which is sent along."""
    def build(c, host):
        middle = c.root.authority(f"Intermediate of {host}", **parts)
        return [middle.leaf(host, **(leaf or {})), middle]
    return build


def constrained(*names, permitted=(), excluded=(), critical=True, leaf=None, raw=None):
    nc = raw or x509.constraints(permitted, excluded, critical)

    def build(c, host):
        middle = c.root.authority(f"Constrained for {host}", extra=(nc,))
        return [middle.leaf(host, **({"names": names} if names else {}) | (leaf or {})), middle]
    return build


def anchored(*, ca=None, **leaf):
    """A leaf below a trust anchor of its own."""
    def build(c, host):
        return [c.trust(x509.root(f"Root of {host}", **(ca or {}))).leaf(host, **leaf)]
    return build


def self_signed(trusted, **parts):
    def build(c, host):
        cert = x509.make(host, None, **({"names": (host,)} | parts))
        return [c.trust(cert) if trusted else cert]
    return build


def in_middle(build_chain):
    """Certificates below an intermediate: build_chain(corpus, host, middle)."""
    return lambda c, host: build_chain(c, host, c.root.authority(f"Intermediate of {host}"))


def depth(count):
    def build(c, host):
        chain = [c.root]
        for number in range(count):
            chain.insert(0, chain[0].authority(f"Level {number} of {host}"))
        return [chain[0].leaf(host), *chain[:-1]]
    return build


def cycle(c, host):
    """Two CAs that have signed each other, and nobody else."""
    a = x509.root(f"A of {host}")
    b = x509.root(f"B of {host}")
    ab = x509.make(None, b, ca=True, key=a.key, subject=a.subject)
    ba = x509.make(None, a, ca=True, key=b.key, subject=b.subject)
    return [ab.leaf(host), ab, ba, ab]


def cross_signed(order):
    """One CA with two certificates: by our root, and by one that nobody here knows."""
    def build(c, host):
        stranger = x509.root("Stranger")
        known = c.root.authority(f"Crossed for {host}")
        other = x509.make(None, stranger, ca=True, key=known.key, subject=known.subject)
        return [known.leaf(host), *([known, other] if order == "known first" else [other, known])]
    return build


def namesakes(c, host):
    """Two CAs of one name; the wrong one comes first."""
    right = c.root.authority(f"Namesake of {host}", ids=None)
    wrong = c.root.authority(f"Namesake of {host}", ids=None)
    return [right.leaf(host, ids=None), wrong, right]


def self_issued(c, host):
    """A new key of the same CA (RFC 5280 4.2.1.9: self-issued certificates do not count for pathLenConstraint)."""
    old = c.root.authority(f"Rollover of {host}", pathlen=0)
    new = x509.make(None, old, ca=True, subject=old.subject, pathlen=0)
    return [new.leaf(host), new, old]


def anchor_is_intermediate(c, host):
    middle = x509.root("Root that is not trusted").authority(f"Trusted for {host}")
    return [c.trust(middle).leaf(host)]


def ip_tree(text, mask):
    return ip(x509.ipaddress.ip_address(text).packed + x509.ipaddress.ip_address(mask).packed)


def raw_time(tag, text):
    return x509.tlv(tag, text.encode())


CASES = [
    # --- what must pass
    Case("plain", one()),
    Case("intermediate", below()),
    Case("rsa-leaf", one(key="rsa2048")),
    Case("rsa-4096-root", anchored(ca={"key": "rsa4096"})),
    Case("rsa-pss", anchored(ca={"key": "rsa2048"}, pss=True)),
    Case("p384", anchored(ca={"key": "p384"}, digest="sha384", key="p384")),
    Case("ecdsa-sha512", one(digest="sha512")),
    Case("ca-flag-on-a-leaf", one(bc=x509.basic(True))),
    Case("no-extended-usage", one(eku=None)),
    Case("no-key-usage", one(usage=None)),
    Case("no-basic-constraints", one(bc=None)),
    Case("unknown-extension", one(extra=(extension(UNKNOWN, b"\5\0"),))),
    Case("many-names", lambda c, host: [c.root.leaf(host, names=[f"n{i}.test" for i in range(300)] + [host])]),

    # --- names (RFC 9525 6)
    Case("name-in-capitals", named("NAME-IN-capitals.TEST")),
    Case("second-name", named("other.test", "second-name.test")),
    Case("other-name", named("elsewhere.test"), "is for elsewhere.test, not other-name.test"),
    Case("name-is-a-suffix", named("x.test"), "is for x.test, not", host="a.x.test"),
    Case("suffix-attack", named("suffix-attack.test.evil.test"), "is for suffix-attack.test.evil.test"),
    Case("wildcard", named("*.wildcard.test"), host="a.wildcard.test"),
    Case("wildcard-two-labels", named("*.wildcard-two-labels.test"), "is for *.wildcard",
         host="a.b.wildcard-two-labels.test"),
    Case("wildcard-no-label", named("*.wildcard-no-label.test"), "is for *.wildcard"),
    Case("wildcard-suffix", named("w*.partial1.test"), "is for w*.partial1.test", host="www.partial1.test",
         openssl="a wildcard is a whole label (RFC 9525 6.3)"),
    Case("wildcard-prefix", named("*w.partial2.test"), "is for *w.partial2.test", host="www.partial2.test",
         openssl="a wildcard is a whole label (RFC 9525 6.3)"),
    Case("wildcard-inside", named("w*w.partial3.test"), "is for w*w.partial3.test", host="www.partial3.test"),
    Case("wildcard-not-leftmost", named("a.*.leftmost.test"), "is for a.*.leftmost.test", host="a.b.leftmost.test"),
    Case("two-wildcards", named("*.*.two-wildcards.test"), "is for *.*", host="a.b.two-wildcards.test"),
    Case("wildcard-of-a-top-level", named("*.test"), "is for *.test",
         go="nobody owns a top level: CABF BR 3.2.2.6 forbids them, as OpenSSL does"),
    Case("bare-wildcard", named("*"), "is for *, not"),
    Case("wildcard-for-an-a-label", named("*.wild-idn.test"), host="xn--bcher-kva.wild-idn.test"),
    Case("wildcard-in-an-a-label", named("xn--*.part-idn.test"), "is for xn--*", host="xn--bcher-kva.part-idn.test"),
    Case("a-label", named("xn--bcher-kva.idn.test"), host="xn--bcher-kva.idn.test"),
    Case("u-label", named(dns("bücher.u-idn.test".encode())), "not xn--bcher-kva.u-idn.test",
         host="xn--bcher-kva.u-idn.test"),
    Case("common-name-only", one(names=None), "names no host",
         openssl=COMMON_NAME),
    Case("common-name-beside-another", named("elsewhere.test", subject=x509.name("common-name-beside-another.test")),
         "is for elsewhere.test"),
    Case("no-names-at-all", named(extra=()), "names no host"),
    Case("only-email-and-uri",
         named(x509.email("a@only-email-and-uri.test"), x509.uri("https://only-email-and-uri.test/")),
         "names no host",
         openssl=COMMON_NAME),
    Case("trailing-dot", named("trailing-dot.test."), "is for trailing-dot.test."),
    Case("leading-dot", named(".leading-dot.test"), "is for .leading-dot.test", host="a.leading-dot.test"),
    Case("blank-in-name", named("blank-in-name.test "), "is for blank-in-name.test"),
    Case("nul-in-name", named(dns(b"nul-in-name.test\0.evil.test")), "not nul-in-name.test"),
    Case("nul-before-name", named(dns(b"evil.test\0nul-before-name.test")), "not nul-before-name.test"),
    Case("empty-name", named(""), "names no host"),
    Case("empty-subject", named("empty-subject.test", subject=x509.seq(), extra=()),
         openssl=CA_DUTY),
    Case("critical-names", lambda c, host: [c.root.leaf(host, names=None, extra=(san(host, critical=True),),
                                                       subject=x509.seq())]),

    # --- addresses
    Case("ipv4", named(ip("192.0.2.1")), host="192.0.2.1"),
    Case("ipv6", named(ip("2001:db8::1")), host="2001:db8::1"),
    Case("other-ipv4", named(ip("192.0.2.99")), "is for 192.0.2.99, not 192.0.2.2", host="192.0.2.2"),
    Case("ipv4-as-dns", named("192.0.2.3"), "not 192.0.2.3", host="192.0.2.3"),
    Case("ipv4-as-wildcard", named("*.0.2.4"), "not 192.0.2.4", host="192.0.2.4"),
    Case("ipv4-as-common-name", one(names=None, subject=x509.name("192.0.2.5")), "names no host", host="192.0.2.5"),
    Case("ipv4-as-mapped", named(ip("::ffff:192.0.2.6")), "not 192.0.2.6", host="192.0.2.6",
         go="an IPv4 address has four bytes (RFC 5280 4.2.1.6)"),
    Case("ip-for-a-name", named(ip("192.0.2.7")), "is for 192.0.2.7, not",
         openssl=COMMON_NAME),
    Case("ip-of-five-bytes", named(ip(b"\xc0\0\2\1\0")), UNREADABLE, host="192.0.2.8"),

    # --- times
    Case("expired", one(end=x509.utc(-1)), "has expired on"),
    Case("not-yet-valid", one(start=x509.utc(2)), "is not yet valid, only from"),
    Case("ends-before-it-begins", one(start=x509.utc(5), end=x509.utc(-5)), "expired"),
    Case("expired-intermediate", below(end=x509.utc(-1)), "has expired on"),
    Case("future-intermediate", below(start=x509.utc(2)), "is not yet valid"),
    Case("expired-root", anchored(ca={"end": x509.utc(-1)}), "has expired on"),
    Case("in-1950", one(end=raw_time(23, "500101000000Z")), "has expired on 1950-01-01"),
    Case("in-2049", one(end=raw_time(23, "491231235959Z"))),
    Case("in-2050", one(end=raw_time(24, "20500101000000Z"))),
    Case("never", one(end=raw_time(24, "99991231235959Z"))),
    Case("general-before-2050", one(end=x509.general(100))),
    Case("no-seconds", one(end=raw_time(23, "4912312359Z")), UNREADABLE,
         go="RFC 5280 4.1.2.5.1: seconds are always there"),
    Case("with-offset", one(end=raw_time(23, "491231235959+0000")), UNREADABLE),
    Case("with-fraction", one(end=raw_time(24, "20491231235959.5Z")), UNREADABLE),
    Case("february-30", one(end=raw_time(23, "490230000000Z")), UNREADABLE),
    Case("month-13", one(end=raw_time(23, "491331000000Z")), UNREADABLE),

    # --- who may sign (RFC 5280 4.2.1.3, 4.2.1.9, 4.2.1.12)
    Case("ca-without-basic-constraints", below(bc=None), NOT_TRUSTED),
    Case("ca-flag-false", below(bc=x509.basic(False)), NOT_TRUSTED),
    Case("leaf-as-ca", lambda c, host: [(leaf := c.root.leaf("signer.test")).leaf(host), leaf], NOT_TRUSTED),
    Case("ca-without-key-cert-sign", below(usage=x509.key_usage(x509.CRL_SIGN)), NOT_TRUSTED),
    Case("ca-without-key-usage", below(usage=None), openssl=CA_DUTY),
    Case("ca-flag-not-critical", below(bc=x509.basic(True, critical=False)), openssl=CA_DUTY),
    Case("path-length", in_middle(lambda c, host, m: [
        (low := m.authority("Low", pathlen=0)).leaf(host), low, m])),
    Case("path-length-exceeded", lambda c, host: [
        (low := (high := c.root.authority("High", pathlen=0)).authority("Low")).leaf(host), low, high], NOT_TRUSTED),
    Case("path-length-of-the-root", lambda c, host: [
        (low := c.trust(x509.root(f"Root of {host}", pathlen=0)).authority("Low")).leaf(host), low], NOT_TRUSTED),
    Case("self-issued-counts", self_issued, NOT_TRUSTED, openssl=SIMPLER),
    Case("usage-of-a-client", one(eku=x509.extended_usage(x509.CLIENT_AUTH)), "not for TLS servers"),
    Case("usage-of-a-client-ca", below(eku=x509.extended_usage(x509.CLIENT_AUTH)), "is not for TLS servers"),
    Case("usage-of-a-server-ca", below(eku=x509.extended_usage(x509.SERVER_AUTH))),
    Case("any-usage-ca", below(eku=x509.extended_usage(x509.ANY_USAGE)),
         openssl="anyExtendedKeyUsage is any (RFC 5280 4.2.1.12), as in many intermediates"),
    Case("both-usages", one(eku=x509.extended_usage(x509.CLIENT_AUTH, x509.SERVER_AUTH, critical=True))),
    Case("usage-without-signature", one(usage=x509.key_usage(x509.KEY_CERT_SIGN)), "not for TLS servers",
         go="Go does not look at a leaf's keyUsage; RFC 5246 7.4.2 and 8446 4.4.2.2 do"),
    Case("ca-with-empty-key-usage", below(usage=extension("2.5.29.15", x509.bits(b"", 0), True)), NOT_TRUSTED,
         go="it takes a usage without bits for none; RFC 5280 4.2.1.3 asks for keyCertSign"),

    # --- extensions
    Case("critical-unknown", one(extra=(extension(UNKNOWN, b"\5\0", True),)), CRITICAL),
    Case("critical-unknown-in-a-ca", below(extra=(extension(UNKNOWN, b"\5\0", True),)), CRITICAL),
    Case("basic-constraints-twice", below(extra=(x509.basic(False),)), UNREADABLE),
    Case("unknown-twice", one(extra=(extension(UNKNOWN, b"\5\0"),) * 2), "has an extension twice",
         openssl="RFC 5280 4.2: not more than one of a kind"),
    Case("rubbish-in-a-ca", below(bc=extension("2.5.29.19", b"\x30\x80nonsense")), UNREADABLE),

    # --- other fields
    Case("version-1", one(version=1, extensions=()), "names no host",
         openssl=COMMON_NAME),
    Case("version-1-ca", below(version=1, extensions=()), NOT_TRUSTED),
    Case("version-1-root", anchored(ca={"version": 1, "extensions": ()}),
         openssl="a version 1 anchor cannot say that it is a CA; who gave it to us has"),
    Case("extensions-in-version-1", one(version=1), UNREADABLE),
    Case("negative-serial", one(serial=-5)),
    Case("serial-zero", one(serial=0)),
    Case("long-serial", one(serial=1 << 199)),
    Case("other-algorithm-inside", one(named_algorithm=x509.algorithm(x509.new_key(), "sha384")), UNREADABLE),
    Case("issuer-in-another-string-type", lambda c, host: [
        c.root.leaf(host, issuer_name=x509.name(c.ROOT, x509.printable))],
        go="names are compared as text (RFC 5280 7.1), not as bytes"),

    # --- keys, digests, signatures
    Case("bad-signature", one(spoil=True), NOT_TRUSTED),
    Case("bad-signature-of-a-ca", below(spoil=True), NOT_TRUSTED),
    Case("sha1", anchored(ca={"key": "rsa2048"}, digest="sha1"), DIGEST),
    Case("sha1-ecdsa", one(digest="sha1"), DIGEST),
    Case("sha1-intermediate", below(digest="sha1"), DIGEST),
    Case("sha1-root", anchored(ca={"key": "rsa2048", "digest": "sha1"})),
    Case("md5", anchored(ca={"key": "rsa2048"}, digest="md5"), "algorithm is not accepted"),
    Case("rsa-1024", one(key="rsa1024"), WEAK,
         go=WEAK_KEYS),
    Case("rsa-1024-intermediate", below(key="rsa1024"), WEAK,
         go=WEAK_KEYS),
    Case("rsa-1024-root", anchored(ca={"key": "rsa1024"}), WEAK,
         go=WEAK_KEYS),
    Case("rsa-2040", one(key="rsa2040"), WEAK,
         openssl="it counts strength, not bits; NIST SP 800-57 and the CABF BR say 2048",
         go=WEAK_KEYS),
    Case("p521", one(key="p521"), "in common",
         openssl=CURVES,
         go=CURVES),
    Case("p521-intermediate", below(key="p521"), CURVE,
         openssl=CURVES,
         go=CURVES),
    Case("p224", one(key="p224"), "in common",
         openssl=CURVES,
         go=CURVES),
    Case("p224-intermediate", below(key="p224"), CURVE,
         openssl=CURVES,
         go=CURVES),
    Case("k256-intermediate", below(key="k256"), CURVE,
         openssl=CURVES),
    Case("ed25519", one(key="ed25519"), "in common",
         openssl=CURVES,
         go=CURVES),
    Case("ed25519-intermediate", below(key="ed25519"), CURVE,
         openssl=CURVES,
         go=CURVES),

    # --- chains
    Case("missing-intermediate", lambda c, host: below()(c, host)[:1], NOT_TRUSTED),
    Case("root-is-sent", lambda c, host: [c.root.leaf(host), c.root]),
    Case("reordered", in_middle(lambda c, host, m: [
        (low := m.authority("Low")).leaf(host), m, low])),
    Case("sent-twice", lambda c, host: below()(c, host) + below()(c, host)[1:]),
    Case("strangers-too", lambda c, host: [*below()(c, host), x509.root("Stranger"), c.root.leaf("stranger.test")]),
    Case("cross-signed", cross_signed("known first")),
    Case("cross-signed-by-a-stranger-first", cross_signed("stranger first"),
         openssl=FIRST_ISSUER),
    Case("namesakes", namesakes,
         openssl=FIRST_ISSUER),
    Case("cycle", cycle, NOT_TRUSTED),
    Case("five-levels", depth(5)),
    Case("twelve-levels", depth(12), "too long", openssl="no real chain is so long, and each level costs us",
         go="as above"),
    Case("other-authority-key-id", lambda c, host: [c.root.leaf(host, ids=x509.authority_key(b"\1" * 20))],
         openssl="the identifier helps to find the issuer (RFC 5280 4.2.1.1), and its signature is good"),
    Case("unknown-root", lambda c, host: [x509.root("Stranger").leaf(host)], NOT_TRUSTED),
    Case("namesake-of-the-root", lambda c, host: [x509.root(c.ROOT).leaf(host)], NOT_TRUSTED),
    Case("intermediate-is-the-anchor", anchor_is_intermediate,
         openssl="what the operator gives is trusted (openssl's option for that is -partial_chain)"),
    Case("self-signed", self_signed(False), "is self-signed and not trusted"),
    Case("self-signed-anchor", self_signed(True)),
    Case("self-signed-ca-anchor", self_signed(True, bc=x509.basic(True))),
    Case("self-signed-anchor-for-another", self_signed(True, names=("elsewhere.test",)), "is for elsewhere.test"),
    Case("self-signed-anchor-expired", self_signed(True, end=x509.utc(-1)), "has expired on"),

    # --- name constraints (RFC 5280 4.2.1.10)
    Case("permitted", constrained(permitted=[dns("permitted.test")])),
    Case("permitted-not-critical", constrained(permitted=[dns("permitted-not-critical.test")], critical=False)),
    Case("permitted-below", constrained(permitted=[dns("zone.test")]), host="a.b.zone.test"),
    Case("permitted-leading-dot", constrained(permitted=[dns(".dotzone.test")]), host="a.dotzone.test"),
    Case("permitted-lookalike", constrained(permitted=[dns("zone.test")]), CONSTRAINED, host="notzone.test"),
    Case("not-permitted", constrained(permitted=[dns("elsewhere.test")]), CONSTRAINED),
    Case("one-name-not-permitted", constrained("two-names.test", "evil.test", permitted=[dns("two-names.test")]),
         CONSTRAINED, host="two-names.test"),
    Case("permitted-other-form", constrained(permitted=[ip_tree("192.0.2.0", "255.255.255.0")])),
    Case("excluded", constrained(excluded=[dns("excluded.test")]), CONSTRAINED),
    Case("excluded-other", constrained(excluded=[dns("elsewhere.test")])),
    Case("excluded-in-permitted", constrained(permitted=[dns("nest.test")], excluded=[dns("bad.nest.test")]), CONSTRAINED,
         host="a.bad.nest.test"),
    Case("excluded-all", constrained(excluded=[dns("")]), CONSTRAINED),
    Case("permitted-wildcard", constrained("*.wz.test", permitted=[dns("wz.test")]), host="a.wz.test"),
    Case("wildcard-reaches-excluded", constrained("*.we.test", excluded=[dns("bad.we.test")]), CONSTRAINED,
         host="bad.we.test", openssl="the name asked for is checked too, not only what the certificate says",
         go="as above"),
    Case("permitted-ip", constrained(ip("192.0.2.20"), permitted=[ip_tree("192.0.2.0", "255.255.255.0")]),
         host="192.0.2.20"),
    Case("not-permitted-ip", constrained(ip("192.0.2.21"), permitted=[ip_tree("198.51.100.0", "255.255.255.0")]),
         CONSTRAINED, host="192.0.2.21"),
    Case("excluded-ip", constrained(ip("192.0.2.22"), excluded=[ip_tree("192.0.2.22", "255.255.255.255")]),
         CONSTRAINED, host="192.0.2.22"),
    Case("ipv6-constraint-for-ipv4", constrained(ip("192.0.2.23"), permitted=[ip_tree("2001:db8::", "ffff:ffff::")]),
         CONSTRAINED, host="192.0.2.23"),
    Case("nested-both-permit", in_middle(lambda c, host, m: [
        (low := (high := c.root.authority("High", extra=(x509.constraints([dns("test")]),)))
         .authority("Low", extra=(x509.constraints([dns(host)]),))).leaf(host), low, high])),
    Case("nested-upper-forbids", in_middle(lambda c, host, m: [
        (low := (high := c.root.authority("High", extra=(x509.constraints([dns("elsewhere.test")]),)))
         .authority("Low", extra=(x509.constraints([dns(host)]),))).leaf(host), low, high]), CONSTRAINED),
    Case("constrained-root", anchored(ca={"extra": (x509.constraints([dns("elsewhere.test")]),)}), CONSTRAINED),
    Case("email-constraint", constrained(permitted=[x509.email("elsewhere.test")])),
    Case("uri-constraint", constrained(permitted=[x509.uri("elsewhere.test")])),
    Case("directory-constraint", constrained(permitted=[x509.directory(x509.name(None))]),
         go="Go knows no constraints on directory names"),
    Case("other-directory-constraint", constrained(permitted=[x509.directory(x509.name(None, organization="Others"))]),
         CONSTRAINED),
    Case("excluded-directory", constrained(excluded=[x509.directory(x509.name(None))]), CONSTRAINED),
    Case("directory-constraint-on-a-ca", lambda c, host: [
        (low := (high := c.root.authority("High", extra=(x509.constraints([x509.directory(x509.name(None))]),)))
         .authority("Low", subject=x509.name("Low", organization="Others"))).leaf(host), low, high], CONSTRAINED),
    Case("constraints-in-a-leaf", one(extra=(x509.constraints([dns("elsewhere.test")], critical=False),))),
    Case("empty-constraints", constrained(raw=extension("2.5.29.30", x509.seq(), True)), CONSTRAINED,
         openssl="RFC 5280 4.2.1.10: one of the two must be there; what it was to say is not known"),
    Case("constraints-with-minimum", constrained(raw=extension("2.5.29.30", x509.seq(x509.context(0, x509.seq(
        dns("test"), x509.context(0, b"\1", primitive=True)))), True)), CONSTRAINED,
         go="RFC 5280 4.2.1.10: minimum is 0; who writes another means something by it"),
    Case("ip-constraint-of-seven-bytes", constrained(ip("192.0.2.24"), permitted=[ip(b"\xc0\0\2\0\xff\xff\xff")]),
         CONSTRAINED, host="192.0.2.24"),
]


class Corpus:
    """All cases made: chains maps a case's id to its certificates; hosts likewise; anchors are to be trusted."""

    ROOT = "Corpus Root"

    def __init__(self):
        self.root = x509.root(self.ROOT)
        self.anchors = [self.root]
        self.chains = {}
        self.hosts = {}
        for case in CASES:
            host = case.host.format(id=case.id)
            self.hosts[case.id] = host
            self.chains[case.id] = case.build(self, host)
        twice = [i for i, n in collections.Counter(self.hosts.values()).items() if n > 1]
        assert not twice and len(self.chains) == len(CASES), f"used by several cases: {twice}"

    def trust(self, cert):
        self.anchors.append(cert)
        return cert

    def anchors_pem(self):
        return b"".join(anchor.pem for anchor in self.anchors)

"""Every certificate of support/corpus.py, shown to the proxy by a real server, and judged by OpenSSL and Go beside it."""

import base64
import json
import os
import ssl
import subprocess

import pytest

from support import client, forward, paths, upstream
from support.corpus import CASES, Corpus
from support.proxy import EgressProxy

BY_ID = {case.id: case for case in CASES}


@pytest.fixture(scope="module")
def corpus():
    return Corpus()


def is_name(host):
    return ":" not in host and not host.replace(".", "").isdigit()


def at(host):
    """As it stands before a port."""
    return f"[{host}]" if ":" in host else host


def context(chain, directory, name):
    """What a server needs to present this chain, however bad it is."""
    file = directory / f"{name}.pem"
    file.write_bytes(b"".join(cert.pem for cert in chain) + chain[0].key_pem)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers("DEFAULT@SECLEVEL=0")
    made.load_cert_chain(file)
    return made


class Servers:
    """One server, which chooses the certificate by the name asked for, and one for each host that is an address."""

    def __init__(self, corpus, directory):
        self.contexts = {host: context(corpus.chains[id], directory, id) for id, host in corpus.hosts.items()}
        front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        front.set_ciphers("DEFAULT@SECLEVEL=0")
        front.sni_callback = self._choose
        self.by_name = upstream.Upstream(context=front)
        self.running = [self.by_name]
        self.targets = {}
        for host, own in self.contexts.items():
            server = self.by_name
            if not is_name(host):
                server = upstream.Upstream(context=own)
                self.running.append(server)
            self.targets[at(host), 443] = server.host, server.port

    def _choose(self, sock, name, _):
        sock.context = self.contexts[name]

    def __enter__(self):
        for server in self.running:
            server.__enter__()
        return self

    def __exit__(self, *_):
        for server in self.running:
            server.__exit__(None, None, None)


@pytest.fixture(scope="module")
def proxy(corpus, pki, tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus")
    anchors = directory / "anchors.crt"
    anchors.write_bytes(corpus.anchors_pem())
    with Servers(corpus, directory) as servers, forward.ForwardProxy(servers.targets) as gate, EgressProxy(
            routes=[{"host": at(host)} for host in corpus.hosts.values()], ca=pki.bottle_ca, upstream_ca=[anchors],
            env={"EGRESS_PROXY_UPSTREAM_PROXY": gate.url}) as proxy:
        yield proxy


@pytest.mark.parametrize("id", BY_ID)
def test_verdict(proxy, corpus, pki, id):
    case, host = BY_ID[id], corpus.hosts[id]
    seen = len(proxy.events)
    wire = client.connect(proxy.address)
    client.open_tunnel(wire, f"{at(host)}:443")
    wire = client.start_tls(wire, client.tls_context(pki.bottle_cert), host)
    answer = client.get(wire, at(host))
    wire.close()
    event = proxy.wait_event(start=seen, event="request", host=host)
    if case.says is None:
        assert answer.status == 200, f"refused: {answer.body}"
        assert event["verdict"] == "allow"
        return
    assert answer.status == 502, "accepted"
    assert answer.get("bottle-block-reason") == "upstream-tls"
    message = json.loads(answer.body)["error"]["message"]
    assert case.says in message
    assert (event["reason"], event["message"]) == ("upstream-tls", message), "the operator reads the same"


def check_differences(verifier, refusals):
    """refusals: {id: why, or None}. It must disagree with the table exactly where the table gives a reason."""
    wrong = []
    for case in CASES:
        differs = (refusals[case.id] is None) != (case.says is None)
        if differs != bool(getattr(case, verifier)):
            wrong.append(f"{case.id}: {verifier} {refusals[case.id] or 'accepts'}")
    assert not wrong, "\n".join(wrong)


def test_beside_openssl(corpus, tmp_path):
    anchors = tmp_path / "anchors.crt"
    anchors.write_bytes(corpus.anchors_pem())
    refusals = {}
    for id, (leaf, *rest) in corpus.chains.items():
        (tmp_path / "leaf.pem").write_bytes(leaf.pem)
        (tmp_path / "rest.pem").write_bytes(b"".join(cert.pem for cert in rest))
        host = corpus.hosts[id]
        by = "-verify_hostname" if is_name(host) else "-verify_ip"
        done = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-auth_level", "2", "-purpose", "sslserver", by, host, "-no-CApath",
             "-no-CAstore", "-CAfile", anchors, *(["-untrusted", tmp_path / "rest.pem"] if rest else []),
             tmp_path / "leaf.pem"], text=True, capture_output=True)
        refusals[id] = None if done.returncode == 0 else done.stderr.strip().splitlines()[-2:]
    check_differences("openssl", refusals)


def test_beside_go(corpus, tmp_path, require):
    require("go")
    program = paths.REPO / "tests" / "support" / "verify.go"
    env = os.environ | {"GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    der = lambda certs: [base64.b64encode(cert.der).decode() for cert in certs]
    question = {"anchors": der(corpus.anchors),
                "cases": [{"id": id, "host": corpus.hosts[id], "chain": der(chain)}
                          for id, chain in corpus.chains.items()]}
    done = subprocess.run(["go", "run", program], input=json.dumps(question), text=True, capture_output=True, env=env)
    assert done.returncode == 0, done.stderr
    check_differences("go", {id: why or None for id, why in json.loads(done.stdout).items()})

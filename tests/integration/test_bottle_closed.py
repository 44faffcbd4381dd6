"""A hostile agent in a bottle on a real engine: what it may not reach, read or write."""

import re
import socket
import subprocess
import threading
import time
import types

import pytest
from support import certs, upstream
from support.bottle import LABEL, read_line

pytestmark = pytest.mark.limit(120)

SECRET = "cred-ential-5up3r-s3cret"
PORT = 8444


def host_addresses():
    text = subprocess.run(["ip", "-4", "-o", "address"], capture_output=True, text=True, check=True).stdout
    return [a for a in re.findall(r"inet ([\d.]+)/", text) if not a.startswith("127.")]


@pytest.fixture
def host_service():
    """A service of the host on all its addresses: TCP and UDP. `seen` counts what came."""
    tcp = socket.create_server(("0.0.0.0", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", tcp.getsockname()[1]))
    seen = []

    def accept():
        while True:
            try:
                connection, peer = tcp.accept()
            except OSError:
                return
            seen.append(peer)
            connection.close()

    def receive():
        while True:
            data, peer = udp.recvfrom(100)
            if data == b"stop":
                return
            seen.append(peer)

    for f in (accept, receive):
        threading.Thread(target=f, daemon=True).start()
    port = tcp.getsockname()[1]
    yield types.SimpleNamespace(port=port, seen=seen)
    udp.sendto(b"stop", ("127.0.0.1", port))
    tcp.shutdown(socket.SHUT_RDWR)
    tcp.close()


KNOCK = r"""
import ipaddress, re, socket, subprocess, sys
port, hosts = int(sys.argv[1]), sys.argv[2:]
routes = open("/proc/net/route").read().split("\n")[1:]
for line in filter(None, routes):
    f = line.split()
    dest, gateway, mask = (int.from_bytes(bytes.fromhex(f[i]), "little") for i in (1, 2, 7))
    hosts += [str(ipaddress.IPv4Address(a)) for a in (gateway, dest + 1) if a]
for host in sorted(set(hosts)):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(socket.AF_INET, kind)
        s.settimeout(1.5)
        try:
            s.connect((host, port))
            s.send(b"hello")
            print("SENT", host, kind.name) if kind == socket.SOCK_STREAM else None
        except OSError as e:
            print("no", host, kind.name, e)
print("tried", len(set(hosts)))
"""


def test_no_way_to_the_host(bottle, host_service):
    """Spec 1.2.6: over the bridge's gateway, and over every address of the host."""
    done = bottle.start("python3", "-c", KNOCK, str(host_service.port), *host_addresses())
    assert done.returncode == 0, done.stderr
    assert re.search(r"tried [1-9]", done.stdout)
    assert "SENT" not in done.stdout
    assert host_service.seen == []


def test_the_gateway_is_the_hole_that_is_closed(bottle, engine, base_image, host_service):
    """The same attempt succeeds on a plain internal network: what the test above tries is real."""
    name = f"plain-{time.monotonic_ns()}"
    engine.docker("network", "create", "--internal", name)
    try:
        engine.docker("run", "--rm", "--network", name, base_image, "python3", "-c", KNOCK, str(host_service.port))
    finally:
        engine.docker("network", "rm", name)
    if not host_service.seen:
        pytest.skip("this engine closes the gateway of internal networks by itself")


def test_an_engine_that_leaves_the_gateway_open_is_refused(bottle):
    bottle.engine_script("""
case "$*" in "network create"*--internal*)
    for arg; do shift; case "$arg" in --opt|*inhibit*) ;; *) set -- "$@" "$arg";; esac; done ;;
esac""")
    done = bottle.start("true")
    assert done.returncode == 125
    assert "inhibit_ipv4" in done.stderr


def test_an_engine_that_leaves_the_network_open_is_refused(bottle):
    bottle.engine_script("""
case "$*" in "network create"*--internal*)
    for arg; do shift; case "$arg" in --opt|*inhibit*|--internal) ;; *) set -- "$@" "$arg";; esac; done ;;
esac""")
    assert bottle.start("true").returncode == 125


def test_an_engine_that_leaves_ipv6_on_is_refused(bottle):
    bottle.engine_script("""
case "$*" in
"network create"*--internal*)
    for arg; do shift; case "$arg" in create) set -- "$@" create --ipv6 --subnet fd42:b077:1e::/64;; *) set -- "$@" "$arg";; esac; done ;;
create*)
    for arg; do shift; case "$arg" in *disable_ipv6=1) set -- "$@" net.ipv4.ip_forward=0;; *) set -- "$@" "$arg";; esac; done ;;
esac""")
    done = bottle.start("true")
    assert done.returncode == 125
    assert "IPv6" in done.stderr


DNS = r"""
import re, socket, struct
servers = re.findall(r"nameserver (\S+)", open("/etc/resolv.conf").read()) + ["127.0.0.11", "8.8.8.8"]
query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + b"\x07example\x03com\x00" + struct.pack("!2H", 1, 1)
for server in set(servers):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(4)
    try:
        s.sendto(query, (server, 53))
        answer = s.recv(512)
        # 2 is "server failure": nobody behind it was asked with success
        print(server, "rcode", answer[3] & 15, "answers", struct.unpack("!H", answer[6:8])[0])
    except OSError as e:
        print(server, "none", e)
"""


def test_names_do_not_leave(bottle):
    done = bottle.start("python3", "-c", DNS)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) >= 2
    for line in lines:
        assert " none " in line or " rcode 2 answers 0" in line, line


def test_policy_is_out_of_reach(bottle):
    script = r"""
for f in /run/bottle/env.json /run/bottle/ca.pem /run/bottle/new /.bottle/bottle /.bottle/new /etc/hosts /etc/passwd \
    /etc/ssl/certs/ca-certificates.crt; do
    (echo x >> $f) 2>/dev/null && echo "wrote $f"
    rm -f $f 2>/dev/null; [ -e $f ] || case $f in */new) ;; *) echo "removed $f";; esac
done
kill -9 1 2>/dev/null && echo "killed 1"
cat /proc/1/environ /proc/1/mem 2>/dev/null >/dev/null && echo "read 1"
find / -xdev -perm /6000 -type f 2>/dev/null | head -1 | grep -q . && echo "setuid files are there, and useless"
su -c id 2>/dev/null </dev/null && echo "became root"
ip route add 1.2.3.0/24 via $(getent hosts egress-proxy | cut -d' ' -f1) 2>/dev/null && echo "added a route"
ls /run/bottle
curl -s --noproxy '*' -m 2 http://egress-proxy:9098/health && echo "reached the health port"
python3 - <<'END'
import socket
for kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)):
    try:
        socket.socket(*kind)
        print("raw socket")
    except OSError:
        pass
END
echo end
"""
    done = bottle.start("sh", "-c", script)
    allowed = {"setuid files are there, and useless", "ca-bundle.pem", "ca.pem", "env.json", "end"}
    assert set(done.stdout.split("\n")) - {""} <= allowed, done.stdout
    assert "end" in done.stdout


@pytest.fixture
def server(pki, tmp_path):
    """A TLS server of the host that a bottle's egress-proxy may reach."""
    address = host_addresses()[0]
    identity = certs.server(pki.root, "api.test")
    with upstream.Upstream(identity, tmp_path, host=address, port=0) as running:
        yield running


def use(bottle, pki, server, **route):
    at = f"api.test:{server.port}"
    bottle.write(routes=[{"host": at, "auth": {"scheme": "Bearer", "token_ref": "API_TOKEN"}, **route}],
                 egress={"resolve": [f"{at}:{server.host}"], "upstream_ca": [str(pki.root_cert)]},
                 env={"VISIBLE": "${AGENT_SECRET}"})
    bottle.env["API_TOKEN"] = SECRET
    bottle.env["AGENT_SECRET"] = "agent-" + SECRET
    return f"https://{at}"


def test_credentials_are_nowhere(bottle, pki, server, engine):
    """Not in an object's description, an argument, an environment of ours, the state, an event, a file of the agent's."""
    url = use(bottle, pki, server)
    agent = bottle.popen("sh", "-c", f"curl -sS {url}/echo >/dev/null && echo asked; read line; "
                         f"cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -v VISIBLE;"
                         f"find / -xdev -type f -size -64k -readable -not -path '/proc/*' 2>/dev/null | xargs -d '\\n' cat 2>/dev/null")
    read_line(agent, "asked")
    names = engine.objects(f"{LABEL}={bottle.identity()}")
    assert len(names) == 4
    texts = [engine.docker("inspect", *names).stdout]
    texts += [engine.docker("history", "--no-trunc", "bottle-sidecar:0.1.0").stdout]
    texts += [engine.docker("ps", "-a", "--no-trunc").stdout]
    for container in (n for n in names if "bottle-net-" not in n and "bottle-egress-t" not in n):
        texts += [engine.docker("diff", container).stdout]
    for pid in subprocess.run(["ps", "-eo", "pid,args", "--no-headers"], capture_output=True, text=True).stdout.split("\n"):
        texts.append(pid)
        if " docker " in pid or pid.strip().endswith("docker"):
            with open(f"/proc/{pid.split()[0]}/environ") as f:
                texts.append(f.read())
    texts += [p.read_text() for p in bottle.home.rglob("*") if p.is_file()]
    out, err = agent.communicate("go\n", timeout=60)
    for text in (*texts, out, err):
        assert SECRET not in text
    assert agent.returncode in (0, 123)
    assert server.requests[0].get("authorization") == f"Bearer {SECRET}"
    assert [e["credential"] for e in bottle.events() if e["event"] == "request"] == ["EGRESS_PROXY_TOKEN_0"]


def test_programs_of_the_image_trust_the_bottle(bottle, pki, server):
    url = use(bottle, pki, server)
    host = url.removeprefix("https://")
    script = f"""
set -ex
curl -sS -o /dev/null {url}/echo
env -u SSL_CERT_FILE -u CURL_CA_BUNDLE curl -sS -o /dev/null {url}/echo
python3 -c 'import urllib.request as u; u.urlopen("{url}/echo").read()'
env -u SSL_CERT_FILE python3 -c 'import urllib.request as u; u.urlopen("{url}/echo").read()'
git ls-remote {url}/repo.git || :
openssl verify -CApath /etc/ssl/certs /run/bottle/ca.pem
echo | openssl s_client -proxy egress-proxy:9099 -connect {host} -servername api.test -verify_return_error
echo all
"""
    done = bottle.start("sh", "-c", script)
    assert done.stdout.endswith("\nall\n"), done.stdout + done.stderr
    assert any(r.path.startswith("/repo.git/") for r in server.requests)


def test_a_dead_sidecar_comes_back_with_the_same_rules(bottle, pki, server, engine):
    url = use(bottle, pki, server, path_allowlist=["/echo"])
    ask = f"curl -s -o /dev/null -w '%{{http_code}}\\n' -m 5 {url}"
    agent = bottle.popen("sh", "-c", f"{ask}/echo; read line; until [ $({ask}/echo) = 200 ]; do sleep 0.2; done;"
                         f"echo back; {ask}/other; {ask}/echo")
    read_line(agent, "200")
    sidecar = f"bottle-egress-proxy-{bottle.identity()}"
    engine.docker("kill", sidecar)
    out, err = agent.communicate("go\n", timeout=60)
    assert out == "back\n403\n200\n", out + err
    assert all(r.get("authorization") == f"Bearer {SECRET}" for r in server.requests)
    assert any(e["event"] == "sidecar-restart" for e in bottle.events())
    assert "started again" in err

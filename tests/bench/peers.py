"""The proxies of the comparison, how each is set up, and the upstream behind them."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import Callable

from support import certs, paths

UPSTREAM, UPSTREAM_H2, REVERSE = "20.0.0.1", "20.0.0.2", "20.0.0.3"
HOST, HOST_H2, HOST_REVERSE = "host.test", "two.test", "reverse.test"
HOST_MASKED = "masked.test"  # gets a credential, which is looked for in what comes back
HOSTS = [f"first{i}.test" for i in range(30)]
PORT = 18080
START_SECONDS = 30
TICK = os.sysconf("SC_CLK_TCK")
DAEMONS = "/usr/local/sbin:/usr/sbin:/sbin"

NGINX = """daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log crit; worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
	access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; server_tokens off;
	keepalive_requests 100000000; keepalive_timeout 300s; client_max_body_size 0;
	client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3;
	uwsgi_temp_path {dir}/4; scgi_temp_path {dir}/5;
	ssl_certificate {world}/upstream.pem; ssl_certificate_key {world}/upstream.pem;
	ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:10m;
	{servers}
}}
"""

UPSTREAM_SERVER = """server {{
	listen {address}:443 ssl {more} backlog=4096; root {world}/files;
	location /put/ {{ dav_methods PUT; client_body_buffer_size 1m; }}
}}
"""

REVERSE_SERVER = """upstream u {{ server {upstream}:443; keepalive 128; keepalive_requests 100000000; }}
server {{
	listen {address}:443 ssl http2 backlog=4096;
	location / {{
		proxy_pass https://u; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
		proxy_ssl_verify on; proxy_ssl_trusted_certificate {world}/root.crt;
		proxy_ssl_server_name on; proxy_ssl_name {host}; proxy_ssl_session_reuse on;
		proxy_request_buffering off; proxy_max_temp_file_size 0; proxy_buffers 16 16k;
	}}
}}
"""

SQUID = """http_port 127.0.0.1:{port} ssl-bump tls-cert={dir}/ca.pem generate-host-certificates=on dynamic_cert_mem_cache_size=16MB
sslcrtd_program /usr/lib/squid/security_file_certgen -s {dir}/certs -M 16MB
sslcrtd_children 5 startup=2 idle=1
acl first at_step SslBump1
ssl_bump peek first
ssl_bump bump all
tls_outgoing_options cafile={world}/root.crt
http_access allow all
cache deny all
cache_mem 8 MB
access_log none
cache_log {dir}/cache.log
pid_filename {dir}/pid
coredump_dir {dir}
memory_pools off
max_filedescriptors 16384
hosts_file /etc/hosts
pconn_timeout 5 minutes
client_idle_pconn_timeout 5 minutes
request_start_timeout 5 minutes
shutdown_lifetime 1 seconds
via off
forwarded_for delete
cache_effective_user proxy
"""

TINYPROXY = "Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 4000\nLogLevel Critical\nAllow 127.0.0.1\n"


class World:
    """The upstream, its names and certificates, and a folder for every proxy. A context manager."""

    def __init__(self, directory, core, mib):
        self.directory = directory
        self.core = core
        directory.chmod(0o755)
        root, bottle = certs.authority("Bench Upstream Root"), certs.authority("Bench CA")
        self.root = root.write_cert(directory, "root.crt")
        self.ca = bottle.write(directory, "ca.pem")
        self.ca_cert = bottle.write_cert(directory, "ca.crt")
        certs.server(root, HOST, HOST_H2, HOST_REVERSE, HOST_MASKED, *HOSTS).write(directory, "upstream.pem")
        self._files(mib)
        self._names()

    def _files(self, mib):
        files = self.directory / "files"
        (files / "put").mkdir(parents=True)
        (files / "1k").write_bytes(b"x" * 1024)
        for path, size in ((files / "big", mib), (self.directory / "up", mib // 4)):
            with open(path, "wb") as file:
                file.truncate(size << 20)

    def _names(self):
        lines = [f"127.0.0.1 localhost\n{UPSTREAM} {HOST}\n{UPSTREAM_H2} {HOST_H2}\n{REVERSE} {HOST_REVERSE}\n"]
        lines += [f"{UPSTREAM} {name}\n" for name in (HOST_MASKED, *HOSTS)]
        names = self.directory / "hosts"
        names.write_text("".join(lines))
        subprocess.run(["mount", "--bind", names, "/etc/hosts"], check=True)

    def folder(self, name):
        path = self.directory / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def nginx(self, name, servers):
        """Writes a configuration and returns the command that runs it."""
        directory = self.folder(name)
        fill = {"dir": directory, "world": self.directory}
        (directory / "conf").write_text(NGINX.format(servers=servers, **fill))
        return ["nginx", "-c", directory / "conf", "-e", directory / "error.log"]

    def __enter__(self):
        fill = {"world": self.directory}
        servers = UPSTREAM_SERVER.format(address=UPSTREAM, more="", **fill)
        servers += UPSTREAM_SERVER.format(address=UPSTREAM_H2, more="http2", **fill)
        command = self.nginx("upstream", servers)
        subprocess.run(["chmod", "-R", "a+rwX", self.directory / "files"], check=True)
        self._upstream = spawn(command, self.core, self.directory / "upstream.log")
        wait_port((UPSTREAM, 443), self._upstream, self.directory / "upstream.log")
        return self

    def __exit__(self, *_):
        stop(self._upstream)
        subprocess.run(["umount", "/etc/hosts"], check=True)


@dataclass
class Peer:
    """A proxy. set_up(world) writes what it needs into a folder of its own and returns its command."""

    name: str
    program: str
    set_up: Callable
    h2: bool = True
    forward: bool = True  # False: clients connect to it as if it were the upstream
    intercepts: bool = True  # False: clients see the upstream's certificate
    masks: bool = False
    environment: dict = field(default_factory=dict)

    def installed(self):
        return shutil.which(self.program, path=os.environ["PATH"] + ":" + DAEMONS) is not None


def _egress(world):
    directory = world.folder("egress-proxy")
    routes = [{"host": name} for name in (HOST, HOST_H2, *HOSTS)]
    routes.append({"host": HOST_MASKED, "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"})
    (directory / "routes.json").write_text(json.dumps({"routes": routes}))
    return [paths.applet("egress-proxy"), "--routes", directory / "routes.json", "--ca", world.ca,
            "--upstream-ca", world.root, "--listen", f"127.0.0.1:{PORT}"]


def _mitmproxy(world):
    directory = world.folder("mitmproxy")
    shutil.copy(world.ca, directory / "mitmproxy-ca.pem")
    return ["mitmdump", "-q", "--listen-host", "127.0.0.1", "-p", PORT, "--set", f"confdir={directory}",
            "--set", "stream_large_bodies=1m", "--set", f"ssl_verify_upstream_trusted_ca={world.root}"]


def _squid(world):
    directory = world.folder("squid")
    shutil.copy(world.ca, directory / "ca.pem")
    (directory / "conf").write_text(SQUID.format(dir=directory, world=world.directory, port=PORT))
    subprocess.run(["/usr/lib/squid/security_file_certgen", "-c", "-s", directory / "certs", "-M", "16MB"],
                   check=True, capture_output=True)
    subprocess.run(["chown", "-R", "proxy", directory], check=True)
    return ["squid", "-N", "-f", directory / "conf"]


def _nginx(world):
    return world.nginx("nginx", REVERSE_SERVER.format(upstream=UPSTREAM, address=REVERSE, host=HOST,
                                                      world=world.directory))


def _tinyproxy(world):
    directory = world.folder("tinyproxy")
    (directory / "conf").write_text(TINYPROXY.format(port=PORT))
    return ["tinyproxy", "-d", "-c", directory / "conf"]


EGRESS = Peer("egress-proxy", "egress-proxy", _egress, masks=True,
              environment={"EGRESS_PROXY_TOKEN_0": "bench-0123456789abcdef"})
ALL = {p.name: p for p in (
    Peer("mitmproxy", "mitmdump", _mitmproxy),
    Peer("squid", "/usr/lib/squid/security_file_certgen", _squid, h2=False),
    Peer("nginx", "nginx", _nginx, forward=False, intercepts=False),
    Peer("tinyproxy", "tinyproxy", _tinyproxy, intercepts=False),
)}


def spawn(command, core, log, environment=()):
    env = dict(os.environ, PATH=os.environ["PATH"] + ":" + DAEMONS)
    for name in [n for n in env if n.lower().endswith("_proxy") or n.startswith(("EGRESS_PROXY_", "SSL_CERT_"))]:
        del env[name]
    env.update(environment)
    with open(log, "ab") as out:
        return subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT, env=env, start_new_session=True)


def wait_port(address, process, log):
    """Until it accepts. A listener comes up at no known time and tells nobody, hence the polling."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection(address, 1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(f"it ended at once: {pathlib.Path(log).read_text()[-300:].strip()}") from None
            time.sleep(0.0005)
    stop(process)
    raise RuntimeError(f"its port did not open within {START_SECONDS} s")


def stop(process):
    """Ends a process and those it started."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def family(pid):
    """A process and all below it."""
    found = [pid]
    for parent in found:
        for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


class Running:
    """A proxy that runs, pinned to a core. A context manager."""

    def __init__(self, peer, world, core):
        self.peer = peer
        self.address = ("127.0.0.1", PORT) if peer.forward else (REVERSE, 443)
        self.trust = world.ca_cert if peer.intercepts else world.root
        self._log = world.directory / f"{peer.name}.log"
        command = peer.set_up(world)
        begin = time.monotonic()
        self._process = spawn(command, core, self._log, peer.environment)
        wait_port(self.address, self._process, self._log)
        self.start_ms = (time.monotonic() - begin) * 1e3

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self._process)

    def cpu(self):
        """CPU seconds so far, of the whole family and its dead."""
        total = 0
        for pid in family(self._process.pid):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15] if pid == self._process.pid else fields[11:13]))
        return total / TICK

    def rss(self, key="VmRSS"):
        """MB of the whole family."""
        total = 0
        for pid in family(self._process.pid):
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(key + ":"):
                    total += int(line.split()[1])
        return total / 1024

    def rss_when_quiet(self):
        """MB once it has stopped working on what it was given: some open their port early."""
        before = -1
        for _ in range(50):
            if (now := self.cpu()) == before:
                break
            before = now
            time.sleep(0.2)
        return self.rss()

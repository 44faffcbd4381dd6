"""What the clients do to a proxy, and what is measured of it. Load comes from hey and curl."""

import re
import socket
import ssl
import statistics
import subprocess
import time

import peers

CONCURRENCY = 16
CURL_SECONDS = 120
WARM_UP_SECONDS = 1
GB = 1e9


class Client:
    """Clients of one running proxy."""

    def __init__(self, proxy, world):
        self.proxy = proxy
        self.world = world
        self.forward = proxy.peer.forward
        self.context = ssl.create_default_context(cafile=proxy.trust)

    def _url(self, path, h2=False, host=None):
        host = host or (peers.HOST_REVERSE if not self.forward else peers.HOST_H2 if h2 else peers.HOST)
        return f"https://{host}/{path}"

    def _via(self):
        return ["-x", "http://%s:%d" % self.proxy.address] if self.forward else []

    # --- requests: hey does not verify, so those below do -------------------------------------------

    def _hey(self, seconds, more):
        command = ["hey", "-cpus", "1", "-z", f"{seconds}s", "-c", str(CONCURRENCY), *more]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout

    def requests(self, seconds, reuse=True, h2=False):
        """Many requests for 1 KiB; returns CPU s per 1000 (with reuse, else CPU ms each: the same), rate, p99 ms."""
        more = [*([] if reuse else ["-disable-keepalive"]), *(["-h2"] if h2 else []), *self._via(), self._url("1k", h2)]
        if reuse:
            self._hey(WARM_UP_SECONDS, more)
        before = self.proxy.cpu()
        out = self._hey(seconds, more)
        cpu = self.proxy.cpu() - before
        statuses = {int(s): int(n) for s, n in re.findall(r"\[(\d+)\]\s+(\d+) responses", out)}
        p99 = re.search(r"99%+ in ([\d.]+) secs", out)
        if set(statuses) != {200} or "Error distribution" in out or not p99:
            raise RuntimeError(f"hey {' '.join(more)} saw:{out.partition('Status code')[2] or out}")
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
        return 1e3 * cpu / statuses[200], rate, float(p99.group(1)) * 1e3

    def _connect(self, host):
        wire = socket.create_connection(self.proxy.address, 30)
        if self.forward:
            wire.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
            head = _until(wire, b"\r\n\r\n")
            if b" 200" not in head.split(b"\r\n")[0]:
                raise RuntimeError(f"CONNECT: {head!r}")
        return self.context.wrap_socket(wire, server_hostname=host)

    def first_requests(self, hosts):
        """A connection and a request to each host, none of which was seen before; p50 in ms."""
        took = []
        for host in hosts:
            begin = time.perf_counter()
            with self._connect(host) as wire:
                wire.sendall(f"GET /1k HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                answer = _until(wire, b"x" * 1024)
            took.append(time.perf_counter() - begin)
            if b" 200" not in answer.split(b"\r\n")[0]:
                raise RuntimeError(f"{host}: {answer[:100]!r}")
        return statistics.median(took) * 1e3

    # --- transfers ----------------------------------------------------------------------------------

    def _curl(self, url, h2, *more):
        """Returns bytes down, bytes up and seconds, of a transfer that went well, and the proxy's CPU seconds."""
        command = ["curl", "-sS", "--fail", "--cacert", self.proxy.trust, "--max-time", str(CURL_SECONDS),
                   "--http2" if h2 else "--http1.1", "-o", "/dev/null",
                   "-w", "%{size_download} %{size_upload} %{time_total} %{http_version}", *self._via(), *more, url]
        before = self.proxy.cpu()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        cpu = self.proxy.cpu() - before
        if done.returncode:
            raise RuntimeError(f"{url}: {done.stderr.strip()}")
        down, up, seconds, version = map(float, done.stdout.split())
        if (version == 2) != h2:
            raise RuntimeError(f"{url}: HTTP version {version}")
        return down, up, seconds, cpu

    def download(self, mib, h2=False, host=None):
        """MB/s, CPU s per GB."""
        down, _, seconds, cpu = self._curl(self._url("big", h2, host), h2)
        if down != mib << 20:
            raise RuntimeError(f"download: {down:.0f} bytes")
        return down / 1e6 / seconds, cpu * GB / down

    def upload(self, mib, h2=False):
        """MB/s, CPU s per GB."""
        url = self._url("put/" + self.proxy.peer.name, h2)
        _, up, seconds, cpu = self._curl(url, h2, "-H", "Expect:", "-T", self.world.directory / "up")
        stored = self.world.directory / "files/put" / self.proxy.peer.name
        if up != mib << 20 or stored.stat().st_size != up:
            raise RuntimeError(f"upload: {up:.0f} bytes sent, {stored.stat().st_size} stored")
        stored.unlink()
        return up / 1e6 / seconds, cpu * GB / up

    # --- idle ---------------------------------------------------------------------------------------

    def idle_kb(self, count):
        """KB of the proxy's memory for each connection that did CONNECT and TLS and no more."""
        before, wires = self.proxy.rss(), []
        try:
            for _ in range(count):
                wires.append(self._connect(peers.HOST if self.forward else peers.HOST_REVERSE))
            return max(0, self.proxy.rss_when_quiet() - before) * 1024 / count
        finally:
            for wire in wires:
                wire.close()


def _until(wire, mark):
    data = b""
    while mark not in data:
        more = wire.recv(65536)
        if not more:
            raise RuntimeError(f"closed after {data[:200]!r}")
        data += more
    return data

"""A network of its own for the case driver: only a loopback, on which every address of the world is local.

Whatever name the proxy looks up is answered by `Names`, and whatever address it dials is answered by the driver's
own listeners. So the proxy under test runs without any test option: real lookups, real address checks, the real
ports 80 and 443; and nothing can leave the machine.
"""

import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

INSIDE = "BOTTLE_TEST_ISLAND"


def enter(script):
    """Runs the script again inside new namespaces, unless this is that run already."""
    if INSIDE in os.environ:
        return
    flags = ["--net", "--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net", "--mount"]
    os.environ[INSIDE] = "yes"
    try:
        os.execvp("unshare", ["unshare", *flags, "--", sys.executable, script, *sys.argv[1:]])
    except FileNotFoundError:
        sys.exit("unshare (package util-linux) is not installed: run scripts/bootstrap")


def settle():
    """Brings the island up: loopback, all addresses local, the name server of this machine on it."""
    for command in (
        "ip link set lo up",
        "ip route add local 0.0.0.0/0 dev lo",
        "ip -6 route add local ::/0 dev lo",
    ):
        subprocess.run(command.split(), check=True)
    with tempfile.NamedTemporaryFile("w", prefix="resolv.conf-") as file:
        file.write("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
        file.flush()
        target = pathlib.Path("/etc/resolv.conf").resolve()
        subprocess.run(["mount", "--bind", file.name, target], check=True)


class Names:
    """A name server. table maps names to addresses ([]: no such name); any other name below .test has `default`.

    asked lists the lookups.
    """

    def __init__(self, default):
        self.default = default
        self.table = {}
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            query, peer = self._socket.recvfrom(4096)
            self._socket.sendto(self._answer(query), peer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
            at += 1 + query[at]
        kind = struct.unpack(">H", query[at + 1:at + 3])[0]
        question = query[12:at + 5]
        name = ".".join(labels).lower()
        self.asked.append(name)
        addresses = self.table.get(name, self.default if name.endswith(".test") else [])
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        packed = [socket.inet_pton(family, a) for a in addresses if family and (":" in a) == (kind == 28)]
        code = 0 if addresses else 3
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(packed), 0, 0)
        records = b"".join(
            b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(data)) + data for data in packed
        )
        return head + question + records

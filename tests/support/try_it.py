"""Runs shell text from standard input in a network of its own, in which https://example.com/ exists, and prints what it
prints. The example of a --help is to work as it stands there, fixed ports and public names included.

    try_it.py DIRECTORY <TEXT
"""

import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certs, island, paths, upstream  # noqa: E402

ADDRESS = "93.184.215.14"


def main(directory):
    island.settle()
    island.Names([]).table["example.com"] = [ADDRESS]
    root = certs.authority("Test Upstream Root")
    env = os.environ | {"PATH": f"{paths.BUILD}:{os.environ['PATH']}", "SSL_CERT_FILE": str(root.write_cert(directory))}
    with upstream.Upstream(certs.server(root, "example.com"), directory, host="0.0.0.0", port=443) as server:
        server.on("/", lambda x: x.respond(body=b"this is example.com\n"))
        with open(directory / "output", "w+b") as output:
            # What it leaves in the background goes with its process group.
            shell = subprocess.Popen(["sh"], env=env, cwd=directory, stdout=output, stderr=output,
                                     start_new_session=True)
            try:
                code = shell.wait(30)
            finally:
                os.killpg(shell.pid, signal.SIGTERM)
            output.seek(0)
            sys.stdout.buffer.write(output.read())
    return code


if __name__ == "__main__":
    island.enter(__file__)
    sys.exit(main(pathlib.Path(sys.argv[1])))

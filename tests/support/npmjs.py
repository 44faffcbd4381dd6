"""An npm registry on an Upstream: what `npm install` reads, which is a document per package and its tarballs."""

import base64
import functools
import hashlib
import json
import pathlib
import subprocess
import tempfile


@functools.lru_cache
def _packed(name, payload):
    """(manifest, tarball), as npm makes it."""
    manifest = {"name": name, "version": "1.0.0", "files": ["payload"]}
    with tempfile.TemporaryDirectory(prefix="npm-") as directory:
        tree = pathlib.Path(directory)
        (tree / "package.json").write_text(json.dumps(manifest))
        (tree / "payload").write_bytes(payload)
        done = subprocess.run(["npm", "pack", "--silent"], cwd=tree, check=True, capture_output=True, text=True,
                              timeout=40)
        return manifest, (tree / done.stdout.strip()).read_bytes()


def publish(server, base, packages):
    """Serves {name: content of its file `payload`}, each at version 1.0.0; base: where tarballs are said to be."""
    for name, payload in packages.items():
        short = name.rpartition("/")[2]
        manifest, tarball = _packed(name, payload)
        path = f"/{name}/-/{short}-1.0.0.tgz"
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
        version = manifest | {"dist": {"tarball": base + path, "integrity": integrity}}
        document = json.dumps({"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}).encode()
        server.on(path, lambda x, body=tarball: x.respond(body=body))
        server.on("/" + name.replace("/", "%2f"), lambda x, body=document: x.respond(
            headers=[("Content-Type", "application/json")], body=body))


def client(agent, registry):
    """npm(…) runs it in the agent's home with this registry; the finished process."""
    agent.env |= {"npm_config_registry": registry, "npm_config_update_notifier": "false", "npm_config_fund": "false",
                  "npm_config_audit": "false", "npm_config_globalconfig": "/nonexistent/npmrc",
                  "npm_config_fetch_retries": "0"}
    (agent.home / "package.json").write_text("{}")

    def npm(*argv, code=0):
        done = agent.call("npm", *argv)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return npm

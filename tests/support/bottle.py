"""A home with a bottle and an agent, and `bottle start` on it.

    bottle = Bottle(tmp_path, base_image)
    bottle.write(routes=[{"host": "api.test:8443"}])
    done = bottle.start("sh", "-c", "exit 7")

`engine_script` puts a shell script before the engine's client: it sees the arguments as "$*" and may do something
before, or instead of, `exec docker "$@"`.
"""

import json
import os
import pathlib
import secrets
import subprocess

from . import paths

LABEL = "bottle.identity"


class Bottle:
    def __init__(self, directory, image):
        self.directory = pathlib.Path(directory)
        self.home = self.directory / "home"
        self.image = image
        # Others may use the same engine: what is ours is known by the agent's name.
        self.agent = "t" + secrets.token_hex(4)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("BOTTLE_")}
        self.env["BOTTLE_HOME"] = str(self.home)
        for folder in ("bottles", "agents"):
            (self.home / folder).mkdir(parents=True)
        self.write()

    def write(self, routes=(), agent_body="", **keys):
        """The bottle `b` and its agent; keys are those of the bottle's frontmatter."""
        keys.setdefault("agent", {"provider": "custom", "image": self.image})
        if routes:
            keys["egress_proxy"] = {"routes": list(routes)}
        # Flow style of YAML is JSON, near enough.
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())
        (self.home / "bottles" / "b.md").write_text(f"---\n{text}---\n")
        self.agent_file().write_text(f"---\nbottle: b\n---\n{agent_body}")

    def agent_file(self):
        return self.home / "agents" / f"{self.agent}.md"

    def objects(self, engine):
        """Names of all that this bottle's runs have on the engine."""
        return [name for name in engine.objects(LABEL) if f"-{self.agent}-" in name]

    def engine_script(self, script):
        path = self.directory / "engine"
        path.write_text(f'#!/bin/sh\n{script}\nexec docker "$@"\n')
        path.chmod(0o755)
        self.env["BOTTLE_ENGINE"] = str(path)

    def command(self, *args):
        return [str(paths.applet("bottle")), *map(str, args)]

    def run(self, *args, input="", timeout=60, **more):
        """Any command of bottle, to its end."""
        return subprocess.run(self.command(*args), env=self.env, encoding="utf-8", errors="replace",
                              input=input, capture_output=True, timeout=timeout, **more)

    def start(self, *agent_command, options=(), **more):
        return self.run("start", self.agent, "--yes", *options, "--", *agent_command, **more)

    def popen(self, *agent_command, options=(), **more):
        """A bottle that goes on running; its output is in pipes."""
        return subprocess.Popen(self.command("start", self.agent, "--yes", *options, "--", *agent_command), env=self.env,
                                encoding="utf-8", errors="replace", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def states(self):
        return sorted((self.home / "state").glob("*")) if (self.home / "state").exists() else []

    def identity(self):
        """Of the one run whose state is there."""
        found = self.states()
        assert len(found) == 1, found
        return found[0].name

    def events(self):
        """All events of all runs, in files' order."""
        files = sorted(self.home.glob("state/*/events.jsonl")) + sorted(self.home.glob("audit/*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def read_line(process, text):
    """Reads the process's output up to a line that contains text."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return line
    raise AssertionError(f"no '{text}' in {seen}: {process.stderr.read()}")

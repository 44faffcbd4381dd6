"""egress-proxy under test: started as an operator starts it from a shell, watched by its events, stopped by TERM.

    with EgressProxy(routes=[{"host": "api.test"}], ca=ca_file, resolve={"api.test": "127.9.8.7"}) as proxy:
        wire = client.tunnel(proxy.address, "api.test:443", ca_cert)
"""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

from . import paths

START_SECONDS = 10
STOP_SECONDS = 10

# Leaks that are not ours: glibc keeps something per thread for name lookups.
SUPPRESSIONS = pathlib.Path(__file__).with_name("leaks.supp")

# What a sanitizer prints when it has found something; the proxy's exit code says it too.
SANITIZER = ("AddressSanitizer", "LeakSanitizer", "runtime error:")


class Process:
    """A program whose stdout is JSON lines (events) and whose stderr is talk."""

    def __init__(self, argv, env, stdin=subprocess.DEVNULL):
        self.events = []
        self.talk = []
        self._changed = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            [str(a) for a in argv], env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="surrogateescape",
        )
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_talk, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_events(self):
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "not-json", "line": line}
            with self._changed:
                self.events.append(event)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read_talk(self):
        for line in self.process.stderr:
            with self._changed:
                self.talk.append(line)
                self._changed.notify_all()

    def _wait(self, what, find, timeout):
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                found = find()
                if found is not None:
                    return found
                left = end - time.monotonic()
                if self._ended or left <= 0:
                    why = "the process ended" if self._ended else f"not within {timeout} s"
                    raise AssertionError(f"no {what}: {why}\nevents: {self.events[-5:]}\nstderr: {''.join(self.talk)}")
                self._changed.wait(left)

    def wait_event(self, start=0, timeout=10.0, **fields):
        """The first event, from number start on, whose fields have these values."""
        def find():
            for event in self.events[start:]:
                if all(event.get(k) == v for k, v in fields.items()):
                    return event
            return None
        return self._wait(f"event {fields}", find, timeout)

    def wait_talk(self, text, start=0, timeout=10.0):
        """The first line of stderr, from line number start on, that contains text."""
        return self._wait(f"{text!r} on stderr", lambda: next((t for t in self.talk[start:] if text in t), None), timeout)

    def take_events(self):
        """The events so far; they are forgotten here."""
        with self._changed:
            taken, self.events = self.events, []
        return taken

    def decisions(self):
        """The events that judge a request."""
        return [e for e in self.events if "verdict" in e]

    def status(self, key):
        """A figure of /proc/PID/status in KiB, such as VmRSS or VmHWM."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        raise KeyError(key)

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def kill(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def end(self, timeout=STOP_SECONDS):
        """Waits for the process to exit and returns its code."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not exit within {timeout} s of being told to\n{''.join(self.talk)}") from None
        for reader in self._readers:
            reader.join(timeout)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


class EgressProxy(Process):
    """routes: list of route objects, or the text of a routes file. tokens: {slot: value} for the environment.

    resolve: {"name" or "name:port": address}; a bare name stands for ports 443 and 80.
    under: a command that runs it, such as ["prlimit", "--nofile=64"].
    Leaving the `with` block stops it and checks that it ended well and gave no secret away.
    """

    def __init__(self, routes=(), ca=None, tokens=None, resolve=None, upstream_ca=(), allow_private=(), options=(),
                 env=None, listen="127.0.0.1:0", under=()):
        self._directory = tempfile.TemporaryDirectory(prefix="egress-proxy-")
        self.directory = pathlib.Path(self._directory.name)
        self.routes_file = self.directory / "routes.json"
        self.control = self.directory / "control.sock"
        self.tokens = dict(tokens or {})
        self.write_routes(routes)
        argv = [*under, paths.applet("egress-proxy"), "--routes", self.routes_file, "--listen", listen,
                "--control", self.control]
        if ca:
            argv += ["--ca", ca]
        for file in upstream_ca:
            argv += ["--upstream-ca", file]
        for name, address in (resolve or {}).items():
            names = [name] if ":" in name else [name + ":443", name + ":80"]
            for one in names:
                argv += ["--resolve", f"{one}:{address}"]
        for network in allow_private:
            argv += ["--allow-private", network]
        argv += list(options)
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith("EGRESS_PROXY_") and not k.lower().endswith("_proxy")}
        environment.update({f"EGRESS_PROXY_TOKEN_{slot}": value for slot, value in self.tokens.items()})
        environment.setdefault("LSAN_OPTIONS", f"suppressions={SUPPRESSIONS}:print_suppressions=0")
        environment.update(env or {})
        super().__init__(argv, environment)
        self.address = None

    def write_routes(self, routes):
        """Replaces the routes file in one step, as an editor does."""
        text = routes if isinstance(routes, str) else json.dumps({"routes": list(routes)})
        fresh = self.routes_file.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.routes_file)

    def __enter__(self):
        try:
            ready = self.wait_event(event="ready", timeout=START_SECONDS)
        except BaseException:
            self.process.kill()
            self.end()
            self._directory.cleanup()
            raise
        host, _, port = ready["listen"].rpartition(":")
        self.address = (host.strip("[]"), int(port))
        self.url = f"http://{ready['listen']}"
        return self

    def __exit__(self, kind, *_):
        try:
            if self.process.poll() is None:
                self.kill()
            code = self.end()
            if kind is None:
                assert code == 0, f"egress-proxy ended with {code}\n{''.join(self.talk)}"
                self.check_output()
        finally:
            self._directory.cleanup()

    def check_output(self):
        """Neither events nor talk may hold a credential, a sanitizer report or a line that is no JSON."""
        talk = "".join(self.talk)
        for mark in SANITIZER:
            assert mark not in talk, talk
        everything = json.dumps(self.events) + talk
        for value in self.tokens.values():
            assert not value or value not in everything, "a credential is in the events or on stderr"
        broken = [e["line"] for e in self.events if e.get("event") == "not-json"]
        assert not broken, f"stdout is not JSON lines: {broken}"

    def ctl(self, *args, input="", check=True):
        """Runs `egress-proxy ctl ARGS --socket S` and returns its stdout (check=False: the finished process)."""
        done = subprocess.run(
            [paths.applet("egress-proxy"), "ctl", *args, "--socket", self.control], input=input, text=True,
            capture_output=True, timeout=10,
        )
        if not check:
            return done
        assert done.returncode == 0, f"ctl {args}: {done.returncode}\n{done.stderr}"
        return done.stdout

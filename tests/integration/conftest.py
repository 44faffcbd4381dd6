"""Fixtures of the integration tests.

What a test needs and this machine lacks is an error that names scripts/bootstrap, never a skip: a protection
that was not tried was not shown.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests"))

from support import certs, http2, paths, upstream  # noqa: E402
from support.agent import Agent  # noqa: E402
from support.proxy import EgressProxy  # noqa: E402

LIMIT_SECONDS = 60

# The tests' own traffic must not leave through whatever proxy or trust store this machine is set up with.
for name in list(os.environ):
    if name.lower().endswith("_proxy") or name in (
        "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT",
        "NODE_EXTRA_CA_CERTS", "NIX_SSL_CERT_FILE", "AWS_CA_BUNDLE",
    ):
        del os.environ[name]


def pytest_configure(config):
    config.addinivalue_line("markers", f"limit(seconds): ends the test after so long (default {LIMIT_SECONDS})")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """Every test has a bounded time."""
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else LIMIT_SECONDS

    def expired(*_):
        raise TimeoutError(f"the test took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def require(*programs):
    """Fails the test when a program is missing; returns the path of the first."""
    for program in programs:
        if not shutil.which(program):
            pytest.fail(f"{program} is not installed: run scripts/bootstrap", pytrace=False)
    return shutil.which(programs[0])


@pytest.fixture(name="require", scope="session")
def _require():
    return require


@pytest.fixture(scope="session", autouse=True)
def built():
    """The build under test exists."""
    missing = [a for a in ("bottle", "egress-proxy", "bottle-ca") if not paths.applet(a).exists()]
    if missing:
        pytest.exit(f"{paths.BUILD} has no {', '.join(missing)}: run make", returncode=3)
    return paths.BUILD


class Engine:
    """A Docker engine that answers."""

    def docker(self, *args, check=True, input=None, timeout=60):
        """Runs the docker client; returns the finished process with text output."""
        done = subprocess.run(["docker", *map(str, args)], input=input, text=True, capture_output=True, timeout=timeout)
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(map(str, args))}: {done.returncode}\n{done.stderr}")
        return done

    def objects(self, label):
        """Names of all containers and networks with this label, running or not."""
        containers = self.docker("ps", "-a", "--filter", f"label={label}", "--format", "{{.Names}}").stdout
        networks = self.docker("network", "ls", "--filter", f"label={label}", "--format", "{{.Name}}").stdout
        return sorted(containers.split() + networks.split())


def _script(name, *args):
    done = subprocess.run([REPO / "scripts" / name, *args], text=True, capture_output=True, timeout=900)
    if done.returncode:
        pytest.fail(f"scripts/{name} {' '.join(args)}:\n{done.stderr}", pytrace=False)
    return done.stdout.strip()


@pytest.fixture(scope="session")
def engine():
    """A Docker engine: the one that answers, else one of our own for the length of the session."""
    require("docker")
    answered = subprocess.run([REPO / "scripts" / "engine", "status"], capture_output=True).returncode == 0
    os.environ["DOCKER_HOST"] = _script("engine", "start")
    yield Engine()
    if not answered:
        _script("engine", "stop")


@pytest.fixture(scope="session")
def base_image(engine):
    """Name of a Debian image with curl, git, node, python and a normal user `agent` (uid 1000)."""
    return _script("base-image")


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """The two authorities of a test: the bottle's own, and the one that upstreams are certified by."""
    return Pki(tmp_path_factory.mktemp("pki"))


class Pki:
    def __init__(self, directory):
        self.directory = directory
        self.bottle = certs.authority("Test Bottle CA")
        self.root = certs.authority("Test Upstream Root")
        self.bottle_ca = self.bottle.write(directory, "bottle-ca.pem")
        self.bottle_cert = self.bottle.write_cert(directory, "bottle-ca.crt")
        self.root_cert = self.root.write_cert(directory, "root.crt")


@pytest.fixture
def start_upstream(pki, tmp_path):
    """start_upstream("api.test", kind="valid", ...) runs a TLS upstream on port 443 of an address of its own."""
    running = []

    def start(name, kind="valid", tls=True, port=None, **more):
        identity = certs.make(kind, pki.root, name) if tls else None
        server = upstream.Upstream(identity, tmp_path, host=upstream.free_loopback(),
                                   port=port if port is not None else 443 if tls else 80, **more)
        server.name = name
        server.__enter__()
        running.append(server)
        return server

    yield start
    for server in reversed(running):
        server.__exit__(None, None, None)


@pytest.fixture
def start_h2(pki, tmp_path):
    """start_h2("api.test") runs an upstream that speaks HTTP/2 only; with more names its certificate has them all."""
    running = []

    def start(name, *more):
        identity = certs.server(pki.root, name, *more)
        server = http2.Upstream(identity, tmp_path, host=upstream.free_loopback(), port=443)
        server.name = name
        server.__enter__()
        running.append(server)
        return server

    yield start
    for server in running:
        server.__exit__(None, None, None)
        assert not server.errors, server.errors


@pytest.fixture
def start_raw(pki, tmp_path):
    """start_raw(script, "a.test") runs a server below HTTP; without a name it does not speak TLS."""
    running = []

    def start(script, name=None):
        context = name and upstream.server_context(certs.make("valid", pki.root, name), tmp_path)
        server = upstream.RawServer(script, host=upstream.free_loopback(), port=443, context=context)
        server.name = name
        server.__enter__()
        running.append(server)
        return server

    yield start
    for server in running:
        server.__exit__(None, None, None)


@pytest.fixture
def start_proxy(pki):
    """start_proxy(routes=[...], upstreams=[...]) runs an egress-proxy that knows and trusts these upstreams."""
    running = []

    def start(routes=(), upstreams=(), **more):
        resolve = {u.name: u.host for u in upstreams} | more.pop("resolve", {})
        more.setdefault("ca", pki.bottle_ca)
        more.setdefault("upstream_ca", [pki.root_cert])
        proxy = EgressProxy(routes=routes, resolve=resolve, **more)
        proxy.__enter__()
        running.append(proxy)
        return proxy

    yield start
    errors = []
    for proxy in reversed(running):
        try:
            proxy.__exit__(None, None, None)
        except AssertionError as e:
            errors.append(e)
    if errors:
        raise errors[0]


@pytest.fixture
def agent_of(pki, tmp_path):
    """agent_of(proxy) is set up as an agent behind it."""
    return lambda proxy: Agent(proxy, pki.bottle_cert, tmp_path)


@pytest.fixture
def agent(proxy, agent_of):
    """An agent behind the `proxy` of the test's own module."""
    return agent_of(proxy)


@pytest.fixture
def bottle(tmp_path, engine, base_image):
    """A Bottle on a real engine; the test fails when it leaves an object behind."""
    from support.bottle import Bottle

    made = Bottle(tmp_path, base_image)
    yield made
    left = made.objects(engine)
    for name in left:
        engine.docker("rm", "-f", name, check=False)
    for name in left:
        engine.docker("network", "rm", name, check=False)
    assert not left, f"left behind: {left}"

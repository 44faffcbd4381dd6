"""Package managers through the proxy, each against a small repository of its kind."""

import gzip
import hashlib
import io
import os
import subprocess
import zipfile

import pytest

from support import npmjs
from support.agent import assert_injected

TOKEN = "correct-horse-battery-staple"
CREDENTIAL = f"Bearer {TOKEN}"
PAYLOAD = os.urandom(400_000)


@pytest.fixture
def proxy(start_proxy, repository):
    return start_proxy(routes=[{"host": repository.name, "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"}],
                       upstreams=[repository], tokens={0: TOKEN})


class TestNpm:
    @pytest.fixture
    def repository(self, start_upstream, require):
        require("npm")
        server = start_upstream("registry.test")
        npmjs.publish(server, "https://registry.test", {"left": PAYLOAD, "@some/right": b"x"})
        return server

    @pytest.fixture
    def npm(self, agent):
        return npmjs.client(agent, "https://registry.test")

    def test_install(self, npm, agent, proxy, repository):
        npm("install", "left", "@some/right")
        assert (agent.home / "node_modules/left/payload").read_bytes() == PAYLOAD
        assert (agent.home / "node_modules/@some/right/payload").read_bytes() == b"x"
        assert all(r.all("authorization") == [CREDENTIAL] for r in repository.requests)
        proxy.wait_event(verdict="allow", host="registry.test", path="/left/-/left-1.0.0.tgz", status=200)

    def test_own_token_does_not_leave(self, npm, agent, repository):
        (agent.home / ".npmrc").write_text("//registry.test/:_authToken=mine\n")
        npm("view", "left", "version")
        assert_injected(repository, CREDENTIAL, len(repository.requests))

    def test_refusal(self, npm, agent, proxy):
        agent.env["npm_config_registry"] = "https://evil.example"
        done = npm("install", "left", code=1)
        assert "403" in done.stderr and "evil.example" in done.stderr
        proxy.wait_event(verdict="block", host="evil.example", reason="host-not-allowed")


class TestPip:
    """An index as PEP 503 has it, one wheel on it."""

    @pytest.fixture
    def repository(self, start_upstream):
        server = start_upstream("pypi.test")
        wheel, name = _wheel(), "left-1.0-py3-none-any.whl"
        index = f'<a href="/files/{name}#sha256={hashlib.sha256(wheel).hexdigest()}">{name}</a>'
        server.on("/simple/left/", lambda x: x.respond(headers=[("Content-Type", "text/html")], body=index.encode()))
        server.on(f"/files/{name}", lambda x: x.respond(body=wheel))
        return server

    @pytest.fixture
    def pip(self, agent):
        def pip(index, code=0):
            done = agent.call("/usr/bin/python3", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check",
                              "--retries=0", "--target", "site", "--index-url", index, "left")
            assert done.returncode == code, done.stderr
            return done
        return pip

    def test_install(self, pip, agent, proxy, repository):
        pip("https://pypi.test/simple")
        assert (agent.home / "site/left/payload").read_bytes() == PAYLOAD
        assert_injected(repository, CREDENTIAL, 2)
        proxy.wait_event(verdict="allow", host="pypi.test", path="/files/left-1.0-py3-none-any.whl", status=200)

    def test_own_token_does_not_leave(self, pip, repository):
        pip("https://me:mine@pypi.test/simple")
        assert_injected(repository, CREDENTIAL, 2)

    def test_refusal(self, pip, proxy):
        pip("https://evil.example/simple", code=1)
        proxy.wait_event(verdict="block", host="evil.example", reason="host-not-allowed")


def _wheel():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("left/__init__.py", "")
        archive.writestr("left/payload", PAYLOAD)
        archive.writestr("left-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: left\nVersion: 1.0\n")
        archive.writestr("left-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("left-1.0.dist-info/RECORD", "left/__init__.py,,\nleft/payload,,\n")
    return out.getvalue()


class TestApt:
    """A small Debian archive, and an apt whose whole world is below the agent's home."""

    PACKAGES = 12
    STRICT = ("-o", "APT::Update::Error-Mode=any")

    @pytest.fixture
    def archive(self, tmp_path, require):
        """Files of the archive by their paths."""
        require("dpkg-deb")
        files, index = {}, ""
        for number in range(self.PACKAGES):
            tree = tmp_path / f"package{number}"
            (tree / "DEBIAN").mkdir(parents=True)
            control = f"Package: left{number}\nVersion: 1.0\nArchitecture: all\nMaintainer: T\nDescription: left\n"
            (tree / "DEBIAN/control").write_text(control)
            (tree / "payload").write_bytes(os.urandom(50_000))
            deb = tmp_path / f"left{number}.deb"
            subprocess.run(["dpkg-deb", "-Znone", "-b", tree, deb], check=True, capture_output=True)
            data = files[f"/debian/pool/{deb.name}"] = deb.read_bytes()
            index += (control + f"Filename: pool/{deb.name}\nSize: {len(data)}\n"
                      f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n")
        indexes = {"Packages": index.encode(), "Packages.gz": gzip.compress(index.encode())}
        files |= {f"/debian/dists/stable/main/binary-amd64/{name}": data for name, data in indexes.items()}
        files["/debian/dists/stable/Release"] = (
            "Suite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\n"
            "Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n"
            + "".join(f" {hashlib.sha256(data).hexdigest()} {len(data)} main/binary-amd64/{name}\n"
                      for name, data in indexes.items())).encode()
        return files

    def serve(self, server, files):
        def handler(x):
            data = files.get(x.request.path)
            x.respond(*((200, "OK") if data is not None else (404, "Not Found")), body=data or b"")
        server.otherwise = handler
        return server

    @pytest.fixture
    def repository(self, start_upstream, archive):
        return self.serve(start_upstream("deb.test"), archive)

    @pytest.fixture
    def apt(self, agent):
        root = agent.home / "apt"
        for name in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial",
                     "var/cache/apt/archives/partial", "var/lib/dpkg"):
            (root / name).mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        conf = agent.home / "apt.conf"
        conf.write_text(f'Dir "{root}";\nDir::State::status "{root}/var/lib/dpkg/status";\nDir::Bin::methods "/usr/lib/apt/methods";\n'
                        f'APT::Architecture "amd64";\nAPT::Sandbox::User "{os.environ.get("USER", "root")}";\n'
                        f'Acquire::Languages "none";\nAcquire::Retries "0";\nAcquire::https::CAInfo "{agent.ca_cert}";\n'
                        f'Acquire::https::Proxy "{agent.env["https_proxy"]}";\nAcquire::http::Proxy "{agent.env["http_proxy"]}";\n')
        agent.env["APT_CONFIG"] = str(conf)

        def apt(source, *argv, code=0):
            (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] {source}/debian stable main\n")
            done = agent.call("apt-get", "-q", *argv)
            assert done.returncode == code, done.stdout + done.stderr
            return done
        return apt

    def downloads(self, apt, agent, source, archive):
        apt(source, "update", *self.STRICT)
        names = [f"left{n}" for n in range(self.PACKAGES)]
        apt(source, "download", *names)
        for name in names:
            assert (agent.home / f"{name}_1.0_all.deb").read_bytes() == archive[f"/debian/pool/{name}.deb"]

    def test_https(self, apt, agent, proxy, repository, archive):
        self.downloads(apt, agent, "https://deb.test", archive)
        assert_injected(repository, CREDENTIAL, len(repository.requests))
        proxy.wait_event(verdict="allow", host="deb.test", path="/debian/pool/left3.deb", status=200)

    def test_http(self, apt, agent, start_upstream, start_proxy, archive):
        """As most mirrors are: plain http, requests pipelined."""
        server = self.serve(start_upstream("plain.test", tls=False), archive)
        proxy = start_proxy(routes=[{"host": "plain.test"}], upstreams=[server])
        conf = agent.home / "apt.conf"
        conf.write_text(conf.read_text() + f'Acquire::http::Proxy "{proxy.url}";\n')
        self.downloads(apt, agent, "http://plain.test", archive)

    def test_refusal(self, apt, proxy):
        for scheme in ("https", "http"):
            done = apt(f"{scheme}://evil.example", "update", *self.STRICT, code=100)
            assert "403  Forbidden" in done.stdout + done.stderr
        proxy.wait_event(verdict="block", host="evil.example", reason="host-not-allowed")

"""Chromium as a bottle has it: the proxy from the environment, the CA in the user's NSS database."""

import json
import random
import struct
import subprocess
import threading
import zlib

import pytest

TOKEN = "correct-horse-battery-staple"
SIZE = 900  # of the picture; its noise does not compress, so this is some megabytes

# What the page finds out it tells /done. The last event comes only after /ack, asked for when the first was seen.
# Chromium gives up what it has under way when a network interface of the machine comes or goes (a container's, say):
# then the page asks again, as it does by itself for the events.
PAGE = """<!doctype html>
<title>bottle</title>
<body style="margin: 0; background: white">
<script>
const colour = (context, x, y) => Array.from(context.getImageData(x, y, 1, 1).data.slice(0, 3));
async function persist(ask, times = 5) {
  for (;;) {
    try {
      return await ask();
    } catch (e) {
      if (!--times) throw e;
    }
  }
}
const get = (url, options) => persist(() => fetch(url, options));
function picture() {
  return new Promise((done, failed) => {
    const image = new Image();
    image.onerror = () => failed(new Error("the picture"));
    image.onload = () => {
      const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
      canvas.width = image.width;
      canvas.height = image.height;
      context.drawImage(image, 0, 0);
      document.body.append(canvas);
      done({size: [image.width, image.height], first: colour(context, 0, 0),
            last: colour(context, image.width - 1, image.height - 1)});
    };
    image.src = "/picture.png";
  });
}
function events() {
  return new Promise(done => {
    const seen = [], source = new EventSource("https://api.test/events");
    source.onopen = () => { seen.length = 0; };
    source.onmessage = event => {
      seen.push(event.data);
      if (seen.length === 1) get("https://api.test/ack");
      if (event.data === "last") { source.close(); done(seen); }
    };
  });
}
async function all() {
  const out = {};
  let answer = await get("/echo", {method: "POST", body: new Uint8Array(1000000)});
  out.upload = {status: answer.status, length: (await answer.json()).length};
  answer = await get("/forbidden");
  out.refused = {status: answer.status, reason: (await answer.json()).error.reason};
  out.elsewhere = await fetch("https://evil.example/").then(r => r.status, e => e.name);
  answer = await Promise.all([...Array(30).keys()].map(n => get("/echo?" + n)));
  out.together = answer.filter(r => r.status === 200).length;
  out.picture = await persist(picture);
  out.events = await events();
  out.protocols = [...new Set(performance.getEntriesByType("resource").map(e => e.nextHopProtocol))].filter(Boolean);
  return out;
}
all().catch(e => ({failed: String(e)})).then(out => get("/done", {method: "POST", body: JSON.stringify(out)}));
</script>
"""


def png(pixels):
    """A picture of 3 bytes a pixel."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    width = 3 * SIZE
    rows = b"".join(b"\0" + pixels[n * width:(n + 1) * width] for n in range(SIZE))
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


@pytest.fixture
def pixels():
    return random.Random(4).randbytes(3 * SIZE * SIZE)


@pytest.fixture
def site(start_h2, pixels):
    """Speaks HTTP/2 only. `done` is set when the page has said what it found, in `found`."""
    server = start_h2("site.test")
    server.done = threading.Event()

    def done(x):
        server.found = json.loads(x.request.body)
        x.respond(204)
        server.done.set()

    picture = png(pixels)
    server.on("/page", lambda x: x.respond(headers=[("content-type", "text/html")], body=PAGE.encode()))
    server.on("/picture.png", lambda x: x.respond(headers=[("content-type", "image/png")], body=picture))
    server.on("/done", done)
    return server


@pytest.fixture
def api(start_upstream):
    """Speaks HTTP/1.1, to any page."""
    server = start_upstream("api.test")
    server.acknowledged = threading.Event()
    anyone = ("Access-Control-Allow-Origin", "*")

    def events(x):
        x.head(headers=[anyone, ("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])
        x.chunk(b"data: first\n\n")
        if server.acknowledged.wait(20):
            x.chunk(b"data: last\n\n")
        x.end_chunks()

    def ack(x):
        server.acknowledged.set()
        x.respond(headers=[anyone])

    server.on("/events", events)
    server.on("/ack", ack)
    return server


@pytest.fixture
def proxy(start_proxy, site, api):
    return start_proxy(upstreams=[site, api], tokens={0: TOKEN}, routes=[
        {"host": "site.test", "path_allowlist": ["/page", "/echo", "/picture.png", "/done"], "auth_scheme": "Bearer",
         "token_env": "EGRESS_PROXY_TOKEN_0"},
        {"host": "api.test"}])


@pytest.fixture
def chromium(agent, require):
    """Its command line so far."""
    database = f"sql:{agent.home}/.pki/nssdb"
    (agent.home / ".pki/nssdb").mkdir(parents=True)
    agent.run(require("certutil"), "-N", "-d", database, "--empty-password")
    agent.run("certutil", "-A", "-d", database, "-t", "C,,", "-n", "bottle", "-i", agent.ca_cert)
    # No sandbox of its own, for tests may run as root; nothing that it would ask Google for.
    return [require("chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--no-first-run",
            f"--user-data-dir={agent.home}/chromium"]


def test_page(chromium, agent, proxy, site, api, pixels):
    with subprocess.Popen([*chromium, "https://site.test/page"], env=agent.env, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, cwd=agent.home) as process:
        told = site.done.wait(45)
        process.terminate()
        talk = process.stderr.read().decode()
    assert told, f"{talk}\n{proxy.decisions()}"
    assert site.found == {
        "upload": {"status": 200, "length": 1_000_000},
        "refused": {"status": 403, "reason": "path-not-allowed"},
        "elsewhere": "TypeError",
        "together": 30,
        "picture": {"size": [SIZE, SIZE], "first": list(pixels[:3]), "last": list(pixels[-3:])},
        "events": ["first", "last"],
        "protocols": ["h2"],
    }
    assert {tuple(r.all("authorization")) for r in site.requests} == {(f"Bearer {TOKEN}",)}
    proxy.wait_event(verdict="allow", host="site.test", path="/picture.png", status=200)
    proxy.wait_event(verdict="block", host="site.test", path="/forbidden", reason="path-not-allowed")
    proxy.wait_event(verdict="block", host="evil.example", reason="host-not-allowed")


def test_refused_page_shows_the_reason(chromium, agent, proxy):
    for _ in range(5):  # see PAGE
        page = agent.run(*chromium, "--dump-dom", "https://evil.example/")
        if page.strip():
            break
    assert "host-not-allowed" in page and "egress-proxy" in page
    proxy.wait_event(verdict="block", host="evil.example", reason="host-not-allowed")

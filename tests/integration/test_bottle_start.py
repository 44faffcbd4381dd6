"""bottle start on a real engine: what the agent gets, and what comes back."""

import json
import os
import pathlib
import pty
import subprocess

import pytest
from support.bottle import read_line

pytestmark = pytest.mark.limit(120)


@pytest.mark.parametrize("command, status", [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_exit_status_is_the_agents(bottle, command, status):
    assert bottle.start("sh", "-c", command).returncode == status


def test_a_command_that_is_not_there(bottle):
    done = bottle.start("no-such-program")
    assert done.returncode == 127
    assert "no-such-program" in done.stderr


def test_streams_pass_through(bottle):
    done = bottle.start("sh", "-c", "cat; echo error >&2", input="through\n")
    assert done.stdout == "through\n"
    assert "error\n" in done.stderr


def test_state_after_a_clean_end_and_after_another(bottle):
    assert bottle.start("true").returncode == 0
    assert bottle.states() == []
    assert [e["event"] for e in bottle.events()] == ["ready"]
    assert bottle.start("false").returncode == 1
    listed = json.loads(bottle.run("list", "--json").stdout)
    assert [(e["agent"], e["state"]) for e in listed] == [(bottle.agent, "ended")]
    assert bottle.run("logs", bottle.identity()).returncode == 0


def test_the_agents_user_and_rights(bottle):
    done = bottle.start("sh", "-c", "id -u; pwd; echo $HOME; cat /proc/self/status; touch here ~/there && echo mine")
    out = done.stdout
    assert out.startswith("1000\n/work\n/home/agent\n") and out.endswith("mine\n")
    for line in ("CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
                 "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"):
        assert line in out


def test_a_number_without_a_name_gets_one(bottle):
    bottle.write(agent={"provider": "custom", "image": bottle.image, "user": "4321:4321"})
    done = bottle.start("sh", "-c", "whoami; id -g; touch x && echo mine")
    assert done.stdout.split() == ["bottle-agent", "4321", "mine"]


def test_root_is_refused(bottle):
    bottle.write(agent={"provider": "custom", "image": bottle.image, "user": "root"})
    done = bottle.start("true")
    assert done.returncode != 0 and "root" in done.stderr


def test_environment(bottle):
    bottle.env["HOST_SECRET"] = "host-secret-value"
    bottle.write(env={"PLAIN": "text", "COPIED": "${HOST_SECRET}"}, git_user={"name": 'A "B"', "email": "a@b.c"})
    done = bottle.start("sh", "-c", "echo $PLAIN $COPIED; git config user.name; env | grep -c HOST_SECRET")
    assert done.stdout == 'text host-secret-value\nA "B"\n0\n'


def git(directory, *args):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *args], cwd=directory, check=True,
                   capture_output=True)


def test_a_copy_of_the_work_tree(bottle, tmp_path):
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    (work / "sub" / "file").write_text("content")
    (work / "link").symlink_to("/etc/hostname")
    git(work, "init", "-q")
    git(work, "remote", "add", "origin", "https://user:t0ken-in-url@example.com/x.git")
    git(work, "config", "credential.helper", "store --file=/tmp/creds")
    git(work, "config", "http.extraHeader", "Authorization: t0ken-in-header")
    (work / ".git" / "hooks" / "pre-commit").write_text("#!/bin/sh\necho t0ken-in-hook\n")
    git(work, "add", "-A")
    git(work, "commit", "-q", "--no-verify", "-m", "first")
    done = bottle.start("sh", "-c", "cat sub/file; git status --porcelain; git log --format=%s; git remote get-url origin;"
                        "grep -r t0ken . ; echo changed > sub/file; git commit -qam second; git log --format=%s; stat -c %u .git",
                        options=["--cwd"], cwd=work)
    assert "content" in done.stdout and "https://example.com/x.git" in done.stdout and "t0ken" not in done.stdout
    assert done.returncode == 0, done.stderr
    assert (work / "sub" / "file").read_text() == "content"


def test_the_work_tree_itself(bottle, tmp_path):
    work = tmp_path / "wor,k"
    work.mkdir()
    os.chmod(work, 0o777)
    assert bottle.start("sh", "-c", "echo x > made", options=["--cwd=bind"], cwd=work).returncode == 0
    assert (work / "made").read_text() == "x\n"


def test_skills_and_prompt(bottle, tmp_path):
    skill = tmp_path / ".claude" / "skills" / "review"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("how to review")
    bottle.env["HOME"] = str(tmp_path)
    bottle.write()
    bottle.agent_file().write_text("---\nbottle: b\nskills: [review]\n---\nBe careful.\n")
    done = bottle.start("sh", "-c", "cat ~/.claude/skills/review/SKILL.md /run/bottle/prompt.md; stat -c %u ~/.claude")
    assert done.stdout == "how to reviewBe careful.\n1000\n"


def on_a_terminal(bottle, *args, answers=()):
    """Runs bottle with a terminal; returns exit status and all that was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(bottle.command()[0], bottle.command(*args), bottle.env)
    shown, waiting = b"", list(answers)
    while True:
        if waiting and waiting[0][0] in shown:
            os.write(terminal, waiting.pop(0)[1])
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_no_is_no(bottle):
    status, shown = on_a_terminal(bottle, "start", bottle.agent, "--", "true", answers=[(b"[y/N]", b"\n")])
    assert status == 1
    assert f"bottle-net-{bottle.agent}-" in shown
    assert bottle.states() == [] and bottle.events() == []


def test_ctrl_c_is_the_agents(bottle):
    """It interrupts what runs in the box, not the bottle."""
    script = "test -t 0 && test -t 1 && trap 'echo got-it; exit 4' INT; echo waiting; while :; do sleep 0.1; done"
    status, shown = on_a_terminal(bottle, "start", bottle.agent, "--", "sh", "-c", script,
                                  answers=[(b"[y/N]", b"y\n"), (b"waiting\r\n", b"\x03")])
    assert status == 4
    assert "got-it" in shown


def test_without_a_terminal_a_yes_is_needed(bottle):
    done = bottle.run("start", bottle.agent, "--", "true", start_new_session=True)
    assert done.returncode == 2
    assert "--yes" in done.stderr


def test_a_dry_run_contacts_nothing(bottle):
    bottle.env["BOTTLE_ENGINE"] = "/no/such/engine"
    bottle.env["TOKEN"] = "t0ken-value"
    bottle.write(routes=[{"host": "h.test", "auth": {"scheme": "Bearer", "token_ref": "TOKEN"}}])
    done = bottle.run("start", bottle.agent, "--dry-run", "--format", "json", "--", "true")
    assert done.returncode == 0
    assert json.loads(done.stdout)["identity"].startswith(bottle.agent + "-")
    assert "TOKEN" in done.stdout and "t0ken-value" not in done.stdout
    assert not (bottle.home / "state").exists()


@pytest.mark.parametrize("options, text", [
    (["--format", "yaml"], "--format"),
    (["--cwd=copy"], "--cwd"),
    (["--backend", "podman"], "--backend"),
])
def test_bad_usage(bottle, options, text):
    done = bottle.start("true", options=options)
    assert done.returncode == 2 and text in done.stderr


def test_what_this_version_lacks_is_refused(bottle):
    bottle.write(supervise=True)
    done = bottle.start("true")
    assert done.returncode == 1 and "supervise" in done.stderr
    assert bottle.states() == []


@pytest.mark.parametrize("chosen", [None, "stock"])
def test_the_choice_of_cryptography_reaches_the_sidecar(bottle, engine, chosen):
    bottle.env.pop("BOTTLE_CRYPTO", None)
    if chosen:
        bottle.env["BOTTLE_CRYPTO"] = chosen
    agent = bottle.popen("sh", "-c", "echo up; cat /proc/self/environ; cat")
    read_line(agent, "up")
    sidecar = f"bottle-egress-proxy-{bottle.identity()}"
    names = json.loads(engine.docker("inspect", "--format", "{{json .Config.Env}}", sidecar).stdout) or []
    out, err = agent.communicate("", timeout=60)
    assert [n for n in names if n.startswith("BOTTLE_CRYPTO")] == (["BOTTLE_CRYPTO=stock"] if chosen else [])
    assert "BOTTLE_CRYPTO" not in out, "it is none of the agent's business"
    assert agent.returncode == 0, err


def test_two_at_once(bottle):
    first, second = bottle.popen("sh", "-c", "echo up; cat"), bottle.popen("sh", "-c", "echo up; cat")
    for process in (first, second):
        read_line(process, "up")
    assert len(json.loads(bottle.run("list", "--json").stdout)) == 2
    for process in (first, second):
        process.stdin.close()
        assert process.wait(30) == 0


def test_init_makes_a_bottle_that_plans(bottle, tmp_path):
    bottle.env["BOTTLE_HOME"] = str(tmp_path / "fresh")
    assert bottle.run("init").returncode == 0
    files = {p: p.read_text() for p in pathlib.Path(tmp_path / "fresh").rglob("*.md")}
    assert len(files) == 2
    assert bottle.run("start", "dev", "--dry-run").returncode == 0
    assert bottle.run("info", "dev").returncode == 0
    assert bottle.run("init").returncode == 0
    assert {p: p.read_text() for p in files} == files


def test_install(bottle, tmp_path):
    target = tmp_path / "bin"
    assert bottle.run("install", target).returncode == 0
    assert (target / "egress-proxy").readlink() == pathlib.Path("bottle")
    done = subprocess.run([target / "bottle-ca", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("Usage: bottle-ca")


def test_doctor(bottle):
    done = bottle.run("doctor")
    assert done.returncode == 0, done.stderr
    bottle.env["DOCKER_HOST"] = "unix:///nowhere.sock"
    done = bottle.run("doctor")
    assert done.returncode == 1 and "systemctl start docker" in done.stderr

"""However a bottle ends, nothing is left: failing steps, signals, kills, a full disk."""

import json
import resource
import signal
import subprocess

import pytest
from support.bottle import LABEL, read_line

pytestmark = pytest.mark.limit(120)

# Each call of the engine that brings a bottle up, by how its arguments begin.
STEPS = ["info", "network create*--internal", "network create", "create*agent-init", "create*egress-proxy",
         "network connect", "cp -", "start*bottle-egress-proxy", "start*bottle-t", "container inspect",
         "exec*provision"]


@pytest.mark.parametrize("step", STEPS)
def test_a_failing_step(bottle, step):
    bottle.engine_script(f'case "$*" in {step.replace(" ", "?")}*) echo "made to fail" >&2; exit 1;; esac')
    done = bottle.start("true")
    assert done.returncode in (1, 125)
    assert "made to fail" in done.stderr
    assert bottle.states() == []


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("step", [*STEPS, "exec*session"])
def test_a_signal_at_each_step(bottle, step, signo):
    """The engine's client of that step sends it to the launcher."""
    bottle.engine_script(f'case "$*" in {step.replace(" ", "?")}*) kill -{int(signo)} $PPID;; esac')
    done = bottle.start("sleep", "100", start_new_session=True)
    assert done.returncode == 128 + signo
    assert "nothing is left" in done.stderr


def test_signals_while_it_runs(bottle):
    for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        agent = bottle.popen("sh", "-c", "echo up; sleep 100", start_new_session=True)
        read_line(agent, "up")
        agent.send_signal(signo)
        assert agent.wait(30) == 128 + signo


def test_a_killed_launcher(bottle, engine):
    """The boxes end with their lease; cleanup removes them, and never those of a bottle that lives."""
    lives = bottle.popen("sh", "-c", "echo up; cat")
    read_line(lives, "up")
    living = bottle.identity()
    killed = bottle.popen("sh", "-c", "echo up; sleep 100")
    read_line(killed, "up")
    dead = next(s.name for s in bottle.states() if s.name != living)
    killed.kill()
    killed.wait(10)
    waited = engine.docker("wait", f"bottle-{dead}", f"bottle-egress-proxy-{dead}", timeout=20)
    assert waited.returncode == 0
    states = {e["identity"]: e["state"] for e in json.loads(bottle.run("list", "--json").stdout)}
    assert states == {living: "running", dead: "ended"}
    done = bottle.run("cleanup", "--yes", "--state")
    assert done.returncode == 0, done.stderr
    assert engine.objects(f"{LABEL}={dead}") == []
    assert len(engine.objects(f"{LABEL}={living}")) == 4
    assert bottle.identity() == living
    lives.stdin.close()
    assert lives.wait(30) == 0


def test_cleanup_asks_and_leaves_others_alone(bottle, engine):
    done = bottle.run("cleanup", start_new_session=True)
    assert done.returncode == 0 and "nothing to clean up" in done.stderr
    engine.docker("network", "create", "--label", f"{LABEL}=other-00000", "other-00000-net")
    try:
        done = bottle.run("cleanup", "--yes")
        assert "left alone: other-00000" in done.stderr
        assert engine.objects(f"{LABEL}=other-00000") == ["other-00000-net"]
        assert bottle.run("cleanup", "--foreign", start_new_session=True).returncode == 2
    finally:
        engine.docker("network", "rm", "other-00000-net")


def test_stop(bottle):
    agent = bottle.popen("sh", "-c", "echo up; sleep 100", start_new_session=True)
    read_line(agent, "up")
    identity = bottle.identity()
    assert bottle.run("stop", identity).returncode == 0
    assert agent.wait(5) == 128 + signal.SIGTERM
    assert bottle.run("stop", identity).returncode == 1
    assert bottle.run("stop", "a-00000").returncode == 1


def test_logs_follow_to_the_end(bottle):
    agent = bottle.popen("sh", "-c", "echo up; read line; curl -s https://no.test/ >/dev/null; exit 3")
    read_line(agent, "up")
    logs = subprocess.Popen(bottle.command("logs", bottle.identity(), "--follow", "--blocked"), env=bottle.env, text=True,
                            stdout=subprocess.PIPE)
    agent.communicate("go\n", timeout=30)
    out, _ = logs.communicate(timeout=30)
    assert logs.returncode == 0
    assert out.count("\n") == 1 and "host-not-allowed" in out and "no.test" in out


def test_events_that_cannot_be_kept_end_the_bottle(bottle):
    """A full disk, by a limit on the size of files."""
    done = bottle.start("sh", "-c", "for i in $(seq 200); do curl -s https://no.test/$i >/dev/null; done; sleep 60",
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    assert done.returncode == 125
    assert "cannot be kept" in done.stderr


def test_a_dead_engine(bottle):
    bottle.env["DOCKER_HOST"] = "unix:///nowhere.sock"
    done = bottle.start("true")
    assert done.returncode == 1
    assert "no engine answers" in done.stderr and "DOCKER_HOST" in done.stderr
    assert bottle.states() == []


def test_no_engine_at_all(bottle):
    bottle.env["BOTTLE_ENGINE"] = "no-such-engine"
    done = bottle.start("true")
    assert done.returncode == 1
    assert "not installed" in done.stderr


def test_an_unset_credential(bottle):
    bottle.write(routes=[{"host": "h.test", "auth": {"scheme": "Bearer", "token_ref": "NOT_SET_ANYWHERE"}}])
    done = bottle.start("true")
    assert done.returncode == 1
    assert "NOT_SET_ANYWHERE" in done.stderr and bottle.states() == []


def test_a_missing_image(bottle):
    bottle.write(agent={"provider": "custom", "image": "localhost:1/no-such-image:1"})
    done = bottle.start("true", timeout=100)
    assert done.returncode == 125
    assert "localhost:1/no-such-image:1" in done.stderr


def test_a_name_taken_in_between(bottle, engine, base_image):
    """It is somebody else's: the launch fails and leaves it alone."""
    bottle.engine_script(f"""
case "$*" in create*agent-init*)
    for arg; do [ "$last" != --name ] || name=$arg; last=$arg; done
    docker create --name "$name" --label taken=yes {base_image} >/dev/null ;;
esac""")
    done = bottle.start("true")
    assert done.returncode == 125
    assert "taken" in done.stderr and "bottle cleanup" in done.stderr
    left = engine.docker("ps", "-aq", "--filter", "label=taken=yes").stdout.split()
    assert len(left) == 1
    engine.docker("rm", *left)

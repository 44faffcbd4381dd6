"""How a command is found, helped and refused: by file name, by first argument, by neither."""

import os
import re
import subprocess

import pytest

from support import paths

BOTTLE = paths.applet("bottle")


def run(*argv, code=0, **more):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=20, **more)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def one_line(text):
    assert text.endswith("\n") and text.count("\n") == 1, text
    return text


def every_command():
    """Every command with a function, as the command table has it: a list of words each."""
    table = run(BOTTLE, "help", "--markdown").stdout
    rows = re.findall(r"^\| `(.*?)` \|", table, re.M)
    words = [re.match(r"[a-z][a-z-]*(?= |$)( [a-z][a-z-]*(?= |$))*", row).group().split() for row in rows]
    assert ["bottle-ca", "init"] in words and ["bottle", "version"] in words
    return words


class TestDispatch:
    def test_by_file_name(self):
        assert run(paths.applet("bottle-ca"), "--help").stdout.startswith("Usage: bottle-ca ")

    def test_by_first_argument(self):
        assert run(BOTTLE, "bottle-ca", "--help").stdout == run(paths.applet("bottle-ca"), "--help").stdout

    def test_under_another_name(self, tmp_path):
        """A copy of the program is the launcher, whatever it is called."""
        for name in ("bottle.debug", "b"):
            (tmp_path / name).symlink_to(BOTTLE)
            assert run(tmp_path / name, "version").stdout == run(BOTTLE, "version").stdout

    def test_through_the_path(self, tmp_path):
        (tmp_path / "bottle-ca").symlink_to(BOTTLE)
        done = run("bottle-ca", "--help", env={"PATH": str(tmp_path)})
        assert done.stdout.startswith("Usage: bottle-ca ")

    def test_a_group_under_two_names_says_the_one_it_was_called_by(self):
        assert run(BOTTLE, "ca", "init", "--help").stdout.startswith("Usage: bottle ca init ")

    def test_closed_standard_descriptors_do_no_harm(self, tmp_path):
        """A file opened as descriptor 2 would take the messages."""
        run(BOTTLE, "ca", "init", "--dir", tmp_path)
        before = (tmp_path / "ca.pem").read_bytes()
        for argv in (["ca", "init", "--dir", tmp_path, "--force"], ["ca", "init", "--dir", tmp_path]):
            subprocess.run(["/bin/sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", BOTTLE, *map(str, argv)], timeout=20)
        for file in tmp_path.iterdir():
            lines = file.read_text().splitlines()
            assert lines[0].startswith("-----BEGIN") and lines[-1].startswith("-----END")
        assert (tmp_path / "ca.pem").read_bytes() != before


class TestHelp:
    def test_alone_lists_the_commands(self):
        alone = run(BOTTLE)
        assert alone.stdout == run(BOTTLE, "help").stdout == run(BOTTLE, "--help").stdout
        assert not alone.stderr
        for word in ("ca", "help", "version", "egress-proxy", "bottle-ca"):
            assert re.search(rf"^  {word}  +[A-Z]", alone.stdout, re.M), word

    def test_every_command_has_help_with_an_example(self):
        for words in every_command():
            text = run(BOTTLE, *words[words[0] == "bottle":], "--help").stdout
            assert text.startswith("Usage: " + " ".join(words)), words
            assert "Commands:" in text or "Example:" in text, words
            assert run(BOTTLE, "help", *words[words[0] == "bottle":]).stdout == text

    def test_manual_pages_are_well_formed(self, require):
        require("man")
        for name in {words[0] for words in every_command()}:
            page = run(BOTTLE, "help", "--man", *([] if name == "bottle" else [name])).stdout
            done = subprocess.run(["man", "-l", "--warnings", "-"], input=page, capture_output=True, text=True,
                                  timeout=20, env=os.environ | {"MANPAGER": "cat", "LC_ALL": "C.UTF-8"})
            assert done.returncode == 0 and not done.stderr, done.stderr
            assert "NAME" in done.stdout and name in done.stdout

    def test_a_full_disk_is_a_failure(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([BOTTLE, "help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20)
        assert done.returncode == 1
        one_line(done.stderr)


class TestRefusals:
    @pytest.mark.parametrize("argv, near", [
        (["versoin"], "version"), (["bottel-ca"], "bottle-ca"), (["ca", "inti"], "init"), (["help", "licences"], "licenses"),
        (["ca", "init", "--forse"], "force"),
    ])
    def test_did_you_mean(self, argv, near):
        done = run(BOTTLE, *argv, code=2)
        assert f"did you mean '{near}'" in one_line(done.stderr) or f"did you mean '--{near}'" in done.stderr
        assert not done.stdout

    @pytest.mark.parametrize("argv", [["zzzzzzzz"], ["--zzzzzzzz"], ["ca"], ["ca", "show"], ["version", "extra"],
                                      ["ca", "show", "a", "b"], ["help", "version", "x"], [""]])
    def test_bad_usage_is_one_line_and_two(self, argv):
        done = run(BOTTLE, *argv, code=2)
        assert one_line(done.stderr).startswith("bottle") and not done.stdout


class TestVersion:
    def test_release_commit_libraries(self):
        lines = run(BOTTLE, "version").stdout.splitlines()
        assert re.fullmatch(r"bottle \d+\.\d+\.\d+ \(([0-9a-f]{12}|unknown)\)", lines[0])
        assert {"musl", "mbedtls", "libyaml", "jansson"} <= {line.split()[0] for line in lines[1:]}
        assert run(BOTTLE, "--version").stdout.splitlines() == lines

    def test_licences_of_all_libraries(self):
        text = run(BOTTLE, "licenses").stdout
        names = re.findall(r"^==== (\S+) ====$", text, re.M)
        libraries = [line.split()[0] for line in run(BOTTLE, "version").stdout.splitlines()]
        assert sorted(names) == sorted(libraries)
        assert "Apache License" in text and "Permission is hereby granted" in text

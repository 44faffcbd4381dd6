"""`make demo` shows what it promises; it judges itself by its server's records and the bottle's events."""

import subprocess

import pytest

from support import paths


@pytest.mark.limit(120)
def test_demo(engine, base_image):
    done = subprocess.run([paths.REPO / "scripts" / "demo"], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout

"""Where things are. $BOTTLE_BUILD names another build than build/ (the sanitizer build, for example)."""

import os
import pathlib

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BOTTLE_BUILD", "build"))
if not BUILD.is_absolute():
    BUILD = REPO / BUILD


def applet(name):
    """The path of an applet in the build under test; it may not exist yet."""
    return BUILD / name


def npm(name):
    """A file of the clients that scripts/bootstrap takes from npm."""
    return REPO / "build/cache/npm/node_modules" / name

"""Reads .case records: see tests/cases/README.md for the grammar. Knows nothing of sockets or of the proxy."""

import dataclasses
import json
import pathlib
import re

SECTIONS = ("policy", "client", "upstream", "expect", "event")
# The repeated text may hold one more repetition.
REPEAT = re.compile(r"\\\{(\d+)\*((?:\\\{\d+\*[^}]*\}|\\.|[^\\}])*)\}")
ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|[rnt0\\])")


class BadRecord(Exception):
    """The record itself is wrong; the message says where."""


def unescape(text):
    """Escapes to bytes: \\r \\n \\t \\0 \\\\ \\xHH, and \\{N*TEXT} for N times TEXT. Other text is UTF-8."""
    out = b""
    position = 0
    for match in re.finditer(f"{REPEAT.pattern}|{ESCAPE.pattern}", text):
        if "\\" in text[position:match.start()]:
            raise BadRecord(f"unknown escape in {text!r}")
        out += text[position:match.start()].encode()
        position = match.end()
        if match.group(1):
            out += int(match.group(1)) * unescape(match.group(2))
        elif match.group(3)[0] == "x":
            out += bytes([int(match.group(3)[1:], 16)])
        else:
            out += {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}[match.group(3)]
    if "\\" in text[position:]:
        raise BadRecord(f"unknown escape in {text!r}")
    return out + text[position:].encode()


def wire_line(text):
    """The bytes that a `>` or `<` line stands for; a single backslash at its end leaves out the CRLF."""
    slashes = len(text) - len(text.rstrip("\\"))
    if slashes % 2:
        return unescape(text[:-1])
    return unescape(text) + b"\r\n"


@dataclasses.dataclass
class Step:
    """One line: a word and what follows it. For `>` and `<` lines data holds the bytes."""

    word: str
    rest: str
    line: int
    data: bytes = b""


@dataclasses.dataclass
class Section:
    name: str
    line: int
    steps: list

    def find(self, word):
        return [s for s in self.steps if s.word == word]

    def bytes(self, word):
        return b"".join(s.data for s in self.find(word))


@dataclasses.dataclass
class Record:
    """One variant of one file. dialogue: the client and expect sections in order."""

    name: str
    path: pathlib.Path
    policy: Section
    dialogue: list
    upstream: list
    events: list

    @property
    def routes(self):
        return [json.loads(s.rest) for s in self.policy.find("route")]

    @property
    def tokens(self):
        return {s.rest.split()[0]: s.rest.split(None, 1)[1] for s in self.policy.find("token")}

    @property
    def dns(self):
        return {s.rest.split()[0].lower(): s.rest.split()[1:] for s in self.policy.find("dns")}

    @property
    def process_key(self):
        """Records with equal keys may share one proxy process."""
        return tuple(f"{s.word} {s.rest}" for s in self.policy.steps)


def _steps(lines):
    steps = []
    for number, line in lines:
        if line[:1] in "<>" and line:
            steps.append(Step(line[0], line[2:], number, wire_line(line[2:])))
        elif line.strip() and not line.startswith("#"):
            word, _, rest = line.strip().partition(" ")
            steps.append(Step(word, rest.strip(), number))
    return steps


def _table(header, lines):
    """The variants of an [each] section as dicts; columns are set apart by two spaces or more."""
    names = header.split()[1:]
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        cells = re.split(r"\t+|  +", line.strip(), len(names) - 1) if len(names) > 1 else [line.strip()]
        if len(cells) != len(names):
            raise BadRecord(f"line {number}: {len(cells)} columns for {len(names)} names")
        yield dict(zip(names, ("" if c == '""' else c for c in cells)))


def _sections(text):
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = re.fullmatch(r"\[([a-z]+(?: [a-z-]+)*)\]", line)
        if match:
            found.append((match.group(1), number, []))
        elif found:
            found[-1][2].append((number, line))
        elif line.strip() and not line.startswith("#"):
            raise BadRecord(f"line {number}: text before the first section")
    return found


def _variant(path, name, found, values):
    def fill(line):
        for key, value in values.items():
            line = line.replace("{" + key + "}", value)
        return line

    sections = []
    for title, number, lines in found:
        if title not in SECTIONS:
            raise BadRecord(f"line {number}: unknown section [{title}]")
        sections.append(Section(title, number, _steps((n, fill(text)) for n, text in lines)))
    policies = [s for s in sections if s.name == "policy"]
    if len(policies) != 1:
        raise BadRecord(f"{len(policies)} [policy] sections; one is needed")
    return Record(
        name, path, policies[0],
        [s for s in sections if s.name in ("client", "expect")],
        [s for s in sections if s.name == "upstream"],
        [s for s in sections if s.name == "event"],
    )


def load(path, name):
    """All variants of one file."""
    try:
        found = _sections(path.read_text(encoding="utf-8"))
        tables = [s for s in found if s[0].startswith("each ")]
        found = [s for s in found if not s[0].startswith("each ")]
        if not tables:
            return [_variant(path, name, found, {})]
        if len(tables) > 1:
            raise BadRecord("more than one [each] section")
        rows = list(_table(tables[0][0], tables[0][2]))
        return [_variant(path, f"{name} ({' '.join(row.values())})"[:150], found, row) for row in rows]
    except (BadRecord, ValueError) as e:
        raise BadRecord(f"{path}: {e}") from None

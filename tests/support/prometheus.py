"""A strict reader of Prometheus' text exposition format 0.0.4, with the naming rules that its lint tool checks.

    families = parse(text)
    families["egress_proxy_requests_total"].value(verdict="allow")

What a lenient server would let pass is an error here: the text is ours.
"""

import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
VALUE = re.compile(r"[0-9]+(\.[0-9]+)?$")
TYPES = ("counter", "gauge", "histogram")


class Malformed(Exception):
    pass


def require(holds, why):
    if not holds:
        raise Malformed(why)


class Family:
    """One metric: its samples are {(sample name, ((label, value), …)): number}."""

    def __init__(self, name, help):
        self.name = name
        self.help = help
        self.type = None
        self.samples = {}

    def values(self, **labels):
        """The numbers of all samples that have these labels (and perhaps others)."""
        wanted = set(labels.items())
        return [v for (name, have), v in self.samples.items() if name == self.name and wanted <= set(have)]

    def value(self, **labels):
        """Their sum; 0 when there is none."""
        return sum(self.values(**labels))

    @property
    def count(self):
        return self.samples[(self.name + "_count", ())]

    @property
    def sum(self):
        return self.samples[(self.name + "_sum", ())]

    def check(self):
        require(self.type, f"{self.name}: no TYPE")
        require(self.samples, f"{self.name}: no sample")
        require((self.type == "counter") == self.name.endswith("_total"), f"{self.name}: the name of no {self.type}")
        labels = {tuple(label for label, _ in have) for _, have in self.samples}
        require(len(labels) == 1 or self.type == "histogram", f"{self.name}: samples with different labels")
        if self.type == "histogram":
            self.check_histogram()
        else:
            require(all(name == self.name for name, _ in self.samples), f"{self.name}: a sample of another name")

    def check_histogram(self):
        require(self.name.endswith(("_seconds", "_bytes")), f"{self.name}: no unit")
        buckets = []
        for (name, have), value in self.samples.items():
            if name == self.name + "_bucket":
                require(tuple(label for label, _ in have) == ("le",), f"{self.name}: bucket without le")
                buckets.append((float(have[0][1]), value))
            else:
                require(name in (self.name + "_sum", self.name + "_count") and not have, f"{self.name}: {name}")
        bounds = [bound for bound, _ in buckets]
        counts = [count for _, count in buckets]
        require(bounds == sorted(set(bounds)) and bounds[-1] == math.inf, f"{self.name}: bounds {bounds}")
        require(counts == sorted(counts) and counts[-1] == self.count, f"{self.name}: counts {counts}")
        least = sum((after - before) * bound for before, after, bound in
                    zip([0] + counts, counts, [0] + bounds) if after > before)
        require(self.sum >= least - 0.001 * self.count, f"{self.name}: a sum of {self.sum} is below its buckets")


def unescape(text):
    return re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), text)


def parse_sample(line):
    match = NAME.match(line)
    require(match, f"no name: {line!r}")
    rest = line[match.end():]
    labels = []
    if rest.startswith("{"):
        at = 1
        while not rest.startswith("}", at):
            if labels:
                require(rest.startswith(",", at), f"labels: {line!r}")
                at += 1
            label = LABEL.match(rest, at)
            require(label, f"labels: {line!r}")
            require(label[1] not in dict(labels) and not label[1].startswith("__"), f"label {label[1]}: {line!r}")
            labels.append((label[1], unescape(label[2])))
            at = label.end()
        require(labels, f"empty labels: {line!r}")
        rest = rest[at + 1:]
    require(rest.startswith(" ") and VALUE.match(rest[1:]), f"value: {line!r}")
    return match[0], tuple(labels), float(rest[1:])


def parse(text):
    """{name: Family}; Malformed when any rule is broken."""
    families, family = {}, None
    require(text.endswith("\n") and "\r" not in text and "\n\n" not in text, "line ends")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, help = line[7:].partition(" ")
            require(NAME.fullmatch(name) and name not in families, f"family given twice: {name}")
            require(help and "\\" not in help, f"{name}: help")
            family = families[name] = Family(name, help)
        elif line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            require(family and family.name == name and not family.type and not family.samples, f"TYPE of {name}")
            require(kind in TYPES, f"{name}: {kind}")
            family.type = kind
        else:
            name, labels, value = parse_sample(line)
            require(family and family.type and name.startswith(family.name), f"sample out of place: {line!r}")
            require((name, labels) not in family.samples, f"sample given twice: {line!r}")
            family.samples[(name, labels)] = value
    for family in families.values():
        family.check()
    return families

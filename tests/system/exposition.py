"""A strict reader of Prometheus' text exposition format 0.0.4, written from its description."""

import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
HEAD = re.compile(rf"# (HELP|TYPE) ({NAME}) (.+)")
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}
UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


class Ill(Exception):
    """The text is not what the format allows, or what we demand beyond it."""


def demand(condition, what):
    if not condition:
        raise Ill(what)


class Family:
    def __init__(self, name):
        self.name = name
        self.help = self.type = None
        self.samples = []  # (name, {label: value}, number), in order

    def one(self, suffix="", **labels):
        """The value of the one sample with these labels."""
        found = [v for n, l, v in self.samples if n == self.name + suffix and l == labels]
        assert len(found) == 1, (self.name, suffix, labels, self.samples)
        return found[0]

    def by(self, label):
        """{the label's value: number}; the family must have no other label."""
        assert all(set(labels) == {label} for _, labels, _ in self.samples), self.samples
        return {labels[label]: value for _, labels, value in self.samples}


def labels_of(text):
    labels = {}
    while text:
        found = LABEL.match(text)
        demand(found and not (found[3] == "," and found.end() == len(text)), f"labels: {text}")
        demand(found[1] not in labels, f"twice in one sample: {found[1]}")
        labels[found[1]] = re.sub(r"\\.", lambda m: UNESCAPED[m[0]], found[2])
        text = text[found.end() :]
    return labels


def number_of(text):
    if text in ("NaN", "+Inf", "-Inf"):
        return float(text)
    demand(re.fullmatch(r"-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text), f"number: {text}")
    return float(text) if re.search(r"[.eE]", text) else int(text)


def family_of(name, current):
    """Samples of a histogram have endings."""
    if current and current.type == "histogram" and name.startswith(current.name):
        if name.removeprefix(current.name) in ("_bucket", "_sum", "_count"):
            return current.name
    return name


def read_lines(text):
    families, current = {}, None
    for line in text.split("\n"):
        head, sample = HEAD.fullmatch(line), SAMPLE.fullmatch(line)
        demand(head or sample, f"line: {line!r}")
        name = head[2] if head else family_of(sample[1], current)
        if not current or current.name != name:
            demand(name not in families, f"{name} is in two places")
            current = families[name] = Family(name)
        if head:
            field = head[1].lower()
            demand(getattr(current, field) is None, f"two {head[1]} of {name}")
            demand(not current.samples, f"{head[1]} of {name} behind its samples")
            demand(field == "help" or head[3] in TYPES, line)
            setattr(current, field, head[3])
        else:
            demand(current.help and current.type, f"{name} has no HELP or no TYPE")
            current.samples.append((sample[1], labels_of(sample[2] or ""), number_of(sample[3])))
    return families


def check_histogram(family):
    series = {}
    for name, labels, value in family.samples:
        le = labels.pop("le", None)
        demand((le is None) == (not name.endswith("_bucket")), f"le of {name}")
        parts = series.setdefault(tuple(sorted(labels.items())), {"buckets": []})
        if le is None:
            parts[name.removeprefix(family.name)] = value
        else:
            parts["buckets"].append((number_of(le), value))
            labels["le"] = le
    for labels, parts in series.items():
        demand(set(parts) == {"buckets", "_sum", "_count"}, f"{family.name}{labels} lacks lines")
        bounds, counts = zip(*parts["buckets"])
        demand(bounds[-1] == math.inf, f"{family.name} does not end with +Inf")
        demand(list(bounds) == sorted(set(bounds)), f"{family.name}: bounds do not rise")
        demand(list(counts) == sorted(counts), f"{family.name}: buckets are not cumulative")
        demand(counts[-1] == parts["_count"], f"{family.name}: +Inf is not the count")
        # Each counted time is above the bound before its bucket's.
        least = sum((n - m) * low for n, m, low in zip(counts[1:], counts, bounds))
        demand(parts["_sum"] >= least * 0.999999, f"{family.name}: sum below its buckets")


def check_family(family):
    seen = [(name, tuple(sorted(labels.items()))) for name, labels, _ in family.samples]
    demand(len(seen) == len(set(seen)), f"{family.name} has a sample twice")
    demand(family.name.endswith("_total") == (family.type == "counter"), f"{family.name}'s name")
    for name, _, value in family.samples:
        demand(family.type == "gauge" or value >= 0, f"{name} is below 0")
    if family.type == "histogram":
        check_histogram(family)


def parse(text):
    """{name: Family} of a whole text; raises Ill."""
    demand(text.endswith("\n"), "the last line does not end")
    families = read_lines(text[:-1])
    for family in families.values():
        check_family(family)
    return families

"""prometheus.py - a strict reader of the Prometheus text format (version 0.0.4)

`parse()` refuses what a scraper could misread: a sample without its HELP and TYPE, a repeated series, a family in two places, a bad
name, label, escape or number, a histogram whose buckets go down, lack +Inf or disagree with _count. It gives back a dict from
(name, labels as a sorted tuple of pairs) to value.
"""
import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)(?: (?P<time>-?\d+))?$")
NUMBER = re.compile(r"^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")


class Malformed(AssertionError):
    pass


def parse(text):
    samples, types, helps, closed, current = {}, {}, {}, set(), None
    demand(text.endswith("\n"), "the last line does not end")
    for number, line in enumerate(text.split("\n")[:-1], 1):
        where = f"line {number}: {line!r}"
        if line.startswith("# HELP ") or line.startswith("# TYPE "):
            family = declaration(line, types, helps, samples, where)
        elif line == "" or line.startswith("#"):
            continue
        else:
            family = take_sample(line, types, helps, samples, where)
        if family != current:
            demand(family not in closed, f"{where}: {family} stands in two places")
            closed.add(current)
            current = family
    check_histograms(samples, types)
    return samples


def demand(condition, why):
    if not condition:
        raise Malformed(why)


def declaration(line, types, helps, samples, where):
    _, keyword, family, rest = (line.split(" ", 3) + [""])[:4]
    demand(NAME.fullmatch(family), f"{where}: bad name")
    table = helps if keyword == "HELP" else types
    demand(family not in table, f"{where}: a second {keyword}")
    demand(rest != "", f"{where}: nothing after the name")
    demand(keyword != "TYPE" or rest in TYPES, f"{where}: unknown type")
    demand(not any(family_of(name, types) == family for name, _ in samples), f"{where}: {keyword} after samples")
    table[family] = rest
    return family


def take_sample(line, types, helps, samples, where):
    match = SAMPLE.match(line)
    demand(match, f"{where}: not a sample")
    family = family_of(match["name"], types)
    demand(family in types, f"{where}: no TYPE before it")
    demand(family in helps, f"{where}: no HELP before it")
    demand(types[family] != "counter" or family.endswith("_total"), f"{where}: a counter must end with _total")
    demand(NUMBER.match(match["value"]), f"{where}: bad number")
    key = (match["name"], labels_of(match["labels"] or "", where))
    demand(key not in samples, f"{where}: repeated series")
    samples[key] = float(match["value"])
    demand(types[family] != "counter" or samples[key] >= 0, f"{where}: a negative counter")
    return family


def family_of(name, types):
    for suffix in ("_bucket", "_sum", "_count"):
        if name.endswith(suffix) and types.get(name.removesuffix(suffix)) in ("histogram", "summary"):
            return name.removesuffix(suffix)
    return name


def labels_of(text, where):
    labels, rest = {}, text
    while rest:
        match = LABEL.match(rest)
        demand(match, f"{where}: bad labels")
        demand(match[1] not in labels, f"{where}: label {match[1]} twice")
        labels[match[1]] = re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), match[2])
        rest = rest[match.end():]
    return tuple(sorted(labels.items()))


def check_histograms(samples, types):
    for family in (name for name, kind in types.items() if kind == "histogram"):
        series = {}
        for (name, labels), value in samples.items():
            if name == f"{family}_bucket":
                bound = float(dict(labels)["le"])
                series.setdefault(tuple(pair for pair in labels if pair[0] != "le"), []).append((bound, value))
        for labels, buckets in series.items():
            check_buckets(f"{family}{dict(labels)}", buckets, samples.get((f"{family}_count", labels)), (f"{family}_sum", labels) in samples)


def check_buckets(name, buckets, count, has_sum):
    demand(buckets == sorted(buckets), f"{name}: buckets not in order: {buckets}")
    counts = [value for _, value in buckets]
    demand(counts == sorted(counts), f"{name}: buckets not cumulative: {buckets}")
    demand(buckets[-1][0] == math.inf, f"{name}: no +Inf bucket")
    demand(count == counts[-1], f"{name}: _count {count} is not the +Inf bucket {counts[-1]}")
    demand(has_sum, f"{name}: no _sum")


def get(samples, name, **labels):
    """The value of one series, 0 where there is none yet."""
    return samples.get((name, tuple(sorted(labels.items()))), 0)


def total(samples, name, **labels):
    """The sum of every series of that name that has these labels."""
    return sum(value for (series, its), value in samples.items() if series == name and labels.items() <= dict(its).items())

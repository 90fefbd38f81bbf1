"""figures.py - what a bench has measured, and how it is shown: a table on the terminal, Markdown and JSON in files"""
import dataclasses
import json
import statistics

AT_LEAST, BELOW = "≥", "<"


@dataclasses.dataclass
class Figure:
    """One line of the table: several measurements of one thing, in one run, and what their median should be."""

    what: str
    against: str
    unit: str
    values: list = dataclasses.field(default_factory=list)
    sense: str = AT_LEAST
    target: float = None
    problem: str = ""           # why it could not be measured

    @property
    def median(self):
        return statistics.median(self.values) if self.values else None

    def measured(self):
        if not self.values:
            return "not measured"
        if len(self.values) == 1:
            return amount(self.median, self.unit)
        return f"{amount(self.median, self.unit)} ({amount(min(self.values))}–{amount(max(self.values))})"

    def wanted(self):
        return "–" if self.target is None else f"{self.sense} {amount(self.target, self.unit)}"

    def verdict(self):
        if not self.values:
            return "?"
        if self.target is None:
            return ""
        return "ok" if (self.median >= self.target if self.sense == AT_LEAST else self.median < self.target) else "below"

    def cells(self):
        return [self.what, self.against, self.measured(), self.wanted(), self.verdict()]

    def as_json(self):
        return {"what": self.what, "against": self.against, "unit": self.unit, "median": self.median, "values": self.values,
                "target": self.target, "sense": self.sense, "verdict": self.verdict(), "problem": self.problem}


FIGURE_HEAD = ["what", "against", "measured, median (min–max)", "target", ""]


@dataclasses.dataclass
class Table:
    """Rows of text under a title; the notes below say how to read it."""

    title: str
    head: list
    rows: list
    notes: list = dataclasses.field(default_factory=list)

    def text(self):
        lines = [self.head, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        rule = ["─" * width for width in widths]
        shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in [self.head, rule, *self.rows]]
        return "\n".join([self.title, "", *shown, *([""] if self.notes else []), *self.notes, ""])

    def markdown(self):
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
        return "\n".join([f"## {self.title}", "", *table, *([""] if self.notes else []), *self.notes, ""])


def amount(value, unit=""):
    """A number with as many digits as it deserves, and its unit."""
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    if value == int(value):
        text = f"{int(value):,}"
    return f"{text} {unit}".rstrip()


def write(folder, name, tables, data):
    """The same as Markdown and as JSON; gives back the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown, data_file = folder / f"{name}.md", folder / f"{name}.json"
    markdown.write_text("\n".join(table.markdown() for table in tables))
    data_file.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    return markdown, data_file

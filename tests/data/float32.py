"""float32 numbers as text: what futaie reads and prints, written once for every script here.

XGBoost works on float32, so a test that compares answers bit for bit needs text that loses nothing.
The shortest decimal that reads back to the same float32 is also the shortest for the double that Python
prints, so `json.dumps` of what `number` returns gives exactly that decimal.
"""
import csv

import numpy as np


def number(value):
    """A float32 as the Python number that prints shortest: 41, 1.02381; None where it is not finite."""
    value = np.float32(value)
    if not np.isfinite(value):
        return None
    short = float(str(value))
    assert np.float32(short) == value, value
    is_whole = short.is_integer() and abs(short) < 2**24 and not (short == 0 and np.signbit(value))
    return int(short) if is_whole else short


def numbers(values):
    """An array of any shape as nested lists of `number`."""
    return [numbers(v) if np.ndim(v) else number(v) for v in values]


def cell(value):
    """A CSV cell: empty where the value is missing."""
    return "" if np.isnan(value) else str(number(value))


def bits(value):
    """The bit pattern, eight hex digits: the one form in which NaN and -0 compare as well."""
    return f"{int(np.float32(value).view(np.uint32)):08x}"


def read_csv(stream):
    """Header and float32 matrix of a CSV; an empty cell is missing."""
    lines = csv.reader(stream)
    header, rows = next(lines, []), list(lines)
    values = [[float(c) if c else np.nan for c in row] for row in rows if row]
    return header, np.array(values, dtype=np.float32).reshape(len(values), len(header))


def write_csv(stream, header, rows):
    """A header and one line per row, in the form that `read_csv` and futaie read back exactly."""
    stream.write(",".join(header) + "\n")
    stream.writelines(",".join(map(cell, row)) + "\n" for row in rows)

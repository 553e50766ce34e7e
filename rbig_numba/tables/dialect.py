"""How a CSV file is written, told from its head: the sign between cells, and that of decimals."""

from __future__ import annotations

import csv
import io
import re
from itertools import islice
from typing import NamedTuple

# Of two that cut all rows alike, names of columns and decimals hold the later one more often.
SEPARATORS = ("\t", ";", "|", ",")
SEPARATOR_ROWS = 100


class Dialect(NamedTuple):
    """What stands between cells, and before decimals."""

    separator: str
    decimal: str


def dialect_of(head: bytes) -> Dialect:
    """Return how a file with this head is written: with commas and points if nothing tells."""
    text = head.decode("utf-8", errors="replace").removeprefix("\ufeff").replace("\r\n", "\n")
    separator = _separator(text)
    return Dialect(separator, _decimal(text, separator))


def is_number(text: str, decimal: str = ".") -> bool:
    """Whether a cell holds a number."""
    if decimal != ".":
        text = text.replace(".", "_").replace(decimal, ".")
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # to Python 1_0 is 10


def other_separator(line: str, separator: str, n_cells: int | None) -> str | None:
    """Return what else cuts a line into so many cells, or, if they are unknown, most often."""
    others = [sign for sign in SEPARATORS if sign != separator]
    if n_cells is not None:
        return next((sign for sign in others if line.count(sign) == n_cells - 1), None)
    most = max(others, key=line.count)
    return most if line.count(most) > line.count(separator) else None


def _separator(text: str) -> str:
    """Return what cuts the line of names and most of the lines below it into as many cells."""
    widths = {sign: _widths(text, sign) for sign in SEPARATORS}
    # A single column may be called a;b.
    if all(width == 1 for found in widths.values() for width in found[1:]):
        return ","
    likely = [sign for sign in SEPARATORS if widths[sign][:1] > [1]]
    return max(likely, key=lambda sign: widths[sign].count(widths[sign][0]), default=",")


def _widths(text: str, separator: str) -> list[int]:
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        return [len(row) for row in islice(rows, SEPARATOR_ROWS) if row]
    except csv.Error:  # a cell of more than 128 KiB
        return []


def _decimal(text: str, separator: str) -> str:
    """Return what most numbers have before their decimals; between commas they stand in quotes."""
    start, end = rf'(?:^|["{separator}])', rf'(?:$|["{separator}])'
    commas = _count(text, '"', ",", '"') if separator == "," else _count(text, start, ",", end)
    return "," if commas and commas > _count(text, start, ".", end) else "."


def _count(text: str, start: str, decimal: str, end: str) -> int:
    if decimal not in text:  # at once, where the expression takes 30 ms
        return 0
    number = rf"[-+]?\d*{re.escape(decimal)}\d+(?:[eE][-+]?\d+)?"
    return len(re.findall(f"{start} *{number} *(?={end})", text, re.MULTILINE))

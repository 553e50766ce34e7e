"""Columns printed as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HEADER = ("column", "type", "kind", "found", "missing", "why")
WIDEST = 60


def as_text(entries: Sequence[Any]) -> str:
    """Return a table of columns, their kinds, what was found and why; remarks below it."""
    rows = [HEADER, *(_row(entry) for entry in entries)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADER))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines += [f"{entry.name}: {entry.remark}" for entry in entries if entry.remark]
    return "\n".join(lines)


def _row(entry: Any) -> tuple[str, ...]:
    missing = f"{entry.missing:.1%}" if entry.missing else ""
    cells = (str(entry.name), entry.dtype, entry.kind.kind, entry.kind.about, missing, entry.why)
    return tuple(cell if len(cell) <= WIDEST else f"{cell[: WIDEST - 4]} ..." for cell in cells)

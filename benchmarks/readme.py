"""Write what benchmarks measured: python -m benchmarks.readme OUT...

All figures go to docs/measured.md, those that a reader of README.md wants to know to its table.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

START, END = "<!-- measured: start -->", "<!-- measured: end -->"
HEADLINES = (
    r"forward, ns|inverse, times forward|two threads, times faster",
    r"times faster",
    r"held-out",
    r"above (the|its own) truth",
    r"worst table: (below the truth, 16|invalid|atoms|rank)",
    r"share of ceiling, all stages",
    r"time per row",
    r"times in-memory time|peak MiB",
    r"(import|first fit.*(cold|cached|wheel), seconds)",
)


def lines(figures: dict[str, Any]) -> list[str]:
    """Return rows of a Markdown table."""
    return [f"| {name} | {_shown(value)} |" for name, value in figures.items()]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{int(value):,}" if value == int(value) else f"{value:,.4g}"


def headlines(parts: dict[str, dict[str, Any]]) -> str:
    """Return the table of README.md, with the machine below."""
    table = ["| figure | value |", "|---|---|"]
    for name, part in parts.items():
        chosen = {
            f"{name}: {figure}": value
            for figure, value in part["figures"].items()
            if any(re.match(f".*({pattern})", figure) for pattern in HEADLINES)
        }
        table += lines(chosen)
    return "\n".join([*table, "", _machine(next(iter(parts.values())))])


def everything(parts: dict[str, dict[str, Any]]) -> str:
    """Return docs/measured.md."""
    page = ["# All that benchmarks measured", "", "Written by `benchmarks.readme`; medians."]
    for name, part in parts.items():
        page += ["", f"## python -m benchmarks.{name}", "", "| figure | value |", "|---|---|"]
        page += [*lines(part["figures"]), "", _machine(part)]
    return "\n".join(page) + "\n"


def _machine(part: dict[str, Any]) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in part["machine"].items())
    return f"Measured on: {facts}."


def main() -> None:
    """Replace what stands between the two marks, and the page of all figures."""
    paths = [Path(name) for name in sys.argv[1:]]
    if not paths:
        sys.exit("name the JSON files that the benchmarks wrote")
    parts = {path.stem: json.loads(path.read_text()) for path in paths}
    root = Path(__file__).parents[1]
    (root / "docs" / "measured.md").write_text(everything(parts))
    before, rest = (root / "README.md").read_text().split(START)
    after = rest.split(END)[1]
    (root / "README.md").write_text(f"{before}{START}\n{headlines(parts)}\n{END}{after}")


if __name__ == "__main__":
    main()

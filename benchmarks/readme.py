"""Write the measured table of README.md from benchmark files: python -m benchmarks.readme OUT..."""

from __future__ import annotations

import json
import sys
from pathlib import Path

START, END = "<!-- measured: start -->", "<!-- measured: end -->"


def table(paths: list[Path]) -> str:
    """Return the figures of all files as one Markdown table, with the machine below."""
    lines = ["| figure | value |", "|---|---|"]
    content = [json.loads(path.read_text()) for path in paths]
    for part in content:
        for name, value in part["figures"].items():
            shown = f"{int(value):,}" if value == int(value) else f"{value:,.4g}"
            lines.append(f"| {name} | {shown} |")
    facts = ", ".join(f"{name} {value}" for name, value in content[-1]["machine"].items())
    return "\n".join([*lines, "", f"Measured on: {facts}."])


def main() -> None:
    """Replace what stands between the two marks."""
    paths = [Path(name) for name in sys.argv[1:]]
    if not paths:
        sys.exit("name the JSON files that the benchmarks wrote")
    readme = Path(__file__).parents[1] / "README.md"
    before, rest = readme.read_text().split(START)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{START}\n{table(paths)}\n{END}{after}")


if __name__ == "__main__":
    main()

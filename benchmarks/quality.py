"""The judge: held-out log-densities of tables, beside other density estimators.

python -m benchmarks.quality [--data DIR] [--json OUT] [--page docs/quality.md]: scikit-learn's and
made tables, and .npy tables in DIR. Rows are shuffled; a tenth are test rows, a tenth choose sizes
and ends of training, all are standardised by the others. A pair NAME_train.npy, NAME_val.npy is
taken as it is, unless it holds patches of pixels, uint8: the second is tested.

An hour can be cut in pieces: what OUT holds of other tables and estimators stays there, and goes to
the page with the rest. `--only` without a name judges nothing and writes the page.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterable
from pathlib import Path

from benchmarks.ablation import variants
from benchmarks.estimators import estimators
from benchmarks.harness import commit, parser, save
from benchmarks.judging import Figures, Judge, Judged, LeftOut, Table, figures_of
from benchmarks.quality_page import page
from benchmarks.sources import tables
from rbig_numba import DensityWarning

FLOW_SECONDS = 120.0


def judge(table: Table, judges: dict[str, Judge]) -> dict[str, Figures]:
    """Return the figures of all estimators on a table, or why one is left out."""
    scores = {}
    for name, score in judges.items():
        try:
            figures = figures_of(score(table))
        except LeftOut as reason:
            scores[name] = {"left out": str(reason)}
            shown = f"left out, {reason}"
        else:
            scores[name] = figures | {"commit": commit()}
            shown = ", ".join(f"{k} {v:.2f}" for k, v in figures.items() if isinstance(v, float))
            shown = f"{shown}; {figures['model']}"
        print(f"{table.name:16} {name:18} {shown}", flush=True)
    return scores


def stored(path: Path | None) -> dict[str, Judged]:
    """Return what an earlier run found."""
    if path is None or not path.exists():
        return {}
    figures = json.loads(path.read_text())["figures"]
    return {name: Judged(**judged) for name, judged in figures.items()}


def main(arguments: list[str] | None = None) -> None:
    """Judge on all tables; figures are written anew after each, so that nothing found is lost."""
    options = _options(arguments)
    # The page says of each table how much repeats in it.
    warnings.simplefilter("ignore", DensityWarning)
    judges = estimators(options.flow_seconds)
    chosen = {name: judges[name] for name in options.estimators or judges}
    found = stored(options.json)
    for table in tables(options.data, options.only):
        before = found.get(table.name, Judged(table.sizes, table.wide, {}, {}))
        left = variants(wide=table.wide)
        scores = before.scores | judge(table, chosen)
        ablation = before.ablation | judge(table, left if options.ablation else {})
        found[table.name] = Judged(
            table.sizes, table.wide, _ordered(scores, judges), _ordered(ablation, left)
        )
        if options.json:
            save({name: each._asdict() for name, each in found.items()}, options.json)
    if options.page:
        options.page.write_text(page(found, options.flow_seconds))


def _ordered(figures: dict[str, Figures], names: Iterable[str]) -> dict[str, Figures]:
    return {name: figures[name] for name in names if name in figures}


def _options(arguments: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__ or "")
    options.add_argument("--data", type=Path, help="a folder of .npy tables")
    options.add_argument("--page", type=Path, help="write the tables to this Markdown file")
    options.add_argument("--only", nargs="*", metavar="TABLE", help="names of tables")
    names = list(estimators(FLOW_SECONDS))
    options.add_argument("--estimators", nargs="*", choices=names, help="all if not named")
    options.add_argument("--ablation", action="store_true", help="also leave out kinds of blocks")
    options.add_argument(
        "--flow-seconds", type=float, default=FLOW_SECONDS, help="training of each flow at most"
    )
    return options.parse_args(arguments)


if __name__ == "__main__":
    main()

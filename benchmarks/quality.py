"""The judge: held-out log-densities of tables, beside other density estimators.

python -m benchmarks.quality --data DIR [--page docs/quality.md], with .npy tables in DIR. Rows are
shuffled; a tenth are test rows, a tenth choose sizes and ends of training, all are standardised by
the others. A pair NAME_train.npy, NAME_val.npy is taken as it is: the second is tested.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from benchmarks.ablation import variants
from benchmarks.estimators import estimators
from benchmarks.harness import parser, save
from benchmarks.judging import Figures, Judge, Judged, LeftOut, Table, figures_of, tables
from benchmarks.quality_page import page
from rbig_numba import DensityWarning

FLOW_SECONDS = 120.0


def judge(table: Table, judges: dict[str, Judge], notes: dict[str, None]) -> dict[str, Figures]:
    """Return the figures of all estimators on a table; why any is left out is noted once."""
    scores = {}
    for name, score in judges.items():
        try:
            scores[name] = figures_of(score(table))
        except LeftOut as reason:
            if (note := f"{name}, {reason}") not in notes:
                print(f"left out: {note}", flush=True)
            notes[note] = None
        else:
            figures = (f"{k} {v:.2f}" for k, v in scores[name].items() if isinstance(v, float))
            line = f"{table.name:16} {name:18} {', '.join(figures)}; {scores[name]['model']}"
            print(line, flush=True)
    return scores


def main(arguments: list[str] | None = None) -> None:
    """Judge on all tables; files are written anew after each, so that nothing found is lost."""
    options = _options(arguments)
    # The page says of each table how much repeats in it.
    warnings.simplefilter("ignore", DensityWarning)
    judges = estimators(options.flow_seconds)
    chosen = {name: judges[name] for name in options.estimators or judges}
    judged: dict[str, Judged] = {}
    notes: dict[str, None] = {}
    for table in tables(options.data, options.only):
        scores = judge(table, chosen, notes)
        ablation = judge(table, variants(), notes) if options.ablation else {}
        judged[table.name] = Judged(table.sizes, scores, ablation)
        if options.json:
            save({name: each._asdict() for name, each in judged.items()}, options.json)
        if options.page:
            options.page.write_text(page(judged, options.flow_seconds, notes))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__ or "")
    options.add_argument("--data", type=Path, required=True, help="a folder of .npy tables")
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

"""The judge: held-out log-densities of tables, beside other density estimators.

python -m benchmarks.quality --data DIR [--page docs/quality.md], with .npy tables in DIR. Rows are
shuffled; a tenth are test rows, a tenth choose the size of the mixture, all are standardised by the
others. A pair NAME_train.npy, NAME_val.npy is taken as it is: the second is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.mixture import GaussianMixture

from benchmarks.harness import machine, parser, report, timed
from benchmarks.notebook import Notebook
from rbig_numba import RBIG

SIZES = (5, 10, 20, 40)
# Rows that scikit-learn's mixtures are fitted to at most: they cost 50 s for four sizes then.
MIXTURE_ROWS = 100_000
FEW_ROWS = 1000


class Table(NamedTuple):
    """Rows to fit, to choose by, and to be judged by; standardised unless from two files."""

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


class Score(NamedTuple):
    """Log-densities of the test rows, in nats, the seconds of the fit, and a word on the model."""

    log_prob: np.ndarray
    seconds: float
    remark: str


def tables(folder: Path) -> Iterator[Table]:
    """Yield the tables of a folder."""
    for path in sorted(folder.glob("*.npy")):
        name = path.stem
        if name.endswith("_val") and path.with_stem(name[:-4] + "_train").exists():
            continue
        rows = np.load(path).astype(np.float64)
        order = np.random.default_rng(0).permutation(len(rows))
        rows, tenth = rows[order], len(rows) // 10
        other = path.with_stem(name.removesuffix("_train") + "_val")
        if name.endswith("_train") and other.exists():
            yield Table(name[:-6], rows[tenth:], rows[:tenth], np.load(other).astype(np.float64))
            continue
        train = rows[2 * tenth :]
        rows = (rows - train.mean(axis=0)) / train.std(axis=0)
        yield Table(name, rows[2 * tenth :], rows[tenth : 2 * tenth], rows[:tenth])


def gaussian(table: Table) -> Score:
    model = GaussianMixture(1)
    seconds, _ = timed(lambda: model.fit(table.train))
    return Score(model.score_samples(table.test), seconds, "")


def mixture(table: Table) -> Score:
    """Full covariances, their number chosen by the validation rows; seconds of all fits."""

    def fit() -> GaussianMixture:
        some = table.train[:MIXTURE_ROWS]
        models = [GaussianMixture(k, random_state=0).fit(some) for k in SIZES]
        return max(models, key=lambda model: model.score(table.validation))

    seconds, model = timed(fit)
    return Score(model.score_samples(table.test), seconds, f"K = {model.n_components}")


def notebook(table: Table) -> Score:
    model = Notebook(8, 8)
    seconds, _ = timed(lambda: model.fit(table.train))
    return Score(model.score_samples(table.test), seconds, "8 blocks")


def rbig(rotation: str) -> Callable[[Table], Score]:
    """Return the judge of RBIG with defaults but for the rotation; it holds out rows itself."""

    def score(table: Table) -> Score:
        rows = np.concatenate([table.train, table.validation])
        model = RBIG(rotation=rotation, random_state=0)
        model.fit(rows[:FEW_ROWS])  # compiles
        seconds, _ = timed(lambda: model.fit(rows))
        kept = sum(record["kept"] for record in model.history_)
        return Score(model.score_samples(table.test), seconds, f"{kept} blocks")

    return score


ESTIMATORS: dict[str, Callable[[Table], Score]] = {
    "Gaussian": gaussian,
    "scikit-learn mixture": mixture,
    "PCA and mixtures, clipped": notebook,
    "RBIG, pca": rbig("pca"),
    "RBIG, ica": rbig("ica"),
}


def figures_of(score: Score) -> dict[str, Any]:
    """Return what is reported of a model."""
    log_prob = score.log_prob
    return {
        "mean": float(log_prob.mean()),
        "standard error": float(log_prob.std() / np.sqrt(len(log_prob))),
        "0.1 % quantile": float(np.quantile(log_prob, 1e-3)),
        "worst row": float(log_prob.min()),
        "seconds": score.seconds,
        "model": score.remark,
    }


def page(judged: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return docs/quality.md."""
    heads = ["mean", "standard error", "0.1 % quantile", "worst row", "seconds", "model"]
    lines = ["# Quality of the densities", "", "Written by `benchmarks.quality`."]
    lines += ["Log-densities of test rows, in nats; all rows standardised but those of patches."]
    for table, scores in judged.items():
        lines += ["", f"## {table}", "", f"| | {' | '.join(heads)} |", "|---" * 7 + "|"]
        for estimator, figures in scores.items():
            shown = [
                value if isinstance(value, str) else f"{value:,.2f}" for value in figures.values()
            ]
            lines.append(f"| {estimator} | {' | '.join(shown)} |")
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    return "\n".join([*lines, "", f"Measured on: {facts}.", ""])


def main() -> None:
    """Judge all estimators on all tables."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--data", type=Path, required=True, help="a folder of .npy tables")
    arguments.add_argument("--page", type=Path, help="write the tables to this Markdown file")
    arguments.add_argument("--only", nargs="*", help="names of tables")
    options = arguments.parse_args()
    judged: dict[str, dict[str, dict[str, Any]]] = {}
    for table in tables(options.data):
        if options.only and table.name not in options.only:
            continue
        judged[table.name] = {}
        for name, judge in ESTIMATORS.items():
            figures = judged[table.name][name] = figures_of(judge(table))
            print(f"{table.name:20} {name:26} {figures}", flush=True)
    report({f"{t}, {e}": f["mean"] for t, s in judged.items() for e, f in s.items()}, options.json)
    if options.page:
        options.page.write_text(page(judged))


if __name__ == "__main__":
    main()

"""What the judge works on: tables cut in three, scores, and estimators that may be left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Table(NamedTuple):
    """Rows to fit, to choose by, and to be judged by; standardised unless from two files."""

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def sizes(self) -> str:
        """Say how many rows and columns there are, and how often they repeat."""
        train, validation, test = (f"{len(rows):,}" for rows in self[1:])
        fitted = {row.tobytes() for rows in self[1:3] for row in rows}
        equal = sum(row.tobytes() in fitted for row in self.test)
        fewest = min(len(np.unique(column)) for column in self.train.T)
        return (
            f"{train} training, {validation} validation and {test} test rows, {equal:,} of these "
            f"equal to one of the others; {len(self.train.T)} columns of {fewest:,} values or more"
        )


class Score(NamedTuple):
    """Log-densities of the test rows, in nats, the seconds of the fit, and a word on the model."""

    log_prob: np.ndarray
    seconds: float
    remark: str = ""


class LeftOut(Exception):
    """Raised by an estimator that does not judge a table; says why."""


Judge = Callable[[Table], Score]
Figures = dict[str, Any]


class Judged(NamedTuple):
    """What was found on a table: figures by estimator, and by what a fit does without."""

    sizes: str
    scores: dict[str, Figures]
    ablation: dict[str, Figures]


def tables(folder: Path, only: Sequence[str] | None = None) -> Iterator[Table]:
    """Yield the tables of a folder, or those of some names."""
    for path in sorted(folder.glob("*.npy")):
        stem = path.stem
        if stem.endswith("_val") and path.with_stem(stem[:-4] + "_train").exists():
            continue
        judged = path.with_stem(stem.removesuffix("_train") + "_val")
        pair = stem.endswith("_train") and judged.exists()
        name = stem[:-6] if pair else stem
        if not only or name in only:
            yield _of_two_files(name, path, judged) if pair else _of_one_file(name, path)


def _of_one_file(name: str, path: Path) -> Table:
    rows = _shuffled(path)
    tenth = len(rows) // 10
    train = rows[2 * tenth :]
    rows = (rows - train.mean(axis=0)) / train.std(axis=0)
    return Table(name, rows[2 * tenth :], rows[tenth : 2 * tenth], rows[:tenth])


def _of_two_files(name: str, path: Path, judged: Path) -> Table:
    rows = _shuffled(path)
    tenth = len(rows) // 10
    return Table(name, rows[tenth:], rows[:tenth], np.load(judged).astype(np.float64))


def _shuffled(path: Path) -> np.ndarray:
    rows = np.load(path).astype(np.float64)
    return rows[np.random.default_rng(0).permutation(len(rows))]


def figures_of(score: Score) -> Figures:
    """Return what is reported of a model."""
    log_prob = score.log_prob
    return {
        "mean": float(log_prob.mean()),
        "standard error": float(log_prob.std() / np.sqrt(len(log_prob))),
        "worst row": float(log_prob.min()),
        "0.1 % quantile": float(np.quantile(log_prob, 1e-3)),
        "seconds": score.seconds,
        "model": score.remark,
    }


def kinds_kept(history: Sequence[dict[str, Any]]) -> str:
    """Return the blocks kept by kind, "mixture 1, joint 2"; a rotation belongs to its mixture."""
    kinds = [record["kind"].split(" + ")[-1] for record in history if record["kept"]]
    return ", ".join(f"{kind} {number}" for kind, number in Counter(kinds).items())

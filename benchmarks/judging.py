"""What the judge works on: tables cut in three, scores, and estimators that may be left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

# Columns from which on a table is wide: other estimators suit it, and some take too long.
WIDE = 64


class Table(NamedTuple):
    """Rows to fit, to choose by, and to be judged by; standardised unless from two files."""

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def wide(self) -> bool:
        """Whether it has many columns."""
        return self.train.shape[1] >= WIDE

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
    """What was found on a table: figures by estimator, and by what a fit does without.

    Why an estimator was left out stands in place of its figures, as "left out".
    """

    sizes: str
    wide: bool
    scores: dict[str, Figures]
    ablation: dict[str, Figures]


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

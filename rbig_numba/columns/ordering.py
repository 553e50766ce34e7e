"""The order of levels that have none: the one that goes best with the other columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rbig_numba.columns.cells import is_missing
from rbig_numba.columns.survey import Survey

# Added to the others' correlations: of columns that say the same the difference says nothing.
RIDGE = 0.05


def ordered_levels(survey: Survey, others: Sequence[Survey]) -> list:
    """Return the levels by their place along the one direction in which their means differ most.

    Of the other columns' ranks, their correlations taken out, these are the first canonical
    variables (Hotelling 1936); without other columns of numbers levels go by their weight.
    """
    assert survey.counts is not None
    levels = sorted(survey.counts, key=lambda level: (-(survey.counts or {})[level], str(level)))
    cells = survey.sampled
    numeric = [other.sampled for other in others if other.sampled.dtype.kind in "biuf"]
    if not numeric or len(levels) < 3:
        return levels
    scores = np.stack([_rank_scores(column.astype(np.float64)) for column in numeric], axis=1)
    number_of = {level: number for number, level in enumerate(levels)}
    places = np.array([-1 if is_missing(cell) else number_of[cell] for cell in cells.tolist()])
    scores, places = scores[places >= 0], places[places >= 0]
    counts = np.bincount(places, minlength=len(levels)).astype(np.float64)
    sums = np.stack([np.bincount(places, column, len(levels)) for column in scores.T], axis=1)
    covariance = scores.T @ scores / len(scores) + RIDGE * np.eye(scores.shape[1])
    roots = np.sqrt(np.maximum(counts, 1.0))[:, None]
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), (sums / roots).T).T
    direction = np.linalg.svd(whitened, full_matrices=False)[0][:, 0] / roots[:, 0]
    direction *= np.sign(direction[np.argmax(np.abs(direction))])  # one of two, always the same
    return [levels[number] for number in np.argsort(direction, kind="stable")]


def _rank_scores(column: np.ndarray) -> np.ndarray:
    """Return centred ranks over their deviation; 0 where missing."""
    there = np.isfinite(column)
    _, places, counts = np.unique(column[there], return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - 0.5 * counts
    out = np.zeros(len(column))
    if len(counts) > 1:
        ranks = middles[places]
        out[there] = (ranks - ranks.mean()) / ranks.std()
    return out

"""What one walk over a table tells of its columns: enough to propose kinds, and to learn them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rbig_numba.columns.cells import Cells, Column
from rbig_numba.columns.draws import row_draws

# Distinct values that are counted; a column of more is told by its sample.
MOST_VALUES = 1024
# Rows of a sample at most; half as many at least, if there are.
SAMPLE_ROWS = 32_768
# What no column's draws are made of: rows of a sample are the same for all columns and seeds.
_SAMPLE_SEED, _SAMPLE_COLUMN = 0, 2**32
# Of the first rows of a column: if nearly all differ it is continuous, and no more are counted.
_FIRST = 2 * MOST_VALUES


class Survey:
    """One column: its extent, counts of its values if they are few, and a sample of them.

    Attributes
    ----------
    type, dtype, levels, ordered
        See `Column`.
    n_rows, n_missing : int
        Rows of positive weight, and those among them whose cell is missing.
    weight : float
        Total weight of cells that are there.
    low, high : float
        Extent of the finite numbers.
    counts : dict or None
        Weight of each value; None beyond MOST_VALUES of them.
    """

    def __init__(self, column: Column) -> None:
        self.type, self.dtype = column.type, column.dtype
        self.levels, self.ordered = column.levels, column.ordered
        self.n_rows, self.n_missing, self.weight = 0, 0, 0.0
        self.low, self.high = np.inf, -np.inf
        self.counts: dict[Any, float] | None = {}
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._sorted: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, cells: np.ndarray, weights: np.ndarray | None) -> None:
        """Count cells (n,) with weights (n,), None if all are 1."""
        if cells.dtype.kind not in "biuf":
            there = np.array([cell is not None for cell in cells], dtype=bool)
        else:
            there = np.isfinite(cells) if cells.dtype.kind == "f" else np.ones(len(cells), bool)
        self.n_rows += len(cells)
        if not there.all():
            cells, weights = cells[there], None if weights is None else weights[there]
            self.n_missing += len(there) - len(cells)
        self.weight += float(len(cells) if weights is None else weights.sum())
        if not len(cells):
            return
        if cells.dtype.kind in "biuf":
            self.low = min(self.low, float(cells.min()))
            self.high = max(self.high, float(cells.max()))
        if self.counts is not None:
            self._count(cells, weights)

    def add_sample(self, cells: np.ndarray, weights: np.ndarray | None) -> None:
        """Add cells (s,) to the sample."""
        self._parts.append((cells, np.ones(len(cells)) if weights is None else weights))
        self._sorted = None

    def thin(self, kept: np.ndarray) -> None:
        """Keep some of the sample's rows."""
        cells, weights = zip(*self._parts, strict=True)
        self._parts = [(np.concatenate(cells)[kept], np.concatenate(weights)[kept])]

    @property
    def sampled(self) -> np.ndarray:
        """The sample's cells (S,) in the order of rows, those that are missing too."""
        return np.concatenate([cells for cells, _ in self._parts])

    @property
    def sampled_weights(self) -> np.ndarray:
        """The weights (S,) of the sample's rows."""
        return np.concatenate([weights for _, weights in self._parts])

    @property
    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """Finite values of the sample, ascending, and weights that add up to the column's."""
        if self._sorted is None:
            values = self.sampled.astype(np.float64)
            weights = self.sampled_weights
            order = np.argsort(values)[: np.isfinite(values).sum()]
            values, weights = values[order], weights[order]
            self._sorted = values, weights * (self.weight / max(weights.sum(), 1e-300))
        return self._sorted

    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """Return distinct numbers, ascending, and their weights: of all rows, or of the sample."""
        if self.counts is not None:
            values = np.array(sorted(self.counts), dtype=np.float64)
            return values, np.array([self.counts[value] for value in values.tolist()])
        values, weights = self.sample
        distinct, first = np.unique(values, return_index=True)
        return distinct, np.add.reduceat(weights, first)

    def _count(self, cells: np.ndarray, weights: np.ndarray | None) -> None:
        assert self.counts is not None
        if cells.dtype.kind in "biuf":
            first = cells[:_FIRST]
            if not self.counts and len(np.unique(first)) > MOST_VALUES:
                self.counts = None
                return
            values, places = np.unique(cells, return_inverse=True)
            totals = dict(zip(values.tolist(), np.bincount(places, weights).tolist(), strict=True))
        else:
            totals = {}
            ones = np.ones(len(cells)) if weights is None else weights
            for cell, weight in zip(cells.tolist(), ones.tolist(), strict=True):
                totals[cell] = totals.get(cell, 0.0) + weight
        for value, weight in totals.items():
            self.counts[value] = self.counts.get(value, 0.0) + float(weight)
        if len(self.counts) > MOST_VALUES:
            self.counts = None


def surveyed(blocks: Iterable[tuple[Cells, np.ndarray | None]]) -> list[Survey]:
    """Walk over a table once, in blocks with their weights; rows of weight 0 count as none.

    The sample is of those rows whose draw is lowest, whatever blocks they come in.
    """
    surveys: list[Survey] = []
    start, ceiling, draws = 0, 1.0, np.empty(0)
    for block, weights in blocks:
        surveys = surveys or [Survey(column) for column in block.columns]
        fresh = row_draws(_SAMPLE_SEED, _SAMPLE_COLUMN, start, block.n_rows)
        start += block.n_rows
        counted = None if weights is None else weights > 0.0
        chosen = fresh < ceiling if counted is None else (fresh < ceiling) & counted
        draws = np.concatenate([draws, fresh[chosen]])
        for survey, column in zip(surveys, block.columns, strict=True):
            _add(survey, column.cells, weights, counted, chosen)
        while len(draws) > SAMPLE_ROWS:
            ceiling *= 0.5
            kept = draws < ceiling
            draws = draws[kept]
            for survey in surveys:
                survey.thin(kept)
    return surveys


def _add(
    survey: Survey,
    cells: np.ndarray,
    weights: np.ndarray | None,
    counted: np.ndarray | None,
    chosen: np.ndarray,
) -> None:
    if counted is None:
        survey.add(cells, weights)
    else:
        survey.add(cells[counted], weights[counted])  # type: ignore[index]
    survey.add_sample(cells[chosen], None if weights is None else weights[chosen])

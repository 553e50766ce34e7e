"""Rows in memory, and which components of a mixture they are near: what mixtures grow on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rbig_numba.bijections.base import as_columns
from rbig_numba.bijections.components import (
    NEAR,
    Components,
    Pairs,
    Sums,
    has_holes,
    joint_sums,
)
from rbig_numba.threads import map_threads, row_blocks

# Rows that a thread takes at a time: 15,000 rows are shared evenly by two threads.
PART_ROWS = 2000
# Multiply-adds below which starting threads takes longer.
WORK = 2_000_000


class Crowd:
    """Rows (S, D) and their weights (S,); the same sums for any number of threads.

    Rows may have holes, NaN.

    `work` counts multiply-adds, a pair of a row and a shape as D^2 of them in a step of EM, and as
    half of that where rows are only whitened.
    """

    def __init__(self, rows: np.ndarray, weights: np.ndarray, n_jobs: int | None) -> None:
        self.weight, self.n_rows, self.n_jobs = float(weights.sum()), len(rows), n_jobs
        self.work = 0.0
        if has_holes(rows):
            # Whole rows, which take a fifth of the time, to themselves; others with those alike.
            holes = np.isnan(rows)
            order = np.lexsort((*holes.T, holes.any(axis=1)))
            rows, weights = rows[order], weights[order]
        self.parts = [
            (as_columns(rows[part]), weights[part]) for part in row_blocks(len(rows), PART_ROWS)
        ]

    def near(self, components: Components) -> list[Pairs]:
        """Return the pairs of rows and the components near them, part by part."""
        statistic = joint_sums(components)
        n_jobs = self._jobs(0.5 * self.n_rows * len(components.weights), components)
        return map_threads(lambda part: statistic.pairs(part[0], NEAR), self.parts, n_jobs)

    def sums(self, components: Components, near: Sequence[Pairs]) -> Sums:
        """Return the statistics of a step of EM that takes the shapes near each row only."""
        statistic = joint_sums(components)

        def sums_of(item: tuple[tuple[np.ndarray, np.ndarray], Pairs]) -> Sums:
            (columns, weights), pairs = item
            sums = statistic.zeros(len(columns))
            statistic.add_pairs(columns, weights, pairs, sums)
            return sums

        n_pairs = sum(len(pairs.rows) for pairs in near)
        items = zip(self.parts, near, strict=True)
        parts = map_threads(sums_of, items, self._jobs(n_pairs, components))
        return Sums(*(sum(arrays[1:], start=arrays[0]) for arrays in zip(*parts, strict=True)))

    def log_prob(self, components: Components) -> float:
        """Return the mean log-density of the rows, in nats."""
        statistic = joint_sums(components)
        n_jobs = self._jobs(0.5 * self.n_rows * len(components.weights), components)
        parts = map_threads(lambda part: statistic.log_likelihood(*part), self.parts, n_jobs)
        return sum(parts) / self.weight

    def _jobs(self, n_pairs: float, components: Components) -> int | None:
        work = n_pairs * components.means.shape[1] ** 2
        self.work += work
        return self.n_jobs if work > WORK else 1

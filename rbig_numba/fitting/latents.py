"""Samples of training and of held-out rows on their way to the latent space, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.base import Map, as_columns
from rbig_numba.flow import base_log_prob
from rbig_numba.statistics import Moments, Statistic, Summary, merge_arrays, moments_of
from rbig_numba.threads import map_threads, n_threads, row_blocks

# Rows whose statistics a thread sums up at a time: 15,000 rows are shared evenly by two threads.
PART_ROWS = 2000
# Rows that a thread moves at a time at most: a deadline is looked at in between.
MOVED_ROWS = 4000
# Without held-out rows one row in so many of the sample judges, though all rows are fitted.
JUDGES = 10
# Standard errors that a gain must exceed: of several kinds some gain by chance.
MARGIN = 1.0

Gather = Callable[[Sequence[Map], Statistic], tuple[np.ndarray, ...]]
"""Sums a statistic up over training rows, pushed through maps."""


class Side(NamedTuple):
    """Rows (S, D), their weights (S,), and the log-determinants (S,) of what they went through."""

    rows: np.ndarray
    weights: np.ndarray
    log_det: np.ndarray
    n_jobs: int | None

    def gather(self, maps: Sequence[Map], statistic: Statistic) -> tuple[np.ndarray, ...]:
        """Return a statistic of the rows behind maps; the same bits for any number of threads."""

        def sums_of(part: slice) -> tuple[np.ndarray, ...]:
            rows = self.rows[part]
            for step in maps:
                rows = step.forward(rows)[0]
            columns = as_columns(rows)
            sums = statistic.zeros(len(columns))
            statistic.add(columns, self.weights[part], sums)
            return sums

        parts = map_threads(sums_of, row_blocks(len(self.rows), PART_ROWS), self.n_jobs)
        return merge_arrays(parts)

    def moved(self, bijections: Sequence[Map]) -> Side:
        """Return the rows behind bijections."""

        def move(part: slice) -> tuple[np.ndarray, np.ndarray]:
            rows, log_det = self.rows[part], self.log_det[part]
            for bijection in bijections:
                rows, added = bijection.forward(rows)
                log_det = log_det + added
            return rows, log_det

        size = min(max(1, -(-len(self.rows) // n_threads(self.n_jobs))), MOVED_ROWS)
        parts = map_threads(move, row_blocks(len(self.rows), size), self.n_jobs)
        rows, log_det = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return self._replace(rows=rows, log_det=log_det)

    def first(self, n_rows: int) -> Side:
        """Return the first rows."""
        rows, weights, log_det = (array[:n_rows] for array in self[:3])
        return Side(rows, weights, log_det, self.n_jobs)

    @property
    def log_probs(self) -> np.ndarray:
        """Log-densities (S,), in nats."""
        return base_log_prob(self.rows) + self.log_det

    @property
    def log_prob(self) -> float:
        """Mean log-density, in nats."""
        return float(np.average(self.log_probs, weights=self.weights))

    def sure_gain(self, before: Side) -> float:
        """Return by how much the mean log-density is higher than before, less MARGIN errors."""
        shares = self.weights / self.weights.sum()
        gains = self.log_probs - before.log_probs
        mean = shares @ gains
        return float(mean - MARGIN * np.sqrt(shares**2 @ (gains - mean) ** 2))

    @property
    def moments(self) -> Moments:
        """Weight, mean and products."""
        return moments_of(as_columns(self.rows), self.weights)


class Latents(NamedTuple):
    """What blocks are searched on: a sample of training rows, and rows that judge."""

    train: Side
    judges: Side

    def moved(self, bijections: Sequence[Map]) -> Latents:
        """Return both behind bijections."""
        return Latents(self.train.moved(bijections), self.judges.moved(bijections))

    def first(self, n_rows: int) -> Latents:
        """Return the first rows of both."""
        return Latents(self.train.first(n_rows), self.judges.first(n_rows))


def latents_of(summary: Summary, n_jobs: int | None) -> Latents:
    """Return the samples of a summary; without held-out rows some of the training rows judge."""
    train, held_out = (
        Side(sample.rows, sample.weights, np.zeros(len(sample.rows)), n_jobs)
        for sample in summary.samples
    )
    if len(held_out.rows):
        return Latents(train, held_out)
    judging = np.arange(len(train.rows)) % JUDGES == 0
    train, judges = (
        Side(train.rows[side], train.weights[side], train.log_det[side], n_jobs)
        for side in (~judging, judging)
    )
    return Latents(train, judges)

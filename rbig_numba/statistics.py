"""What is learned from rows: sums that are made block by block and merged in a fixed order.

Everything here is a plain tuple of arrays that pickles, so that a cluster ships statistics and
never rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple, Protocol

import numpy as np

from rbig_numba.kernels import linear
from rbig_numba.profile import merge_seconds
from rbig_numba.rounding import rounded


class Moments(NamedTuple):
    """Total weight, mean (D,) and weighted products about it (D, D), lower triangle only."""

    weight: float
    mean: np.ndarray
    products: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """Covariance (D, D)."""
        lower = self.products / self.weight
        return lower + np.tril(lower, -1).T

    @property
    def base_log_prob(self) -> float:
        """Weighted sum of the rows' log-densities under N(0, I), in nats."""
        squares = np.trace(self.products) + self.weight * (self.mean @ self.mean)
        return -0.5 * float(squares + self.weight * len(self.mean) * np.log(2.0 * np.pi))

    def of_weight(self, weight: float) -> Moments:
        """Return the same moments of rows of another total weight."""
        return Moments(weight, self.mean, self.products * (weight / self.weight))

    def rounded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance, free of the order in which they were summed up."""
        deviations = np.sqrt(np.diag(self.covariance))
        units = np.maximum(deviations, 1e-150)  # whose products are numbers still
        covariance = rounded(self.covariance, np.outer(units, units))
        return rounded(self.mean, units), covariance


def moments_of(columns: np.ndarray, weights: np.ndarray) -> Moments:
    """Return the moments of columns (D, N), float64, with row weights (N,).

    Products are taken about the mean, so that N(1e6, 1) keeps its variance to all digits.
    """
    n_columns = len(columns)
    total, mean, products = weights.sum(), np.zeros(n_columns), np.zeros((n_columns, n_columns))
    if total > 0.0:
        linear.add_sums(columns, weights, mean)
        mean /= total
        linear.add_products(columns, weights, mean, products)
    return Moments(float(total), mean, products)


def merge_moments(parts: Sequence[Moments]) -> Moments:
    """Add up moments. Chan, Golub and LeVeque (1979), "Updating formulae", eq. 2.1."""

    def add(a: Moments, b: Moments) -> Moments:
        total = a.weight + b.weight
        if b.weight == 0.0 or a.weight == 0.0:
            return b if a.weight == 0.0 else a
        step = b.mean - a.mean
        between = np.tril(np.outer(step, step)) * (a.weight * b.weight / total)
        mean = a.mean + step * (b.weight / total)
        return Moments(total, mean, a.products + b.products + between)

    return reduce(add, parts)


class Sample(NamedTuple):
    """The distinct rows of the lowest hashes: hashes (S,), rows (S, D), weights (S,).

    A sample that neither the order of rows nor the blocks they come in have an influence on, and
    in which a row of weight 2 is the same as a row that stands there twice.
    """

    hashes: np.ndarray
    rows: np.ndarray
    weights: np.ndarray


def merge_samples(parts: Sequence[Sample], size: int) -> Sample:
    """Return the `size` lowest of several samples, weights of equal rows added."""
    merged = Sample(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    if len(merged.hashes) > 2 * size:
        # Hardly any rows are equal, and to sort all hashes takes 5 % of a fit of 100,000 rows.
        lowest = merged.hashes <= np.partition(merged.hashes, 2 * size)[2 * size]
        sample = _lowest_distinct(Sample(*(array[lowest] for array in merged)), size)
        if len(sample.hashes) == size:
            return sample
    return _lowest_distinct(merged, size)


def _lowest_distinct(sample: Sample, size: int) -> Sample:
    hashes, first, inverse = np.unique(sample.hashes, return_index=True, return_inverse=True)
    weights = np.bincount(inverse, weights=sample.weights)
    return Sample(hashes[:size], sample.rows[first[:size]], weights[:size])


class Summary(NamedTuple):
    """What one pass over the raw rows tells.

    Attributes
    ----------
    counts : ndarray of shape (2,)
        Training rows and held-out rows.
    lowest, highest : ndarray of shape (2, D)
        Extent of the columns, of training and of held-out rows.
    weights : ndarray of shape (2,)
        Total weights of either side.
    samples : tuple of two Samples
        Of the training rows and of the held-out rows.
    sample_size : int
        Rows that these hold at most.
    """

    counts: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    weights: np.ndarray
    samples: tuple[Sample, Sample]
    sample_size: int


def merge_summaries(parts: Sequence[Summary]) -> Summary:
    """Merge summaries of different rows."""
    size = parts[0].sample_size
    train, held_out = zip(*(part.samples for part in parts), strict=True)
    return Summary(
        np.add.reduce([part.counts for part in parts]),
        np.minimum.reduce([part.lowest for part in parts]),
        np.maximum.reduce([part.highest for part in parts]),
        np.add.reduce([part.weights for part in parts]),
        (merge_samples(train, size), merge_samples(held_out, size)),
        size,
    )


class Totals(NamedTuple):
    """What one step of the fit tells.

    Attributes
    ----------
    moments : Moments
        Of the training rows after the step.
    scores : ndarray of shape (2, 3)
        For training and held-out rows: weight, and weighted sums of the log-density under N(0, I)
        and of the step's log-determinant, in nats.
    seconds : dict of str to float
        Thread-seconds by stage.
    """

    moments: Moments
    scores: np.ndarray
    seconds: dict[str, float]


def merge_totals(parts: Sequence[Totals]) -> Totals:
    """Merge what a step told of different rows."""
    return Totals(
        merge_moments([part.moments for part in parts]),
        np.add.reduce([part.scores for part in parts]),
        merge_seconds([part.seconds for part in parts]),
    )


class Statistic(Protocol):
    """What is summed up over rows: pickles, and its sums are arrays that add."""

    @property
    def stage(self) -> str:
        """Name in a profile."""

    def zeros(self, n_columns: int) -> tuple[np.ndarray, ...]:
        """Return the sums over no rows."""

    def add(self, columns: np.ndarray, weights: np.ndarray, sums: tuple[np.ndarray, ...]) -> None:
        """Add columns (D, N) with row weights (N,) to sums."""


class MomentSums(NamedTuple):
    """The statistic of moments: total weight, sums, and products about a centre (D,)."""

    centre: np.ndarray
    stage: str = "moments"

    def zeros(self, n_columns: int) -> tuple[np.ndarray, ...]:
        """Return the sums over no rows."""
        return np.zeros(1), np.zeros(n_columns), np.zeros((n_columns, n_columns))

    def add(self, columns: np.ndarray, weights: np.ndarray, sums: tuple[np.ndarray, ...]) -> None:
        """Add columns (D, N) with row weights (N,) to sums."""
        shifted = columns - self.centre[:, None]
        weighted = shifted * weights
        sums[0][0] += weights.sum()
        sums[1][:] += weighted.sum(axis=1)
        sums[2][:] += weighted @ shifted.T

    def moments(self, sums: tuple[np.ndarray, ...]) -> Moments:
        """Return the moments of the rows that were summed up."""
        weight, step = float(sums[0][0]), sums[1] / sums[0]
        products = np.tril(sums[2] - weight * np.outer(step, step))
        # A column far from the centre that hardly varies: what is left over may be below 0.
        np.fill_diagonal(products, np.maximum(np.diag(products), 0.0))
        return Moments(weight, self.centre + step, products)


class Sums(NamedTuple):
    """Sums of a statistic over the training rows, and thread-seconds by stage."""

    arrays: tuple[np.ndarray, ...]
    seconds: dict[str, float]


def merge_sums(parts: Sequence[Sums]) -> Sums:
    """Add up sums over different rows."""
    arrays = merge_arrays([part.arrays for part in parts])
    return Sums(arrays, merge_seconds([part.seconds for part in parts]))


def merge_arrays(parts: Sequence[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """Add up tuples of arrays, in their order."""
    totals = tuple(array.copy() for array in parts[0])
    for part in parts[1:]:
        for total, array in zip(totals, part, strict=True):
            total += array
    return totals

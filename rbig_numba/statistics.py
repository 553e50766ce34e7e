"""What is learned from rows: sums that are made block by block and merged in a fixed order.

Everything here is a plain tuple of arrays that pickles, so that a cluster ships statistics and
never rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from rbig_numba.kernels import linear
from rbig_numba.rounding import rounded

# Rows whose quantiles place histogram edges; the histograms themselves count every row.
SAMPLE_ROWS = 8192


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

    def rounded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance, free of the order in which they were summed up."""
        deviations = np.sqrt(np.diag(self.covariance))
        units = np.maximum(deviations, np.finfo(float).tiny)
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


def merge_samples(parts: Sequence[Sample]) -> Sample:
    """Return the SAMPLE_ROWS lowest of several samples, weights of equal rows added."""
    merged = Sample(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    if len(merged.hashes) > 2 * SAMPLE_ROWS:
        # Hardly any rows are equal, and to sort all hashes takes 5 % of a fit of 100,000 rows.
        lowest = merged.hashes <= np.partition(merged.hashes, 2 * SAMPLE_ROWS)[2 * SAMPLE_ROWS]
        sample = _lowest_distinct(Sample(*(array[lowest] for array in merged)))
        if len(sample.hashes) == SAMPLE_ROWS:
            return sample
    return _lowest_distinct(merged)


def _lowest_distinct(sample: Sample) -> Sample:
    hashes, first, inverse = np.unique(sample.hashes, return_index=True, return_inverse=True)
    weights = np.bincount(inverse, weights=sample.weights)
    rows = sample.rows[first[:SAMPLE_ROWS]]
    return Sample(hashes[:SAMPLE_ROWS], rows, weights[:SAMPLE_ROWS])


class Summary(NamedTuple):
    """What one pass over the raw rows tells.

    Attributes
    ----------
    counts : ndarray of shape (2,)
        Training rows and held-out rows.
    lowest, highest : ndarray of shape (2, D)
        Extent of the columns, of training and of held-out rows.
    moments, sample : Moments, Sample
        Of the training rows.
    """

    counts: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    moments: Moments
    sample: Sample


def merge_summaries(parts: Sequence[Summary]) -> Summary:
    """Merge summaries of different rows."""
    return Summary(
        np.add.reduce([part.counts for part in parts]),
        np.minimum.reduce([part.lowest for part in parts]),
        np.maximum.reduce([part.highest for part in parts]),
        merge_moments([part.moments for part in parts]),
        merge_samples([part.sample for part in parts]),
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


class Counts(NamedTuple):
    """Histogram sums (D, B, 3) of the training rows; see `rbig_numba.binning`; and seconds."""

    sums: np.ndarray
    seconds: dict[str, float]


def merge_counts(parts: Sequence[Counts]) -> Counts:
    """Add up histograms."""
    total = parts[0].sums.copy()
    for part in parts[1:]:
        total += part.sums
    return Counts(total, merge_seconds([part.seconds for part in parts]))


def merge_seconds(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    """Add up seconds by stage."""
    stages = dict.fromkeys(stage for part in parts for stage in part)
    return {stage: sum(part.get(stage, 0.0) for part in parts) for stage in stages}

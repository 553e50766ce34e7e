"""Which rows a fit holds out, and what makes a table unfit for a fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from rbig_numba.bijections.affine import Affine, standardisation
from rbig_numba.bijections.base import Bijection, Map, as_columns
from rbig_numba.checks.callers import user_level
from rbig_numba.checks.validation import check_varies
from rbig_numba.chunks.block import Split
from rbig_numba.fitting.cautions import DensityWarning, warn_of_collinearity, warn_of_ties
from rbig_numba.statistics import Sample, Statistic, Summary, Sums, Totals, moments_of

# A row that holds this share of the weight to be held out, and weighs so many times what the median
# row does, stands on both sides: of gamma rows, nine tenths of which are zeros, either nothing but
# zeros was held out, or a hundredth.
HEAVY_SHARE, HEAVY = 0.25, 8.0
# What is so many times as far out as any training row says nothing of the fit to these.
FAR = 2.0
# Multiply-adds of the covariance that tells of collinear columns, 0.1 s of one core, and the rows
# that it takes at least.
WARNING_WORK, ROWS_PER_COLUMN = 2e8, 4
# Factor by which the share held out may miss the one asked for, and by how many rows in any case.
OFF, OFF_ROWS = 2.0, 10.0


class Rows(Protocol):
    """Rows on their way to the latent space, wherever they are."""

    summary: Summary

    def gather(self, maps: Sequence[Map], statistic: Statistic) -> Sums:
        """Return a statistic of the training rows, pushed through maps."""

    def advance(self, bijections: Sequence[Bijection]) -> Totals:
        """Push all rows through bijections for good."""


def split_rows(
    load: Callable[[Split], Rows],
    sample_size: int,
    validation_fraction: float,
    random_state: np.random.RandomState,
    names: Sequence[str] | None,
) -> tuple[Split, Rows]:
    """Load rows, some of them held out: at least one, if enough are left to fit.

    Raises
    ------
    ValueError
        If a column is constant (names it), or there are fewer than two rows.
    """
    seed, limit = int(random_state.randint(2**31)), int(validation_fraction * 2.0**64)
    split = Split(seed, limit, sample_size)
    rows = load(split)
    if (n_rows := rows.summary.counts.sum()) < 2:
        raise ValueError(f"{n_rows} row(s) found: a fit needs at least 2")
    check_varies(rows.summary.lowest.min(axis=0), rows.summary.highest.max(axis=0), names)
    if limit and not rows.summary.counts[1]:
        split = split._replace(limit=int(rows.summary.samples[0].hashes[0]) + 1)
        rows = load(split)
    better = _exceptions(rows.summary, split) if limit else split
    if better is not split:
        split, rows = better, load(better)
    if limit and (rows.summary.lowest[0] >= rows.summary.highest[0]).any():
        warnings.warn(
            f"{n_rows} rows are too few to hold any out, or vary too little: "
            "all are fitted, with as many blocks as n_blocks says",
            stacklevel=user_level(),
        )
        split = split._replace(limit=0)
        rows = load(split)
    _warn_of_table(rows.summary, names)
    if split.limit:
        _warn_of_share(rows.summary, validation_fraction)
    return split, rows


def standardisation_of(summary: Summary) -> Affine:
    """Return the map that opens a fit, of the training rows' cells that are not NaN."""
    _, rows, weights = summary.samples[0]
    extent = np.stack([summary.lowest[0], summary.highest[0]])
    if not np.isnan(rows.sum()):
        return standardisation(rows, weights, extent)
    there = ~np.isnan(rows)
    maps = [
        standardisation(rows[cells, j : j + 1], weights[cells], extent[:, j : j + 1])
        for j, cells in enumerate(there.T)
    ]
    return Affine(
        np.concatenate([each.shift for each in maps]),
        np.concatenate([each.scale for each in maps]),
        maps[0].reach,
    )


def _warn_of_table(summary: Summary, names: Sequence[str] | None) -> None:
    sample = summary.samples[0]
    n_columns = sample.rows.shape[1]
    n_rows = max(int(WARNING_WORK / n_columns**2), ROWS_PER_COLUMN * n_columns)
    sample = Sample(*(array[:n_rows] for array in sample))
    warn_of_ties(sample, names)
    whole = ~np.isnan(sample.rows).any(axis=1)
    if whole.sum() > ROWS_PER_COLUMN * n_columns or whole.all():
        rows = standardisation_of(summary).forward(sample.rows[whole])[0]
        warn_of_collinearity(moments_of(as_columns(rows), sample.weights[whole]), names)


def _exceptions(summary: Summary, split: Split) -> Split:
    """Return a split that shares heavy rows, and fits those that lie far beyond all others."""
    both = (summary.samples[0], summary.samples[1])
    heavy = _heavy(both, split.limit * 2.0**-64 * summary.weights.sum())
    if len(heavy):
        split = split._replace(shared=tuple(heavy.tolist()))
    if not summary.counts.all():
        return split
    affine = standardisation_of(summary)
    ends = np.stack([summary.lowest, summary.highest])
    (train_low, low), (train_high, high) = (affine.forward(end)[0] for end in ends)
    farthest = np.maximum(np.abs(train_low), np.abs(train_high))
    limits = FAR * np.maximum(farthest, affine.reach)
    if (np.maximum(np.abs(low), np.abs(high)) > limits).any():
        split = split._replace(bounds=affine.inverse(np.stack([-limits, limits]))[0])
    return split


def _heavy(samples: tuple[Sample, Sample], wanted: float) -> np.ndarray:
    """Return the hashes of rows that hold much of the weight that is wanted on a side."""
    hashes = np.concatenate([sample.hashes for sample in samples])
    weights = np.concatenate([sample.weights for sample in samples])
    return hashes[weights > max(HEAVY_SHARE * wanted, HEAVY * np.median(weights))]


def _warn_of_share(summary: Summary, wanted: float) -> None:
    total, held_out = summary.weights.sum(), summary.weights[1]
    share = held_out / total
    off = not wanted / OFF <= share <= wanted * OFF
    if off and abs(held_out - wanted * total) > OFF_ROWS:
        warnings.warn(
            f"{share:.1%} of the rows are held out, not {wanted:.1%}: equal rows stay together, "
            "and rows that lie far beyond all others are fitted",
            DensityWarning,
            stacklevel=user_level(),
        )

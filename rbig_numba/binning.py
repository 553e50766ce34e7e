"""Histograms that columns are fitted to: where the bins stand, and what they hold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.base import as_columns
from rbig_numba.kernels import histogram

# EM costs bins x components per iteration, whatever the number of rows.
QUANTILE_BINS = 320
UNIFORM_BINS = 144
OUTER_EDGES = 24
N_BINS = QUANTILE_BINS + UNIFORM_BINS + 2 * OUTER_EDGES  # a power of two: see kernels.histogram


class Grid(NamedTuple):
    """Bins of D columns.

    Attributes
    ----------
    edges : ndarray of shape (D, N_BINS - 1)
        Ascending, padded with inf.
    centres : ndarray of shape (D, N_BINS)
        A finite value in each bin.
    """

    edges: np.ndarray
    centres: np.ndarray


def grid_of(sample: np.ndarray, weights: np.ndarray) -> Grid:
    """Place the bins of each column of a sample of rows (S, D) with weights (S,)."""
    edges = np.stack([_edges_of(column, weights) for column in as_columns(sample)])
    last = np.where(np.isinf(edges), -np.inf, edges).max(axis=1, keepdims=True)
    finite = np.minimum(edges, last)
    middles = 0.5 * (finite[:, :-1] + finite[:, 1:])
    return Grid(edges, np.hstack([finite[:, :1], middles, finite[:, -1:]]))


def add_histograms(columns: np.ndarray, weights: np.ndarray, grid: Grid, sums: np.ndarray) -> None:
    """Add columns (D, N) with row weights (N,) to sums (D, N_BINS, 3); see `bins_of`."""
    bins = np.empty(columns.shape, dtype=np.int64)
    for j in range(len(columns)):
        histogram.find_bins(columns[j], grid.edges[j], bins[j])
    histogram.accumulate(columns, weights, bins, grid.centres, sums)


def bins_of(sums: np.ndarray, grid: Grid) -> np.ndarray:
    """Return bins (D, 3, N_BINS): weight, mean and variance of the rows in each bin."""
    return np.stack(histogram.moments(sums, grid.centres), axis=1)


def _edges_of(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ascending bin edges (N_BINS - 1,) for one column, padded with inf.

    Up to N_BINS distinct values get a bin each. Otherwise edges stand at equal steps of mass, so
    that spikes are resolved, at equal steps of x, so that tails are, and at doubling distances
    beyond the sample, for rows that it missed.
    """
    distinct, inverse = np.unique(values, return_inverse=True)
    middles = 0.5 * (distinct[:-1] + distinct[1:])
    if len(distinct) > N_BINS:
        mass = np.cumsum(np.bincount(inverse, weights=weights))
        steps = np.arange(1, QUANTILE_BINS) / QUANTILE_BINS * mass[-1]
        low, high = distinct[0], distinct[-1]
        outer = (high - low) * 2.0 ** np.arange(-4, OUTER_EDGES - 4)
        parts = [
            middles[np.minimum(np.searchsorted(mass, steps), len(middles) - 1)],
            np.linspace(low, high, UNIFORM_BINS + 1),
            low - outer,
            high + outer,
        ]
        middles = np.unique(np.concatenate(parts))[: N_BINS - 1]
    return np.append(middles, np.full(N_BINS - 1 - len(middles), np.inf))

"""What a block is fitted to: sums over rows, made block by block and added in a fixed order."""

from __future__ import annotations

import numpy as np

from rbig_numba.bijections.base import as_columns
from rbig_numba.chunks import map_threads, row_blocks
from rbig_numba.kernels import histogram, linear

# EM costs bins x components per iteration, whatever the number of rows.
QUANTILE_BINS = 320
UNIFORM_BINS = 144
OUTER_EDGES = 24
N_BINS = QUANTILE_BINS + UNIFORM_BINS + 2 * OUTER_EDGES  # a power of two: see kernels.histogram
# Rows whose quantiles place the edges; the histogram itself counts every row.
SAMPLE_ROWS = 16_384


def moments(
    rows: np.ndarray, weights: np.ndarray, n_jobs: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean (D,) and covariance (D, D) of rows (N, D).

    Sums are taken about the first row, so that N(1e6, 1) keeps its variance to all digits.
    """
    n_features = rows.shape[1]
    origin = rows[0].astype(np.float64)

    def sums_of(block: slice) -> tuple[np.ndarray, np.ndarray]:
        sums, products = np.zeros(n_features), np.zeros((n_features, n_features))
        linear.add_moments(as_columns(rows[block] - origin), weights[block], sums, products)
        return sums, products

    parts = map_threads(sums_of, row_blocks(len(rows)), n_jobs)
    total = weights.sum()
    mean = sum(part[0] for part in parts) / total
    products = sum(part[1] for part in parts) / total
    products = np.tril(products) + np.tril(products, -1).T
    return origin + mean, products - np.outer(mean, mean)


def edges_of(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
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


def bin_edges(sample: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return bin edges (D, N_BINS - 1) for each column of a sample of rows (S, D)."""
    return np.stack([edges_of(column, weights) for column in as_columns(sample)])


def histograms(
    rows: np.ndarray, weights: np.ndarray, edges: np.ndarray, n_jobs: int | None
) -> np.ndarray:
    """Return bins (D, 3, N_BINS): weight, mean and variance of the rows (N, D) in each bin."""
    last = np.where(np.isinf(edges), -np.inf, edges).max(axis=1, keepdims=True)
    finite = np.minimum(edges, last)
    centres = np.hstack([finite[:, :1], 0.5 * (finite[:, :-1] + finite[:, 1:]), finite[:, -1:]])

    def sums_of(blocks: list[slice]) -> np.ndarray:
        sums = np.zeros((len(edges), N_BINS, 3))
        for block in blocks:
            columns = as_columns(rows[block])
            bins = np.empty(columns.shape, dtype=np.int64)
            for j in range(len(columns)):
                histogram.find_bins(columns[j], edges[j], bins[j])
            histogram.accumulate(columns, weights[block], bins, centres, sums)
        return sums

    blocks = row_blocks(len(rows))
    groups = [blocks[i : i + 8] for i in range(0, len(blocks), 8)]
    total = sum(map_threads(sums_of, groups, n_jobs))
    return np.stack(histogram.moments(total, centres), axis=1)

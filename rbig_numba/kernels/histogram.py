"""Histograms of columns that keep each bin's weight, mean and spread."""

from __future__ import annotations

import numpy as np

from rbig_numba.kernels.jit import kernel

# Rows at a time, whose bins are kept between the search and the sums.
RUN = 512


@kernel
def find_bins(x, edges, bins):
    """Fill bins with how many ascending edges lie at or below x.

    The number of edges is a power of two less 1. All rows take each level of the search together:
    a branch-free loop, where a search row by row waits for a wrong guess at every second level.
    """
    bins[:] = 0
    step = (edges.size + 1) >> 1
    while step > 0:
        for i in range(x.size):
            bins[i] += step if edges[bins[i] + step - 1] <= x[i] else 0
        step >>= 1


@kernel
def accumulate(columns, row_weights, edges, centres, sums):
    """Add columns (D, N) with row weights (N,) to sums (D, B, 3).

    edges are (D, B - 1), centres (D, B) any reference value in each bin; sums holds the weight and
    the first two moments about the centre, which keeps them accurate for bins far from zero.
    """
    bins = np.empty(RUN, dtype=np.int64)
    for j in range(columns.shape[0]):
        for start in range(0, columns.shape[1], RUN):
            x = columns[j, start : start + RUN]
            find_bins(x, edges[j], bins[: x.size])
            for i in range(x.size):
                b = bins[i]
                weight = row_weights[start + i]
                distance = x[i] - centres[j, b]
                sums[j, b, 0] += weight
                sums[j, b, 1] += weight * distance
                sums[j, b, 2] += weight * distance * distance


@kernel
def moments(sums, centres):
    """Return weights, means and variances (D, B) of the bins; an empty bin sits at its centre."""
    weights = sums[:, :, 0].copy()
    means, variances = centres.copy(), np.zeros_like(centres)
    for j in range(weights.shape[0]):
        for b in range(weights.shape[1]):
            if weights[j, b] > 0.0:
                shift = sums[j, b, 1] / weights[j, b]
                means[j, b] += shift
                variances[j, b] = max(sums[j, b, 2] / weights[j, b] - shift * shift, 0.0)
    return weights, means, variances

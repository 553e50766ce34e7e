"""Histograms of columns that keep each bin's weight, mean and spread."""

from __future__ import annotations

import numpy as np

from rbig_numba.kernels.jit import kernel


@kernel
def bin_of(x, edges):
    """Return how many of the ascending edges lie at or below x: the bin of x, 0 to len(edges)."""
    low, high = 0, edges.size
    while low < high:
        middle = (low + high) >> 1
        if edges[middle] <= x:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def accumulate(columns, row_weights, edges, centres, sums):
    """Add columns (D, N) with row weights (N,) to sums (D, 3, B).

    edges are (D, B - 1), centres (D, B) any reference value in each bin; sums holds the weight and
    the first two moments about the centre, which keeps them accurate for bins far from zero.
    """
    for j in range(columns.shape[0]):
        for i in range(columns.shape[1]):
            b = bin_of(columns[j, i], edges[j])
            distance = columns[j, i] - centres[j, b]
            sums[j, 0, b] += row_weights[i]
            sums[j, 1, b] += row_weights[i] * distance
            sums[j, 2, b] += row_weights[i] * distance * distance


@kernel
def moments(sums, centres):
    """Return weights, means and variances (D, B) of the bins; an empty bin sits at its centre."""
    weights = sums[:, 0].copy()
    means, variances = centres.copy(), np.zeros_like(centres)
    for j in range(weights.shape[0]):
        for b in range(weights.shape[1]):
            if weights[j, b] > 0.0:
                shift = sums[j, 1, b] / weights[j, b]
                means[j, b] += shift
                variances[j, b] = max(sums[j, 2, b] / weights[j, b] - shift * shift, 0.0)
    return weights, means, variances

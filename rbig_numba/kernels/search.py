"""Where EM starts, and what it tries next: k-means, coarser bins, and mergers of two components.

Bins (3, B) and parameters (3, K) as in `kernels.em`. Nothing here is random.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.em import MIN_WEIGHT, expectation, fill_terms
from rbig_numba.kernels.jit import kernel, sum_kernel
from rbig_numba.kernels.normal import log_positive

EQUAL_MASSES, GROWING_CELLS, EVEN_CELLS = 0, 1, 2
# Lloyd's rounds. The start need not be a fixed point of k-means.
_LLOYD_ROUNDS = 20
# Pairs whose merger is evaluated: with 3, 9 of 180 columns instead of 2 ended 1e-4 nats below five
# k-means starts; with all pairs a whole fit takes twice as long.
_CANDIDATES = 8


@kernel
def halved(bins):
    """Merge neighbours two by two; weights, means and variances stay exact."""
    p, x, v = bins[0], bins[1], bins[2]
    merged = np.empty((3, (p.size + 1) // 2))
    for b in range(merged.shape[1]):
        left, right = 2 * b, min(2 * b + 1, p.size - 1)
        added = p[right] if right > left else 0.0
        share = added / (p[left] + added)
        step = x[right] - x[left]
        merged[0, b] = p[left] + added
        merged[1, b] = x[left] + share * step
        merged[2, b] = (1.0 - share) * (v[left] + share * step * step) + share * v[right]
    return merged


@kernel
def clusters(bins, floor, kind, parameters):
    """Fill parameters (3, K) with K clusters of bins.

    EQUAL_MASSES are refined by k-means: means stay in order, as each is within its own cell, an
    empty one where it was. EVEN_CELLS and GROWING_CELLS, of equal width in x and in asinh of x in
    standard deviations, give more components to the tails, and are left as they are.
    """
    p, x, v = bins[0], bins[1], bins[2]
    weights, means, scales = parameters[0], parameters[1], parameters[2]
    cluster, squares = np.empty(p.size, dtype=np.int64), np.empty(means.size)
    below, origin, overall = 0.0, 0.0, 0.0
    for b in range(p.size):
        origin += p[b] * x[b]
    for b in range(p.size):
        distance = x[b] - origin
        overall += p[b] * (distance * distance + v[b])
    unit = 1.0 / math.sqrt(overall) if overall > 0.0 else 0.0
    unit *= 1.0 if kind == GROWING_CELLS else 1e-6
    low, high = math.asinh((x[0] - origin) * unit), math.asinh((x[p.size - 1] - origin) * unit)
    for b in range(p.size):
        share = below + 0.5 * p[b]
        if kind != EQUAL_MASSES and high > low:
            share = (math.asinh((x[b] - origin) * unit) - low) / (high - low)
        inside = min(int(min(share, 1.0) * means.size), means.size - 1)
        cluster[b] = inside if share > 0.0 else 0  # NaN becomes no index
        below += p[b]
    n_rounds = _LLOYD_ROUNDS if kind == EQUAL_MASSES else 1
    for n in range(n_rounds):
        weights[:] = 0.0
        squares[:] = 0.0
        for b in range(p.size):
            weights[cluster[b]] += p[b]
            squares[cluster[b]] += p[b] * (x[b] - origin)
        for k in range(means.size):
            if weights[k] > MIN_WEIGHT:
                means[k] = origin + squares[k] / weights[k]
            elif n == 0:
                means[k] = means[k - 1] if k > 0 else x[0]
        k = 0
        for b in range(p.size if n < n_rounds - 1 else 0):
            while k < means.size - 1 and x[b] > 0.5 * (means[k] + means[k + 1]):
                k += 1
            cluster[b] = k
    squares[:] = 0.0
    for b in range(p.size):
        distance = x[b] - means[cluster[b]]
        squares[cluster[b]] += p[b] * (distance * distance + v[b])
    for k in range(means.size):
        filled = weights[k] > MIN_WEIGHT  # an empty cluster is as wide as the column
        scales[k] = max(math.sqrt(squares[k] / weights[k] if filled else overall), floor)
        weights[k] = max(weights[k], MIN_WEIGHT)


@kernel
def merge(parameters, i, j, merged):
    """Fill merged (3, 1) with components i and j in one; return what that costs at most.

    Runnalls (2007), "Kullback-Leibler approach to Gaussian mixture reduction", eq. 21.
    """
    weight = parameters[0, i] + parameters[0, j]
    share = parameters[0, j] / weight
    step = parameters[1, j] - parameters[1, i]
    first, second = parameters[2, i], parameters[2, j]
    variance = (1.0 - share) * first * first + share * second * second
    scale = math.sqrt(variance + share * (1.0 - share) * step * step)
    merged[0, 0], merged[1, 0], merged[2, 0] = weight, parameters[1, i] + share * step, scale
    narrower = parameters[0, i] * log_positive(parameters[2, i])
    narrower += parameters[0, j] * log_positive(parameters[2, j])
    return weight * log_positive(scale) - narrower


@sum_kernel
def gain_of_merger(bins, terms, total, i, j, term):
    """Return the change of log-likelihood if terms i and j (K, B) give way to a term (1, B)."""
    p = bins[0]
    gain = 0.0
    for b in range(p.size):
        rest = 1.0 - (terms[i, b] + terms[j, b]) * (total[b] / p[b])
        gain += p[b] * log_positive(max(rest, 0.0) + term[0, b] + 1e-300)
    return gain


@kernel
def merge_cheapest(bins, parameters):
    """Return parameters (3, K - 1) with those two components merged that cost least.

    Exact costs are worked out for the pairs of lowest bounds.
    """
    n, n_bins = parameters.shape[1], bins.shape[1]
    terms, total, shift = np.empty((n, n_bins)), np.empty(n_bins), np.zeros(n_bins)
    term, unused = np.empty((1, n_bins)), np.empty(n_bins)
    bounds, merged = np.empty((n, n)), np.empty((3, 1))
    expectation(bins, parameters, shift, terms, total)
    for i in range(n):
        for j in range(i):
            bounds[i, j] = merge(parameters, i, j, merged)
    best, left, right = -np.inf, 0, 1
    for _ in range(min(_CANDIDATES, n * (n - 1) // 2)):
        i, j = 1, 0
        for row in range(n):
            for column in range(row):
                if bounds[row, column] < bounds[i, j]:
                    i, j = row, column
        bounds[i, j] = np.inf
        merge(parameters, i, j, merged)
        fill_terms(bins, merged, shift, term, unused)
        gain = gain_of_merger(bins, terms, total, i, j, term)
        if gain > best:
            best, left, right = gain, j, i
    merge(parameters, right, left, merged)
    fewer = np.empty((3, n - 1))
    for i in range(3):
        for k in range(n - 1):
            fewer[i, k] = parameters[i, k + 1 if k >= right else k]
        fewer[i, left] = merged[i, 0]
    return fewer

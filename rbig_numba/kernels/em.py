"""Expectation-maximisation of one column's mixture on a histogram: cost bins x K, whatever N.

A bin of weight p_b, mean x_b and variance v_b stands for its rows, which share responsibilities:
component k scores it by the mean of log N(x; m_k, s_k) over the bin. Each step is exact EM on
    sum_b p_b log sum_k w_k exp(log N(x_b; m_k, s_k) - v_b / (2 s_k^2)),
a lower bound (Jensen) of the log-likelihood of the rows, equal to it as bins shrink.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.jit import kernel
from rbig_numba.kernels.normal import LOG_SQRT_2PI, exp_negative, log_positive

# A component without rows keeps this weight: its logarithm stays finite, its mass is nothing.
MIN_WEIGHT = 1e-15


@kernel
def expectation(bins, weights, means, scales, responsibilities, largest, total):
    """Fill responsibilities (K, B) and return the log-likelihood per unit of weight, in nats."""
    p, x, v = bins[0], bins[1], bins[2]
    largest[:] = -np.inf
    for k in range(means.size):
        precision = 1.0 / scales[k]
        log_weight = math.log(weights[k] * precision) - LOG_SQRT_2PI
        for b in range(p.size):
            u = (x[b] - means[k]) * precision
            responsibilities[k, b] = log_weight - 0.5 * (u * u + v[b] * precision * precision)
            largest[b] = max(largest[b], responsibilities[k, b])
    total[:] = 0.0
    for k in range(means.size):
        for b in range(p.size):
            responsibilities[k, b] = exp_negative(responsibilities[k, b] - largest[b])
            total[b] += responsibilities[k, b]
    for b in range(p.size):
        largest[b] += log_positive(total[b])
        total[b] = p[b] / total[b]
    log_likelihood = 0.0
    for b in range(p.size):
        log_likelihood += p[b] * largest[b]
    for k in range(means.size):
        for b in range(p.size):
            responsibilities[k, b] *= total[b]
    return log_likelihood


@kernel
def maximisation(bins, min_scale, responsibilities, weights, means, scales):
    """Update weights, means and scales (K,) in place from p-weighted responsibilities (K, B)."""
    x, v = bins[1], bins[2]
    for k in range(means.size):
        mass, first, second = 0.0, 0.0, 0.0
        for b in range(x.size):
            mass += responsibilities[k, b]
            first += responsibilities[k, b] * x[b]
        weights[k] = max(mass, MIN_WEIGHT)
        if mass > MIN_WEIGHT:
            mean = first / mass
            for b in range(x.size):
                distance = x[b] - mean
                second += responsibilities[k, b] * (distance * distance + v[b])
            means[k] = mean
            scales[k] = max(math.sqrt(second / mass), min_scale)
    weights /= weights.sum()


@kernel
def em1(bins, min_scale, max_iter, tol, weights, means, scales):
    """Run EM in place on one column's bins (3, B); return the log-likelihood before the last step.

    Stops when a step gains less than tol nats.
    """
    n_bins = bins.shape[1]
    responsibilities = np.empty((means.size, n_bins))
    largest, total = np.empty(n_bins), np.empty(n_bins)
    previous = -np.inf
    for _ in range(max_iter):
        current = expectation(bins, weights, means, scales, responsibilities, largest, total)
        maximisation(bins, min_scale, responsibilities, weights, means, scales)
        if current - previous < tol:
            break
        previous = current
    return current


@kernel
def start_by_quantiles(bins, min_scale, weights, means, scales):
    """Cut the column into K parts of equal mass; each component takes a part's mean and spread."""
    p, x, v = bins[0], bins[1], bins[2]
    n_components = means.size
    first = np.zeros(n_components)
    second = np.zeros(n_components)
    weights[:] = 0.0
    below = 0.0
    for b in range(p.size):
        k = min(int((below + 0.5 * p[b]) * n_components), n_components - 1)
        weights[k] += p[b]
        first[k] += p[b] * x[b]
        second[k] += p[b] * (x[b] * x[b] + v[b])
        below += p[b]
    spread(bins, first, second, min_scale, weights, means, scales)


@kernel
def start_by_clusters(bins, min_scale, weights, means, scales):
    """Refine a start by Lloyd's k-means: on a line, bins go to the nearest of the sorted means."""
    p, x, v = bins[0], bins[1], bins[2]
    n_components = means.size
    first, second = np.empty(n_components), np.empty(n_components)
    for _ in range(50):
        weights[:] = 0.0
        first[:] = 0.0
        second[:] = 0.0
        means.sort()
        k = 0
        for b in range(p.size):
            while k < n_components - 1 and x[b] > 0.5 * (means[k] + means[k + 1]):
                k += 1
            weights[k] += p[b]
            first[k] += p[b] * x[b]
            second[k] += p[b] * (x[b] * x[b] + v[b])
        before = means.copy()
        spread(bins, first, second, min_scale, weights, means, scales)
        if np.abs(means - before).max() < min_scale:
            break


@kernel
def spread(bins, first, second, min_scale, weights, means, scales):
    """Turn each part's sums into weight, mean and scale; an empty part stays where it is, wide."""
    overall = math.sqrt((bins[0] * (bins[1] * bins[1] + bins[2])).sum())
    for k in range(means.size):
        if weights[k] > MIN_WEIGHT:
            means[k] = first[k] / weights[k]
            variance = second[k] / weights[k] - means[k] * means[k]
            scales[k] = max(math.sqrt(max(variance, 0.0)), min_scale)
        else:
            weights[k] = MIN_WEIGHT
            scales[k] = max(overall, min_scale)
    weights /= weights.sum()


@kernel
def fit1(bins, min_scale, max_iter, tol, parameters):
    """Fit one column's mixture; parameters (3, K) receives weights, means and scales.

    Of two starts, equal parts and k-means, the one that ends higher is kept.
    """
    best = -np.inf
    trial = np.empty_like(parameters)
    trial[1] = 0.0
    for start in range(2):
        start_by_quantiles(bins, min_scale, trial[0], trial[1], trial[2])
        if start == 1:
            start_by_clusters(bins, min_scale, trial[0], trial[1], trial[2])
        value = em1(bins, min_scale, max_iter, tol, trial[0], trial[1], trial[2])
        if value > best:
            best = value
            parameters[:] = trial
    return best

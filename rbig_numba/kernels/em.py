"""Expectation-maximisation of one column's mixture on a histogram: cost bins x K, whatever N.

A bin of weight p_b, mean x_b and variance v_b stands for its rows, which share responsibilities:
component k scores it by the mean of log N(x; m_k, s_k) over the bin. Each step is exact EM on
    sum_b p_b log sum_k w_k exp(log N(x_b; m_k, s_k) - v_b / (2 s_k^2)),
a lower bound (Jensen) of the log-likelihood of the rows, equal to it as bins shrink.

Bins are (3, B), their weights sum to 1. Parameters are (3, K): weights, means and scales.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.jit import bits_float, float_bits, kernel, sum_kernel
from rbig_numba.kernels.normal import LOG_SQRT_2PI, log_positive

# A component without rows keeps this weight: its logarithm stays finite, its mass is nothing.
MIN_WEIGHT = 1e-15
# Steps that the extrapolation looks back on; 8 or 10 gained nothing over 5.
MEMORY = 5
# Keeps its equations solvable where differences of steps are nearly parallel.
_RIDGE = 1e-6
# Points in a row that must predict little left to gain: a single one is often wrong early on.
_SETTLED = 3

_LN2 = math.log(2.0)
_ROUNDER = 1.5 * 2.0**52  # see kernels.normal
_MAX_EXPONENT = 1020.0
_SAFE = 2.0**900
# 2^f, |f| <= 1/2, within 2e-14: Chebyshev interpolation. Two terms less than in kernels.normal, as
# registers hold no more: with those of 1e-16 the loop over bins takes 1.15 times as long.
_A0, _A1, _A2, _A3, _A4, _A5, _A6, _A7, _A8, _A9 = (
    1.0000000000000135,
    0.6931471805599462,
    0.2402265069564034,
    0.05550410866465167,
    0.009618129193934313,
    0.0013333558200794592,
    0.0001540343375125101,
    1.5252672924850737e-05,
    1.325964524488711e-06,
    1.0205905413765595e-07,
)


@kernel
def exp2(x):
    """2^x within 2e-14, x moved into -1020 ... 1020."""
    x = min(max(x, -_MAX_EXPONENT), _MAX_EXPONENT)
    shifted = x + _ROUNDER
    f = x - (shifted - _ROUNDER)
    q = f * f
    even = (((_A8 * q + _A6) * q + _A4) * q + _A2) * q + _A0
    odd = (((_A9 * q + _A7) * q + _A5) * q + _A3) * q + _A1
    return bits_float(float_bits(even + odd * f) + (float_bits(shifted) << 52))


@sum_kernel
def fill_terms(bins, parameters, shift, terms, total):
    """Fill terms (K, B) with weighted densities over 2^shift, and total (B,) with their sums.

    Returns a number below 2^900 if no sum came near over- or underflow.
    """
    x, v = bins[1], bins[2]
    total[:] = 0.0
    for k in range(parameters.shape[1]):
        weight, mean, scale = parameters[0, k], parameters[1, k], parameters[2, k]
        height = (math.log(weight / scale) - LOG_SQRT_2PI) / _LN2
        steepness = -0.5 / (_LN2 * scale * scale)
        for b in range(x.size):
            distance = x[b] - mean
            term = exp2(height + steepness * (distance * distance + v[b]) - shift[b])
            terms[k, b] = term
            total[b] += term
    worst = 0.0
    for b in range(x.size):
        worst += total[b] + 1.0 / total[b]
    return worst


@kernel
def fill_shift(bins, parameters, shift):
    """Fill shift (B,) with the log2 of each bin's largest term."""
    x, v = bins[1], bins[2]
    shift[:] = -np.inf
    for k in range(parameters.shape[1]):
        weight, mean, scale = parameters[0, k], parameters[1, k], parameters[2, k]
        height = (math.log(weight / scale) - LOG_SQRT_2PI) / _LN2
        steepness = -0.5 / (_LN2 * scale * scale)
        for b in range(x.size):
            distance = x[b] - mean
            shift[b] = max(shift[b], height + steepness * (distance * distance + v[b]))


@sum_kernel
def expectation(bins, parameters, shift, terms, total):
    """Return the log-likelihood per unit of weight, in nats.

    terms (K, B) times total (B,) are then the responsibilities times each bin's weight. shift (B,)
    receives the log2-densities, and keeps the next call from underflow: parameters move little
    from step to step, so that the largest term of each bin, a third of the time, is seldom needed.
    """
    for _ in range(2):
        if fill_terms(bins, parameters, shift, terms, total) < _SAFE:
            break
        fill_shift(bins, parameters, shift)
    p = bins[0]
    value = 0.0
    for b in range(p.size):
        shift[b] += log_positive(total[b]) / _LN2
        total[b] = p[b] / total[b]
    for b in range(p.size):
        value += p[b] * shift[b]
    return value * _LN2


@sum_kernel
def maximisation(bins, floor, terms, total, parameters, image):
    """Fill image (3, K) with the most likely parameters, no scale below floor."""
    x, v = bins[1], bins[2]
    weights = 0.0
    for k in range(parameters.shape[1]):
        mass, first, second = 0.0, 0.0, 0.0
        for b in range(x.size):
            share = terms[k, b] * total[b]
            mass += share
            first += share * x[b]
        image[0, k] = max(mass, MIN_WEIGHT)
        image[1, k], image[2, k] = parameters[1, k], parameters[2, k]
        weights += image[0, k]
        if mass > MIN_WEIGHT:
            mean = first / mass
            for b in range(x.size):
                distance = x[b] - mean
                second += terms[k, b] * total[b] * (distance * distance + v[b])
            image[1, k] = mean
            image[2, k] = max(math.sqrt(second / mass), floor)
    for k in range(parameters.shape[1]):
        image[0, k] /= weights


@kernel
def to_line(parameters, line):
    """Fill line (3 K,) with log-weights, means and log-scales, which may be extrapolated."""
    n = parameters.shape[1]
    for k in range(n):
        line[k] = math.log(parameters[0, k])
        line[n + k] = parameters[1, k]
        line[2 * n + k] = math.log(parameters[2, k])


@kernel
def from_line(line, floor, parameters):
    """Undo `to_line`, with weights that sum to 1 and no scale below floor."""
    n = parameters.shape[1]
    largest, weights = -np.inf, 0.0
    for k in range(n):
        largest = max(largest, line[k])
    for k in range(n):
        parameters[0, k] = max(math.exp(line[k] - largest), MIN_WEIGHT)
        parameters[1, k] = line[n + k]
        parameters[2, k] = max(math.exp(min(line[2 * n + k], 600.0)), floor)
        weights += parameters[0, k]
    for k in range(n):
        parameters[0, k] /= weights


@sum_kernel
def extrapolate(steps, images, information, count, line):
    """Fill line with the point where EM's steps would vanish; return the gain predicted, in nats.

    steps and images (MEMORY + 1, 3 K) are those of the last `count` points, the newest of them at
    (count - 1) % (MEMORY + 1). Anderson (1965): the affine combination of least step. A step is
    the gradient over the complete-data information (3 K,), so that half its product with the way
    to where it vanishes is the gain of a quadratic function.
    """
    n_points, newest = min(count, MEMORY + 1), (count - 1) % (MEMORY + 1)
    size = n_points - 1
    step, image = steps[newest], images[newest]
    changes, matrix = np.empty((size, line.size)), np.empty((size, size + 1))
    for i in range(size):
        for c in range(line.size):
            changes[i, c] = steps[(newest + 1 + i) % n_points, c] - step[c]
        for j in range(i + 1):
            product = 0.0
            for c in range(line.size):
                product += information[c] * changes[i, c] * changes[j, c]
            matrix[i, j], matrix[j, i] = product, product
        product = 0.0
        for c in range(line.size):
            product -= information[c] * changes[i, c] * step[c]
        matrix[i, size] = product
        matrix[i, i] += _RIDGE * matrix[i, i] + 1e-300
    for i in range(size):
        for j in range(size):
            if j != i:  # Gauss and Jordan; a positive definite matrix needs no pivots
                factor = matrix[j, i] / matrix[i, i]
                for m in range(i, size + 1):
                    matrix[j, m] -= factor * matrix[i, m]
    for c in range(line.size):
        line[c] = image[c]
    for i in range(size):
        factor = matrix[i, size] / matrix[i, i]
        for c in range(line.size):
            line[c] += factor * (images[(newest + 1 + i) % n_points, c] - image[c])
    gain = 0.0
    for c in range(line.size):
        gain += 0.5 * information[c] * step[c] * (line[c] - image[c] + step[c])
    return gain


@kernel
def ascend(bins, floor, max_steps, tol, parameters):
    """Run accelerated EM in place; return the log-likelihood, in nats, and the steps taken.

    An extrapolation that would lose likelihood is dropped for the plain step, which cannot. Stops
    when the gain that is left is predicted to be below tol nats.
    """
    n, n_bins = parameters.shape[1], bins.shape[1]
    terms, total, shift = np.empty((n, n_bins)), np.empty(n_bins), np.zeros(n_bins)
    steps, images = np.empty((MEMORY + 1, 3 * n)), np.empty((MEMORY + 1, 3 * n))
    line, information = np.empty(3 * n), np.empty(3 * n)
    trial, image = np.empty((3, n)), np.empty((3, n))
    value, taken, count, settled = -np.inf, 0, 0, 0
    to_line(parameters, line)
    while taken < max_steps and settled < _SETTLED:
        from_line(line, floor, trial)
        trial_value = expectation(bins, trial, shift, terms, total)
        taken += 1
        if count > 0 and not trial_value >= value:
            newest = (count - 1) % (MEMORY + 1)
            for c in range(3 * n):
                line[c] = images[newest, c]
            count = 0
            continue
        value = trial_value
        maximisation(bins, floor, terms, total, trial, image)
        newest = count % (MEMORY + 1)
        to_line(trial, line)
        to_line(image, images[newest])
        for c in range(3 * n):
            steps[newest, c] = images[newest, c] - line[c]
        for k in range(n):
            for i in range(3):
                parameters[i, k] = trial[i, k]
            information[k] = trial[0, k]
            information[n + k] = trial[0, k] / (trial[2, k] * trial[2, k])
            information[2 * n + k] = 2.0 * trial[0, k]
        count += 1
        predicted = extrapolate(steps, images, information, count, line)
        settled = settled + 1 if predicted < tol else 0
    return value, taken

"""The angle by which two columns are turned to be least Gaussian, from histograms of both."""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.jit import kernel

# Bins of 0.09 standard deviations; what lies beyond REACH of them is counted in the outermost.
N_BINS, REACH = 128, 6.0
# Angles tried, of a quarter turn: a half swaps both columns. A parabola through the best and its
# neighbours says where between them.
N_ANGLES = 16
# Of the variance of two columns together: less is a line, whose density grows without bound.
MIN_VARIANCE = 1e-12


@kernel
def pair_moments(x, y, weights):
    """Return the total of weights, both means, both variances and the covariance (6,)."""
    total, x_mean, y_mean = 0.0, 0.0, 0.0
    for i in range(x.size):
        total += weights[i]
        x_mean += weights[i] * x[i]
        y_mean += weights[i] * y[i]
    x_mean, y_mean = x_mean / total, y_mean / total
    xx, yy, xy = 0.0, 0.0, 0.0
    for i in range(x.size):
        a, b = x[i] - x_mean, y[i] - y_mean
        xx += weights[i] * a * a
        yy += weights[i] * b * b
        xy += weights[i] * a * b
    return total, x_mean, y_mean, xx / total, yy / total, xy / total


@kernel
def negentropy(x, y, weights, moments, cosine, sine, shares):
    """Return minus the entropy, in nats, of u = cosine x + sine y, but for a constant.

    From a histogram of u in its own standard deviations, each row shared by the two nearest bins:
    if whole rows moved from bin to bin, the steps would hide maxima a tenth as high.
    """
    total, x_mean, y_mean, xx, yy, xy = moments
    variance = cosine * cosine * xx + sine * sine * yy + 2.0 * cosine * sine * xy
    deviation = math.sqrt(max(variance, MIN_VARIANCE * (xx + yy)))
    per_unit, last = (shares.size - 1) / (2.0 * REACH), shares.size - 1.0001
    a, b = per_unit * cosine / deviation, per_unit * sine / deviation
    origin = REACH * per_unit - a * x_mean - b * y_mean
    for k in range(shares.size):
        shares[k] = 0.0
    for i in range(x.size):
        place = a * x[i] + b * y[i] + origin
        place = min(place, last) if place > 0.0 else 0.0  # NaN too: it becomes an index
        k = int(place)
        above = weights[i] * (place - k)
        shares[k] += weights[i] - above
        shares[k + 1] += above
    value = -math.log(deviation)
    for k in range(shares.size):
        p = shares[k] / total
        value += p * math.log(p) if p > 0.0 else 0.0
    return value


@kernel
def contrast(x, y, weights, moments, angle, shares):
    """Return the negentropies of both columns turned by an angle."""
    cosine, sine = math.cos(angle), math.sin(angle)
    first = negentropy(x, y, weights, moments, cosine, sine, shares)
    return first + negentropy(x, y, weights, moments, -sine, cosine, shares)


@kernel
def best_angle(x, y, weights):
    """Return the angle of highest contrast of columns (S,), and what it gains on 0, in nats."""
    moments, shares = pair_moments(x, y, weights), np.empty(N_BINS)
    values, step, best = np.empty(N_ANGLES), 0.5 * math.pi / N_ANGLES, 0
    for a in range(N_ANGLES):
        values[a] = contrast(x, y, weights, moments, a * step, shares)
        if values[a] > values[best]:
            best = a
    before, after = values[best - 1], values[(best + 1) % N_ANGLES]
    angle, value = best * step, values[best]
    bend = before + after - 2.0 * value
    if bend < 0.0:
        between = angle + 0.5 * step * (before - after) / bend
        refined = contrast(x, y, weights, moments, between, shares)
        if refined > value:
            angle, value = between, refined
    return angle, value - values[0]

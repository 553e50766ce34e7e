"""Radii of groups of columns, and their maps: row by row, but in loops over rows.

Columns are (D, N), C order; `members` are the numbers of a group's m columns. Radii are logarithms
throughout: neither 1e-17 nor 1e17 is squared in the end.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.jit import kernel
from rbig_numba.kernels.normal import exp_negative, log_positive

# Squared radii are numbers here and not subnormal.
_LEAST, _MOST = 1e-300, 1e300


@kernel
def log_radii(columns, members, limits, log_r):
    """Fill log r (N,) of a group's columns, no less and no more than two limits."""
    low, high = limits
    log_r[:] = 0.0
    for j in members:
        x = columns[j]
        for i in range(log_r.size):
            log_r[i] += x[i] * x[i]
    for i in range(log_r.size):
        half = 0.5 * log_positive(min(max(log_r[i], _LEAST), _MOST))
        log_r[i] = min(max(half, low), high)


@kernel
def radii(z, n_columns, constants, log_g, log_slope):
    """Fill log g(z) and log (d log g / dz), constants from `wilson_hilferty`."""
    centre, slope, curvature = constants
    square, half_log_m = curvature * curvature, 0.5 * math.log(n_columns)
    log_rate = math.log(1.5 * slope)
    for i in range(z.size):
        h = centre + slope * z[i]
        q = math.sqrt(h * h + square)
        # b = (h + q) / 2 without its difference of two large numbers
        size = abs(h) + q
        b = 0.5 * size if h > 0.0 else 0.5 * square / size
        log_g[i] = half_log_m + 1.5 * log_positive(b)
        log_slope[i] = log_rate - log_positive(q)


@kernel
def latents(log_g, n_columns, constants, z):
    """Fill the z (N,) of which log_g (N,) is log g(z)."""
    centre, slope, curvature = constants
    quarter, log_m = 0.25 * curvature * curvature, math.log(n_columns)
    for i in range(z.size):
        b = exp_negative((2.0 * log_g[i] - log_m) / 3.0)
        z[i] = (b - quarter / b - centre) / slope


@kernel
def scale(columns, members, log_factor, out):
    """Fill a group's columns of out with those of columns, times exp(log_factor) row by row."""
    factor = np.empty(log_factor.size)
    for i in range(factor.size):
        factor[i] = exp_negative(log_factor[i])
    for j in members:
        x, y = columns[j], out[j]
        for i in range(factor.size):
            y[i] = x[i] * factor[i]

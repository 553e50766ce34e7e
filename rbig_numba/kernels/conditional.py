"""One column given the columns before it: a mixture in one dimension, another one in every row.

Components have weights and means of the row's own, and scales common to all rows. A weight is given
as a number r and as its logarithm to base 2. Products of numbers alone would lose a component to
the floor of `power_and_mills`, 2^-961, though later columns may bring it back: each one that it
fits better multiplies it by the ratio of two scales, which over 100 columns is more than any floor
can bear. Here every number is the power of its logarithm, and carried over one column only. So the
floor adds 2^-961 to a column's density and 2^-961 / density to the masses of the next one: that
decides where log space takes over.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.direct import DIRECT_MIN, quantiles
from rbig_numba.kernels.jit import float_bits, kernel
from rbig_numba.kernels.mixture import LOWEST, smaller_tail
from rbig_numba.kernels.normal import (
    HALF_LOG2,
    INV_SQRT_2PI,
    LN2,
    LOG_SQRT_2PI,
    aligned_stack,
    log_cdf,
    log_positive,
    mills,
    power_and_mills,
)


@kernel
def conditionals(means, log_scales, slopes, log_sizes):
    """Return what does not vary over rows, (D, 5, K S), the scales of a shape side by side.

    Conditional mean where the columns before are 0, HALF_LOG2 / scale, log2(1 / scale),
    scale / sqrt(2 pi), scale.
    """
    n_shapes, n_columns = means.shape
    n_sizes = log_sizes.shape[1]
    constants = np.empty((n_columns, 5, n_shapes * n_sizes))
    for j in range(n_columns):
        for k in range(n_shapes):
            intercept = means[k, j]
            for i in range(j):
                intercept -= slopes[k, j, i] * means[k, i]
            for s in range(n_sizes):
                c, log_scale = k * n_sizes + s, log_scales[k, j] + log_sizes[k, s]
                scale = math.exp(log_scale)
                constants[j, 0, c] = intercept
                constants[j, 1, c] = HALF_LOG2 / scale
                constants[j, 2, c] = -log_scale / LN2
                constants[j, 3, c] = scale * INV_SQRT_2PI
                constants[j, 4, c] = scale
    return constants


@kernel
def fill_shifts(columns, slopes, shifts, n):
    """Fill shifts (K, RUN) of the first n rows of columns (D, RUN): their sums times slopes (K, j).

    Two shapes and eight columns a pass: rows, which leave the first-level cache in between, are
    read half as often, and 37 columns take two thirds of the time. Columns are indexed where they
    lie: a slice of each, for each component, takes as long as 16 multiply-adds of every row.
    """
    aligned_stack()
    for first in range(0, slopes.shape[0], 2):
        k, m = first, min(first + 1, slopes.shape[0] - 1)
        one, two, done = slopes[k], slopes[m], 0
        for i in range(n):
            shifts[k, i], shifts[m, i] = 0.0, 0.0
        while done + 8 <= one.size:
            a, b, c, d = one[done], one[done + 1], one[done + 2], one[done + 3]
            e, f, g, h = one[done + 4], one[done + 5], one[done + 6], one[done + 7]
            p, q, r, s = two[done], two[done + 1], two[done + 2], two[done + 3]
            t, u, v, w = two[done + 4], two[done + 5], two[done + 6], two[done + 7]
            for i in range(n):
                x0, x1, x2 = columns[done, i], columns[done + 1, i], columns[done + 2, i]
                x3, x4, x5 = columns[done + 3, i], columns[done + 4, i], columns[done + 5, i]
                x6, x7 = columns[done + 6, i], columns[done + 7, i]
                here = (((shifts[k, i] + a * x0) + b * x1) + c * x2) + d * x3
                there = (((shifts[m, i] + p * x0) + q * x1) + r * x2) + s * x3
                shifts[k, i] = (((here + e * x4) + f * x5) + g * x6) + h * x7
                shifts[m, i] = (((there + t * x4) + u * x5) + v * x6) + w * x7
            done += 8
        while done + 2 <= one.size:
            a, b, c, d = one[done], one[done + 1], two[done], two[done + 1]
            for i in range(n):
                x0, x1 = columns[done, i], columns[done + 1, i]
                here, there = shifts[k, i] + a * x0, shifts[m, i] + c * x0
                shifts[k, i], shifts[m, i] = here + b * x1, there + d * x1
            done += 2
        if done < one.size:
            a, b = one[done], two[done]
            for i in range(n):
                x = columns[done, i]
                here, there = shifts[k, i] + a * x, shifts[m, i] + b * x
                shifts[k, i], shifts[m, i] = here, there


@kernel
def add_components(x, shifts, constants, log_r, r, work):
    """Fill density and masses, work[:3], of one column's run of rows.

    The components' responsibilities become their shares of the density, which is in units of
    phi(0). What is given of r sums up to 1 / work[5], of log_r, of base 2, to 2^work[6]: dividing
    here takes no pass of its own.
    """
    aligned_stack()
    n_sizes = log_r.shape[0] // shifts.shape[0]
    for i in range(x.size):
        work[0, i], work[1, i], work[2, i] = 0.0, 0.0, 0.0
    for c in range(log_r.shape[0]):
        k = c // n_sizes
        intercept, precision = constants[0, c], constants[1, c]
        log_precision, area = constants[2, c], constants[3, c]
        for i in range(x.size):
            v = ((x[i] - shifts[k, i]) - intercept) * precision
            log_term = (log_r[c, i] - work[6, i]) + (log_precision - v * v)
            term, ratio = power_and_mills(log_term, v)
            near = term * area * ratio
            far = r[c, i] * work[5, i] - near
            log_r[c, i], r[c, i] = log_term, term
            work[0, i] += term
            work[1, i] += near if float_bits(v) < 0 else far
            work[2, i] += far if float_bits(v) < 0 else near


@kernel
def forward1(x, before, parameters, log_terms):
    """Return z and log dz/dx of one number in log space, log_terms (K S,) by `add_components`."""
    constants, slopes = parameters
    n_sizes = log_terms.size // slopes.shape[0]
    logs, power = np.empty((3, log_terms.size)), LOWEST
    for k in range(log_terms.size):
        power = max(power, LN2 * log_terms[k])
    for k in range(log_terms.size):
        shift = 0.0
        for i in range(slopes.shape[1]):
            shift += slopes[k // n_sizes, i] * before[i]
        v = ((x - shift) - constants[0, k]) * constants[1, k]
        u, term = abs(v) / HALF_LOG2, LN2 * log_terms[k] - power
        near = term + math.log(constants[3, k] * mills(u))
        far = LN2 * (log_terms[k] - constants[2, k] + v * v) - power + log_cdf(u)
        logs[0, k] = term - LOG_SQRT_2PI
        logs[1, k] = near if v < 0.0 else far
        logs[2, k] = far if v < 0.0 else near
    return smaller_tail(logs, power + LOG_SQRT_2PI)


@kernel
def conclude(x, row, columns, parameters, log_terms, work, z, log_slope):
    """Fill z and log dz/dx of one column's rows from their density and masses.

    Parameters
    ----------
    x, row : ndarray of shape (n,)
        The column in these rows, and their places in columns (D, RUN).
    parameters : tuple of ndarray
        Constants (5, K S) and slopes (K, j) of column j.
    log_terms : ndarray of shape (K S, RUN)
        What `add_components` makes of log_r.
    work : ndarray of shape (8, RUN)
        Density, lower and upper mass; then what `advance` leaves in reach. The density becomes 1
        where z is from log space; that stands in work[4], else NaN.
    """
    pdf, lower, upper, reach, far = work[0], work[1], work[2], work[3], work[4]
    for i in range(x.size):
        far[i], log_slope[i] = np.nan, 0.0
        if min(min(lower[i], upper[i]) * reach[i], pdf[i]) <= DIRECT_MIN:
            before, log_term = columns[:, row[i]], log_terms[:, i]
            far[i], log_slope[i] = forward1(x[i], before, parameters, log_term)
            pdf[i], lower[i], upper[i] = 1.0, 0.5, 0.5
    quantiles(lower, upper, z)
    for i in range(z.size):
        log_slope[i] += 0.5 * z[i] * z[i] + log_positive(pdf[i])
    for i in range(z.size):
        z[i] = z[i] if math.isnan(far[i]) else far[i]

"""Gaussians of rows with holes: what is there says where the holes are, row by row.

A hole is NaN in columns (D, N). With Q the inverse of a covariance, m the columns of a row's holes,
L L' = Q_mm and y a row's deviation from the mean, 0 in its holes, the deviation expected in the
holes is -Q_mm^-1 Q_m y, their covariance Q_mm^-1, and the squared length of what is there
y'Q y - |L^-1 Q_m y|^2. So a row costs D^2 multiply-adds and the third power of the number of its
holes: with Gaussians of the cells that are there it would be the third power of their number.

Sums run within a row: its result does not depend on the rows beside it.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.jit import sum_kernel
from rbig_numba.kernels.normal import LOG_SQRT_2PI, exp_negative, log_positive


@sum_kernel
def scratch(n_columns):
    """Return what `place_row` fills: holes, a deviation, L^-1 and its product, all of one row."""
    return (
        np.empty(n_columns, np.int64),
        np.empty(n_columns),
        np.empty((n_columns, n_columns)),
        np.empty(2 * n_columns),
    )


@sum_kernel
def place_row(columns, row, before, shape, work, log_det):
    """Return how many holes a row has, the squared length of what is there, and log det L.

    Parameters
    ----------
    columns : ndarray of shape (D, N)
        NaN in holes.
    row, before : int
        The row, and the one that `work` and `log_det` are of, -1 if there is none: of the same
        holes L is taken over.
    shape : tuple
        Mean (D,), whitener and precision (D, D), and whatever else.
    work : tuple of ndarray
        See `scratch`.
    log_det : float
        Of the row before.
    """
    mean, whitener, precision = shape[0], shape[1], shape[2]
    holes, deviation, inverse, v = work
    n, same = 0, before >= 0
    for j in range(mean.size):
        x = columns[j, row]
        deviation[j] = 0.0 if math.isnan(x) else x - mean[j]
        if math.isnan(x):
            holes[n] = j
            n += 1
        if before >= 0:
            same &= math.isnan(x) == math.isnan(columns[j, before])
    if not same:
        log_det = invert(precision, holes[:n], inverse)
    square = squared_length(deviation, whitener, precision, holes[:n], inverse, v)
    return n, square, log_det


@sum_kernel
def invert(precision, holes, inverse):
    """Fill inverse (D, D) with L^-1 of the holes (m,), a lower triangle; return log det L."""
    n, log_det = holes.size, 0.0
    for i in range(n):
        for j in range(i):
            total = precision[holes[i], holes[j]]
            for k in range(j):
                total -= inverse[i, k] * inverse[j, k]
            inverse[i, j] = total * inverse[j, j]
        total = precision[holes[i], holes[i]]
        for k in range(i):
            total -= inverse[i, k] * inverse[i, k]
        log_det += 0.5 * log_positive(total)
        inverse[i, i] = 1.0 / math.sqrt(total)  # once: what follows multiplies by it
    for j in range(n):
        for i in range(j + 1, n):
            total = 0.0
            for k in range(j, i):
                total -= inverse[i, k] * inverse[k, j]
            inverse[i, j] = total * inverse[i, i]
    return log_det


@sum_kernel
def squared_length(deviation, whitener, precision, holes, inverse, v):
    """Return the squared length of what is there of a row; v (2 D,) begins with L^-1 Q_m y."""
    square = 0.0
    for j in range(deviation.size):
        total = 0.0
        for i in range(j + 1):
            total += whitener[j, i] * deviation[i]
        square += total * total
    for i in range(holes.size):
        total = 0.0
        for j in range(deviation.size):
            total += precision[holes[i], j] * deviation[j]
        v[deviation.size + i] = total
    for i in range(holes.size):
        total = 0.0
        for k in range(i + 1):
            total += inverse[i, k] * v[deviation.size + k]
        v[i] = total
        square -= total * total
    return max(square, 0.0)


@sum_kernel
def expect(deviation, holes, inverse, v):
    """Fill the holes of a deviation (D,) with what is expected there."""
    for i in range(holes.size):
        total = 0.0
        for k in range(i, holes.size):
            total -= inverse[k, i] * v[k]
        deviation[holes[i]] = total


@sum_kernel
def scale_constants(log_weights, whiteners, sizes):
    """Return constants (K, 3, S) of shapes and their scales, in nats.

    They are the log of the weight times the whitener's determinant, and what the density loses for
    each cell that is there, and for the squared length of the cells.
    """
    constants = np.empty((log_weights.shape[0], 3, log_weights.shape[1]))
    for k in range(log_weights.shape[0]):
        peak = 0.0
        for j in range(whiteners.shape[1]):
            peak += math.log(whiteners[k, j, j])
        for s in range(log_weights.shape[1]):
            size = sizes[k, s]
            constants[k, 0, s] = peak + log_weights[k, s]
            constants[k, 1, s] = LOG_SQRT_2PI + math.log(size)
            constants[k, 2, s] = 0.5 / (size * size)
    return constants


@sum_kernel
def fill_scales(square, n_there, log_det, constants, terms):
    """Fill terms (S,) with the log-densities of one row's n cells under a shape's scales, in nats.

    Returns that under all scales together; one scale takes no exponential function.
    """
    largest, total = -np.inf, 0.0
    for s in range(terms.size):
        loss = n_there * constants[1, s] + square * constants[2, s]
        terms[s] = (constants[0, s] - log_det) - loss
        largest = max(largest, terms[s])
    if terms.size == 1:
        return largest
    for s in range(terms.size):
        total += exp_negative(terms[s] - largest)
    return largest + log_positive(total)

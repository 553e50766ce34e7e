"""Mean and scale of columns as functions of other columns: what a coupling shifts and scales by.

Columns are (A, N), C order. Features of a row are 1, then H functions tanh of the row, which see
it no farther out than their reach, then the A columns.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.coefficients import MAX_LOG_SCALE, REACH
from rbig_numba.kernels.jit import kernel
from rbig_numba.kernels.linear import weighted_sum
from rbig_numba.kernels.normal import exp_negative

# Rows at a time: 200 features of a run take 400 KiB of a second-level cache.
RUN = 256


@kernel
def tanh(v):
    """Tanh v within an absolute error of 2^-52, branch-free."""
    e = exp_negative(-2.0 * abs(v))
    size = (1.0 - e) / (1.0 + e)
    return size if v >= 0.0 else -size


@kernel
def fill_features(columns, rows, projections, biases, features):
    """Fill the features (1 + H + A, n or more) of n rows, a slice of the columns."""
    n, first = rows.stop - rows.start, 1 + biases.size
    reach = math.sqrt(columns.shape[0]) + REACH
    nearer = features[0, :n]
    nearer[:] = 0.0
    for i in range(columns.shape[0]):
        x, copied = columns[i, rows], features[first + i, :n]
        for r in range(n):
            copied[r] = x[r]
            nearer[r] += x[r] * x[r]
    for r in range(n):
        nearer[r] = reach / math.sqrt(max(nearer[r], reach * reach))
    for h in range(biases.size):
        v, bias = features[1 + h, :n], biases[h]
        weighted_sum(columns, rows, projections[:, h], v)
        for r in range(n):
            v[r] = tanh(v[r] * nearer[r] + bias)
    nearer[:] = 1.0


@kernel
def predict(columns, projections, biases, location, log_scale, mean, sigma, log_sigma):
    """Fill mean and sigma (B, N) of what the columns predict, and add log sigma to log_sigma (N,).

    The mean weighs all features, the log-scale, before it is bounded, only the first of them.
    """
    features, bounded = np.empty((location.shape[0], RUN)), np.empty(RUN)
    for start in range(0, columns.shape[1], RUN):
        rows = slice(start, min(start + RUN, columns.shape[1]))
        n, total = rows.stop - rows.start, log_sigma[rows]
        fill_features(columns, rows, projections, biases, features)
        for b in range(location.shape[1]):
            scale, value = sigma[b, rows], bounded[:n]
            weighted_sum(features, slice(0, n), location[:, b], mean[b, rows])
            weighted_sum(features, slice(0, n), log_scale[:, b], value)
            for r in range(n):
                value[r] = MAX_LOG_SCALE * tanh(value[r] * (1.0 / MAX_LOG_SCALE))
                scale[r] = exp_negative(value[r])
                total[r] += value[r]

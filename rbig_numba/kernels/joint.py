"""Rosenblatt's map of a mixture of Gaussians with full covariances: towards N(0, I).

Columns are (D, N), C order; parameters are log_weights (K, S), means and log_scales (K, D), slopes
(K, D, D), log_sizes (K, S). Columns go one after another, a run of rows at a time; what a column
leaves to the next ones are the components' responsibilities for the columns so far. The scales of
a shape share its conditional means.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.conditional import add_components, conclude, conditionals, fill_shifts
from rbig_numba.kernels.jit import kernel
from rbig_numba.kernels.normal import LN2, exp_negative, log_positive

# Doubles that a run of rows may take of a second-level cache, and how long runs may be: below 128
# rows calls take a third of the time, and memory takes less.
CACHE, SHORTEST, LONGEST = 65536, 128, 512


@kernel
def run_length(n_arrays):
    """Return how many rows of so many columns and components fit the cache, a multiple of 8."""
    return min(max(CACHE // n_arrays // 8 * 8, SHORTEST), LONGEST)


@kernel
def indices(n):
    """Return 0, 1, ..., n - 1."""
    row = np.empty(n, np.int64)
    for i in range(n):
        row[i] = i
    return row


@kernel
def copy(source, target):
    """Copy numbers to the beginning of target: assigned, they compile 3 s of error messages."""
    for i in range(source.size):
        target[i] = source[i]


@kernel
def begin(log_weights, terms, work):
    """Fill terms and work, as `advance` takes them, for the first column."""
    for c in range(log_weights.size):
        log_r, r = terms[0, c], terms[1, c]
        for i in range(r.size):
            log_r[i] = log_weights[c] / LN2
            r[i] = math.exp(log_weights[c])
    for i in range(work.shape[1]):
        work[3, i], work[5, i], work[6, i] = 1.0, 1.0, 0.0


@kernel
def normalise1(log_r, r):
    """Fill responsibilities (K S,) of one row from log_r, the largest subtracted first."""
    largest, total = log_r[0], 0.0
    for k in range(r.size):
        largest = max(largest, log_r[k])
    for k in range(r.size):
        log_r[k] -= largest
        total += exp_negative(LN2 * log_r[k])
    for k in range(r.size):
        log_r[k] -= math.log2(total)
        r[k] = exp_negative(LN2 * log_r[k])


@kernel
def advance(columns, row, parameters, terms, shifts, work, z, log_det):
    """Fill z of one column's run of rows, add to log_det, and take the column into terms.

    Parameters
    ----------
    columns : ndarray of shape (D, RUN)
        Filled up to this column.
    row : ndarray of shape (n,)
        0, 1, ...
    parameters : tuple of ndarray
        Constants (5, K S) and slopes (K, j) of column j.
    terms : ndarray of shape (2, K S, RUN)
        Logarithms to base 2 of the responsibilities, and these, both times the density of the
        column before.
    shifts : ndarray of shape (K, RUN)
        Scratch.
    work : ndarray of shape (8, RUN)
        In its rows 3, 5 and 6 the density of the column before, or 1 if that is less; 1 over that
        density, and its logarithm to base 2. The others are scratch.
    z, log_det : ndarray of shape (n,)
        Filled, and added to.
    """
    constants, slopes = parameters
    pdf, reach, inverse, log_pdf, log_slope = work[0], work[3], work[5], work[6], work[7]
    x = columns[slopes.shape[1], : z.size]
    fill_shifts(columns, slopes, shifts, z.size)
    add_components(x, shifts, constants, terms[0], terms[1], work)
    conclude(x, row, columns, parameters, terms[0], work, z, log_slope)
    for i in range(z.size):
        log_det[i] += log_slope[i]
        reach[i] = min(pdf[i], 1.0)
        log_pdf[i] = log_positive(pdf[i]) * (1.0 / LN2)
        inverse[i] = 1.0 / pdf[i]
    for i in range(z.size):
        if not math.isnan(work[4, i]):
            normalise1(terms[0, :, i], terms[1, :, i])


@kernel
def forward(columns, parameters, z, log_det):
    """Fill z (D, N) and add log |det dz/dx| to log_det (N,)."""
    log_weights, means, log_scales, slopes, log_sizes = parameters
    n_components, n_columns = log_weights.size, means.shape[1]
    length = run_length(2 * n_components + len(means) + n_columns)
    terms, work = np.empty((2, n_components, length)), np.empty((8, length))
    shifts = np.empty((len(means), length))
    x, row = np.empty((n_columns, length)), indices(length)
    constants = conditionals(means, log_scales, slopes, log_sizes)
    for start in range(0, columns.shape[1], length):
        rows = slice(start, start + length)
        begin(log_weights.ravel(), terms, work)
        for j in range(n_columns):
            copy(columns[j, rows], x[j])
        for j in range(n_columns):
            given, out = (constants[j], slopes[:, j, :j]), z[j, rows]
            advance(x, row[: out.size], given, terms, shifts, work, out, log_det[rows])

"""Rosenblatt's map of a mixture of Gaussians with full covariances: back to the data.

Column after column, each a mixture in one dimension with weights and means of its own in every row.
Shapes are as in `joint`.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.conditional import add_components, conclude, conditionals, fill_shifts
from rbig_numba.kernels.jit import kernel
from rbig_numba.kernels.joint import advance, begin, copy, indices, run_length
from rbig_numba.kernels.mixture import MAX_STEPS, newton_run
from rbig_numba.kernels.normal import HALF_LOG2, INV_SQRT_2PI, bell_and_mills

# Components that hold less than this of the smaller tail, all of them together, move z by less than
# MARGIN; that tail is what `bell_and_mills` gives up to z = REACH.
NEGLIGIBLE, MARGIN, REACH = 1e-3, 1e-2, 36.0


@kernel
def start_run(z, constants, shifts, r, inverse, row, state):
    """Fill where to start towards each z, and a bracket; row and state as `newton_run` takes them.

    The search starts where a normal of the mixture's mean and variance has z. F averages
    Phi((x - m_k) / s_k), which is Phi(z) at x = m_k + s_k z: the root lies between the least and
    the greatest of these. Components of negligible weight would only widen the bracket. Weights are
    r (K S, RUN) times inverse (RUN,).
    """
    x, low, high, least, square = state[0], state[1], state[2], state[3], state[5]
    n_components, n_sizes = r.shape[0], r.shape[0] // shifts.shape[0]
    for i in range(z.size):
        bell, ratio = bell_and_mills(z[i] * HALF_LOG2)
        share = NEGLIGIBLE / n_components * INV_SQRT_2PI * bell * ratio
        least[i] = share if abs(z[i]) < REACH else 0.0
        x[i], square[i], low[i], high[i] = 0.0, 0.0, np.inf, -np.inf
    for c in range(n_components):
        k, intercept, scale = c // n_sizes, constants[0, c], constants[4, c]
        for i in range(z.size):
            mean, weight = shifts[k, i] + intercept, r[c, i] * inverse[i]
            edge = mean + scale * z[i]
            x[i] += weight * mean
            square[i] += weight * (mean * mean + scale * scale)
            counts = weight >= least[i]
            low[i] = min(low[i], edge - MARGIN * scale if counts else np.inf)
            high[i] = max(high[i], edge + MARGIN * scale if counts else -np.inf)
    for i in range(z.size):
        x[i] += z[i] * math.sqrt(max(square[i] - x[i] * x[i], 0.0))
        x[i] = min(max(x[i], low[i]), high[i])
        state[3, i], state[4, i], row[i] = high[i] - low[i], z[i], i
        # No row arrives on the word of one evaluation.
        state[5, i] = np.nan


@kernel
def evaluate_run(x, row, columns, parameters, near, work, z, log_slope):
    """Fill z and log dz/dx of one column's rows.

    Arguments are those of `conclude`, but near are the terms (2, K S, RUN) and shifts (K, RUN) of
    these rows.
    """
    terms, shifts = near
    add_components(x, shifts, parameters[0], terms[0], terms[1], work)
    conclude(x, row, columns, parameters, terms[0], work, z, log_slope)


@kernel
def gather(source, row, n, target):
    """Fill the first n numbers of each row of target with those of source, both (K, RUN).

    Places ascend: n of them up to n - 1 are all, as in two steps of four, and a copy takes a third.
    """
    in_place = row[n - 1] == n - 1
    for k in range(source.shape[0]):
        if in_place:
            for a in range(n):
                target[k, a] = source[k, a]
        else:
            for a in range(n):
                target[k, a] = source[k, row[a]]


@kernel
def solve(z, columns, parameters, all_rows, near, state, row):
    """Fill one column's run of rows in columns (D, RUN) from z.

    All rows have terms, shifts and work; near is scratch for those of the rows still on their way.
    State is (11, RUN), row (RUN,).
    """
    terms, shifts, work = all_rows
    near_terms, near_shifts, near_work = near
    slopes = parameters[1]
    x, reached, slope, log_slope = columns[slopes.shape[1]], state[8], state[9], state[10]
    fill_shifts(columns, slopes, shifts, z.size)
    start_run(z, parameters[0], shifts, terms[1], work[5], row, state)
    n_active, steps = z.size, 0
    while n_active > 0 and steps < MAX_STEPS:
        gather(terms[0], row, n_active, near_terms[0])
        gather(terms[1], row, n_active, near_terms[1])
        gather(shifts, row, n_active, near_shifts)
        gather(work, row, n_active, near_work)
        at, to = state[0, :n_active], reached[:n_active]
        chosen = near_terms, near_shifts
        evaluate_run(at, row, columns, parameters, chosen, near_work, to, slope)
        n_active = newton_run(n_active, row, state, reached, slope, x, log_slope)
        steps += 1


@kernel
def inverse(columns, parameters, x, log_det):
    """Fill x (D, N) from z = columns (D, N) and add log |det dx/dz| to log_det (N,)."""
    log_weights, means, log_scales, slopes, log_sizes = parameters
    n_components, n_columns = log_weights.size, means.shape[1]
    length = run_length(4 * n_components + 2 * len(means) + n_columns)
    shape, shapes = (2, n_components, length), (len(means), length)
    all_rows = (np.empty(shape), np.empty(shapes), np.empty((8, length)))
    near = (np.empty(shape), np.empty(shapes), np.empty((8, length)))
    terms, shifts, work = all_rows
    state, found = np.empty((13, length)), np.empty((n_columns, length))
    row, places = indices(length), indices(length)
    constants = conditionals(means, log_scales, slopes, log_sizes)
    again, log_slope = state[11], state[12]
    for start in range(0, columns.shape[1], length):
        rows = slice(start, start + length)
        total = log_det[rows]
        begin(log_weights.ravel(), terms, work)
        for i in range(length):
            log_slope[i] = 0.0
        for j in range(n_columns):
            given, z = (constants[j], slopes[:, j, :j]), columns[j, rows]
            solve(z, found, given, all_rows, near, state, row)
            # What `forward` does there, to the bit: its log-determinant, and the next column's r.
            advance(found, places, given, terms, shifts, work, again[: z.size], log_slope)
            copy(found[j, : z.size], x[j, rows])
        for i in range(total.size):
            total[i] -= log_slope[i]

"""Rosenblatt's map of a mixture of Gaussians with full covariances: back to the data.

Column after column, each a mixture in one dimension with weights and means of its own in every row.
Shapes are as in `joint`.
"""

from __future__ import annotations

import numpy as np

from rbig_numba.kernels.conditional import add_component, conclude, conditionals
from rbig_numba.kernels.jit import kernel
from rbig_numba.kernels.joint import advance, begin, copy, indices, run_length
from rbig_numba.kernels.linear import weighted_sum
from rbig_numba.kernels.mixture import MAX_STEPS, newton_run
from rbig_numba.kernels.normal import HALF_LOG2, INV_SQRT_2PI, bell_and_mills

# Components that hold less than this of the smaller tail, all of them together, move z by less than
# MARGIN; that tail is what `bell_and_mills` gives up to z = REACH.
NEGLIGIBLE, MARGIN, REACH = 1e-3, 1e-2, 36.0


@kernel
def start_run(z, constants, shifts, r, row, state):
    """Fill where to start towards each z, and a bracket; row and state as `newton_run` takes them.

    F averages Phi((x - m_k) / s_k), which is Phi(z) at x = m_k + s_k z: the root lies between the
    least and the greatest of these, and the search starts at their mean. Components of negligible
    weight would only widen the bracket.
    """
    x, low, high, least = state[0], state[1], state[2], state[3]
    n_components, n_sizes = r.shape[0], r.shape[0] // shifts.shape[0]
    for i in range(z.size):
        bell, ratio = bell_and_mills(z[i] * HALF_LOG2)
        share = NEGLIGIBLE / n_components * INV_SQRT_2PI * bell * ratio
        least[i] = share if abs(z[i]) < REACH else 0.0
        x[i], low[i], high[i] = 0.0, np.inf, -np.inf
    for c in range(n_components):
        intercept, scale = constants[0, c], constants[4, c]
        shift, weight = shifts[c // n_sizes], r[c]
        for i in range(z.size):
            edge = (shift[i] + intercept) + scale * z[i]
            x[i] += weight[i] * edge
            counts = weight[i] >= least[i]
            low[i] = min(low[i], edge - MARGIN * scale if counts else np.inf)
            high[i] = max(high[i], edge + MARGIN * scale if counts else -np.inf)
    for i in range(z.size):
        x[i] = min(max(x[i], low[i]), high[i])
        state[3, i], state[4, i], row[i] = high[i] - low[i], z[i], i
        # No row arrives on the word of one evaluation.
        state[5, i] = np.nan


@kernel
def evaluate_run(x, row, columns, parameters, terms, work, z, log_slope):
    """Fill z and log dz/dx of one column's rows.

    Arguments are those of `conclude`, but terms (4, K S, RUN) are those of `advance`, then shifts
    of the shapes' conditional means, and scratch.
    """
    pdf, lower, upper, shift, r = work[0], work[1], work[2], work[5], work[6]
    constants, n_sizes = parameters[0], terms.shape[1] // parameters[1].shape[0]
    for a in range(x.size):
        pdf[a], lower[a], upper[a] = 0.0, 0.0, 0.0
    for c in range(terms.shape[1]):
        all_log_r, all_r, log_term = terms[0, c], terms[1, c], terms[3, c]
        all_shifts = terms[2, c // n_sizes]
        for a in range(x.size):
            i = row[a]
            log_term[a], r[a], shift[a] = all_log_r[i], all_r[i], all_shifts[i]
        add_component(x, shift, constants[:, c], log_term, r, pdf, lower, upper)
    conclude(x, row, columns, parameters, terms[3], work, z, log_slope)


@kernel
def solve(z, columns, parameters, terms, work, state, row):
    """Fill one column's run of rows in columns (D, RUN) from z; state is (11, RUN), row (RUN,)."""
    constants, slopes = parameters
    x, reached, slope, log_slope = columns[slopes.shape[1]], state[8], state[9], state[10]
    for k in range(slopes.shape[0]):
        weighted_sum(columns, slice(0, z.size), slopes[k], terms[2, k, : z.size])
    start_run(z, constants, terms[2, : slopes.shape[0]], terms[1], row, state)
    n_active, steps = z.size, 0
    while n_active > 0 and steps < MAX_STEPS:
        at, to = state[0, :n_active], reached[:n_active]
        evaluate_run(at, row, columns, parameters, terms, work, to, slope)
        n_active = newton_run(n_active, row, state, reached, slope, x, log_slope)
        steps += 1


@kernel
def inverse(columns, parameters, x, log_det):
    """Fill x (D, N) from z = columns (D, N) and add log |det dx/dz| to log_det (N,)."""
    log_weights, means, log_scales, slopes, log_sizes = parameters
    n_components, n_columns = log_weights.size, means.shape[1]
    length = run_length(4 * n_components + n_columns)
    terms, work = np.empty((4, n_components, length)), np.empty((7, length))
    state, found = np.empty((13, length)), np.empty((n_columns, length))
    row, all_rows, constants = (
        indices(length),
        indices(length),
        conditionals(means, log_scales, slopes, log_sizes),
    )
    again, log_slope = state[11], state[12]
    for start in range(0, columns.shape[1], length):
        rows = slice(start, start + length)
        total = log_det[rows]
        begin(log_weights.ravel(), terms, work)
        for i in range(length):
            log_slope[i] = 0.0
        for j in range(n_columns):
            given, z = (constants[j], slopes[:, j, :j]), columns[j, rows]
            solve(z, found, given, terms, work, state, row)
            # What `forward` does there, to the bit: its log-determinant, and the next column's r.
            advance(found, all_rows, given, terms, work, again[: z.size], log_slope)
            copy(found[j, : z.size], x[j, rows])
        for i in range(total.size):
            total[i] -= log_slope[i]

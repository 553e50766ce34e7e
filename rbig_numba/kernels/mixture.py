"""Gaussianization of columns by mixtures of Gaussians: z = Phi^-1(F(x)), and back.

Columns are (D, N), C order; parameters log_weights, means, log_scales are (D, K).
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.direct import (
    DIRECT_MIN,
    LOG_PDF_UNIT,
    RUN,
    count_far,
    direct_components,
    multiply_slopes,
    quantiles,
    runs,
    sums,
)
from rbig_numba.kernels.jit import kernel
from rbig_numba.kernels.normal import (
    LOG_SQRT_2PI,
    exp_negative,
    log_cdf,
    log_positive,
    mills,
    quantile_of_log,
)

# Bisection alone needs 53 steps from bracket to last bit; with Newton nearly all rows need 2.
MAX_STEPS = 120
EPSILON = 2.0**-52
# The table of an inverse: nodes in all, shared by the components, each within so many scales.
N_NODES = 128
REACH = 7.0
# Standard deviations from all components, beyond which one of them is the mixture to rounding: the
# others, and its weight, move z by log(weight) / z.
ALONE = 1e8
# Powers are no lower: beyond 1e150 standard deviations, where squares overflow.
LOWEST, LOG_HALF = -1e300, math.log(0.5)
# exp of this is a number still, and takes Newton's step out of any bracket.
MAX_LOG = 700.0
# Above this an error of z, or what it changes in log dz/dx, needs another evaluation, whatever the
# slopes of the last two say of the next.
CLOSE = 1e-6


@kernel
def log_sum_exp(terms):
    """Log sum exp(terms), from the largest term."""
    largest, total = -np.inf, 0.0
    for k in range(terms.size):
        largest = max(largest, terms[k])
    for k in range(terms.size):
        total += math.exp(terms[k] - largest) if largest > -np.inf else 1.0
    return largest + math.log(total)


@kernel
def forward1(x, log_weights, means, log_scales):
    """Return z and log dz/dx of one number, for tails where direct sums underflow.

    log phi(z) is log T - log M(|z|), T the smaller tail and M Mills' ratio: terms of f and T are
    over their largest power, so that of 1e12, at 1e6 standard deviations, nothing is rounded off.
    """
    logs, power = np.empty((3, means.size)), LOWEST
    low, high, lowest, highest = np.inf, -np.inf, 0, 0
    for k in range(means.size):
        u = (x - means[k]) * math.exp(-log_scales[k])
        logs[0, k] = log_weights[k] - 0.5 * u * u
        power = max(power, logs[0, k])
        low, lowest = (u, k) if u < low else (low, lowest)
        high, highest = (u, k) if u > high else (high, highest)
    if low > ALONE or high < -ALONE:
        return (low, -log_scales[lowest]) if low > 0.0 else (high, -log_scales[highest])
    for k in range(means.size):
        u = (x - means[k]) * math.exp(-log_scales[k])
        term = logs[0, k] - power
        near = term + math.log(mills(abs(u)))
        far = log_weights[k] + log_cdf(abs(u)) + LOG_SQRT_2PI - power
        logs[0, k] = term - log_scales[k]
        logs[1, k] = near if u < 0.0 else far
        logs[2, k] = far if u < 0.0 else near
    return smaller_tail(logs, power)


@kernel
def smaller_tail(logs, power):
    """Return z and log dz/dx from logs of terms (3, K), each sqrt(2 pi) / exp(power) times.

    They are those of the density, of the lower and of the upper mass.
    """
    log_lower, log_upper = log_sum_exp(logs[1]), log_sum_exp(logs[2])
    log_tail = min(log_lower, log_upper)
    z = quantile_of_log(min(log_tail + power - LOG_SQRT_2PI, LOG_HALF))
    log_slope = log_sum_exp(logs[0]) - log_tail + math.log(mills(-z))
    return (z if log_lower < log_upper else -z), log_slope


@kernel
def forward_run(x, parameters, components, work, z, product, log_slope):
    """Fill z of one column's run of rows, and take dz/dx into their slopes.

    Slopes are as in `multiply_slopes`; work is (4, RUN).
    """
    pdf, lower, upper, far = work[0], work[1], work[2], work[3]
    sums(x, components, pdf, lower, upper)
    n_far = count_far(pdf[: x.size], lower, upper)
    if n_far > 0:
        log_weights, means, log_scales = parameters
        for i in range(x.size):
            far[i] = np.nan
            if min(lower[i], upper[i], pdf[i]) <= DIRECT_MIN:
                far[i], slope = forward1(x[i], log_weights, means, log_scales)
                log_slope[i] += slope - LOG_PDF_UNIT
                pdf[i], lower[i], upper[i] = 1.0, 0.5, 0.5
    quantiles(lower, upper, z)
    multiply_slopes(pdf, z, product, log_slope)
    if n_far > 0:
        for i in range(x.size):
            z[i] = z[i] if math.isnan(far[i]) else far[i]


@kernel
def forward(columns, log_weights, means, log_scales, z, log_det):
    """Fill z (D, N) and add log |dz/dx| to log_det (N,)."""
    work, components = runs(5), direct_components(log_weights, means, log_scales)
    for start in range(0, columns.shape[1], RUN):
        rows = slice(start, start + RUN)
        product, log_slope = work[4], log_det[rows]
        product[:] = 1.0
        for j in range(columns.shape[0]):
            parameters = log_weights[j], means[j], log_scales[j]
            x, out = columns[j, rows], z[j, rows]
            forward_run(x, parameters, components[j], work, out, product, log_slope)
        for i in range(log_slope.size):
            log_slope[i] += log_positive(product[i])


@kernel
def evaluate_run(x, parameters, components, work, z, log_slope):
    """Fill z and log dz/dx of one column's run of rows; work is (5, RUN)."""
    product = work[4]
    product[: x.size] = 1.0
    log_slope[: x.size] = 0.0
    forward_run(x, parameters, components, work, z[: x.size], product, log_slope)
    for i in range(x.size):
        log_slope[i] += log_positive(product[i])


@kernel
def nodes(components):
    """Return a table of x, z, dx/dz and log dz/dx (4, T), x filled with where the nodes are.

    They are equidistant quantiles of each component, in ascending order.
    """
    n_components = components.shape[1]
    n_each = max(N_NODES // n_components, 4)
    spacing = 2.0 * REACH / (n_each - 1)
    table = np.empty((4, n_components * n_each))
    x, taken = table[0], np.zeros(n_components, np.int64)
    for t in range(x.size):
        first, x[t] = 0, np.inf
        for k in range(n_components):
            quantile = components[1, k] + (spacing * taken[k] - REACH) * components[3, k]
            if taken[k] < n_each and quantile < x[t]:
                first, x[t] = k, quantile
        taken[first] += 1
    return table


@kernel
def search(z, nodes_z, node):
    """Fill the last node not above each z, 0 if all are: bisection, a level at a time.

    Row by row LLVM makes branches of it, which z, being random, mispredicts: 44 instead of 25 ns.
    """
    node[: z.size] = 0
    n = nodes_z.size
    while n > 1:
        half = n // 2
        for i in range(z.size):
            node[i] += half if nodes_z[node[i] + half] <= z[i] else 0
        n -= half


@kernel
def bracket1(z, components):
    """Return exact bounds: F averages Phi((x - m_k) / s_k), which is Phi(z) at x = m_k + s_k z."""
    low, high = np.inf, -np.inf
    for k in range(components.shape[1]):
        edge = components[1, k] + components[3, k] * z
        low, high = min(low, edge), max(high, edge)
    return low, high


@kernel
def start_run(z, table, components, row, state):
    """Fill where to start towards each z, and a bracket; row and state as `newton_run` takes them.

    Between nodes by the cubic of Hermite, its slopes limited to three secants, which keeps it
    monotone (Fritsch and Carlson 1980); beyond them along the tangent.
    """
    xs, zs, inverse_slopes = table[0], table[1], table[2]
    x, low, high = state[0], state[1], state[2]
    last = zs.size - 1
    search(z, zs, row)
    for i in range(z.size):
        k = min(row[i], last - 1)
        low[i], high[i] = xs[k], xs[k + 1]
        height, width = zs[k + 1] - zs[k], xs[k + 1] - xs[k]
        left = min(inverse_slopes[k] * height, 3.0 * width)
        right = min(inverse_slopes[k + 1] * height, 3.0 * width)
        t = (z[i] - zs[k]) / height
        cubic = left + right - 2.0 * width
        x[i] = xs[k] + t * (left + t * (width - left - cubic + t * cubic))
    for i in range(z.size):
        if not zs[0] <= z[i] < zs[last]:
            low[i], high[i] = bracket1(z[i], components)
            x[i] = xs[row[i]] + (z[i] - zs[row[i]]) * inverse_slopes[row[i]]
        x[i] = min(max(x[i], low[i]), high[i])
        state[3, i], state[4, i], row[i] = high[i] - low[i], z[i], i
        # No row arrives on the word of one evaluation: slopes of nodes, far off, misled by 200 ulp.
        state[5, i] = np.nan


@kernel
def newton_run(n_active, row, state, reached, slope, x, log_slope):
    """Take one step of Newton's method on z(x) - z, which is nearly linear; return rows still away.

    A step of bisection if Newton leaves the bracket or fails to halve the last step. A row has
    arrived where z(x) equals z to the rounding of z(x) itself, where x moves by no more than
    4 ulp, or where the next error, from the change of slope since the last evaluation, is below
    rounding: most rows after two.

    Parameters
    ----------
    n_active : int
        Rows on their way, at the beginning of row and state; the call moves up those that stay.
    row : ndarray of shape (RUN,)
        Their places in x and log_slope.
    state : ndarray of shape (8, RUN)
        x, its bracket, its last step, the z wanted, z(x) and log dz/dx at the last evaluation;
        the last is scratch.
    reached, slope : ndarray of shape (RUN,)
        z(x) and log dz/dx.
    x, log_slope : ndarray of shape (N,)
        Receive x after the step, and log dz/dx there.
    """
    at, low, high, step, goal = state[0], state[1], state[2], state[3], state[4]
    last_z, last_slope, newton = state[5], state[6], state[7]
    for a in range(n_active):
        newton[a] = (goal[a] - reached[a]) * exp_negative(min(-slope[a], MAX_LOG))
    n_moving = 0
    for a in range(n_active):
        # Loaded first, so that nothing below need be a branch: z is random, and each wrong
        # guess of the processor costs as much as a component.
        x0, below, above = at[a], low[a], high[a]
        error = reached[a] - goal[a]
        below = x0 if error < 0.0 else below
        above = above if error < 0.0 else x0
        target = x0 + newton[a]
        inside = (below <= target) & (target <= above)
        inside &= abs(newton[a]) <= 0.5 * abs(step[a])
        target = target if inside else 0.5 * (below + above)
        bend = (slope[a] - last_slope[a]) / (reached[a] - last_z[a])
        rounding = EPSILON * max(1.0, abs(goal[a]))
        settled = abs(error) <= 16.0 * rounding
        arrived = inside & (abs(error) < CLOSE) & (abs(bend * error) < CLOSE)
        arrived &= 0.5 * abs(bend) * error * error <= rounding
        moved = target - x0
        x[row[a]] = x0 if settled else target
        log_slope[row[a]] = slope[a] - bend * error if arrived else slope[a]
        if (abs(moved) > 4.0 * EPSILON * abs(x0)) & (not (settled | arrived)):
            at[n_moving], goal[n_moving], row[n_moving] = target, goal[a], row[a]
            low[n_moving], high[n_moving], step[n_moving] = below, above, moved
            last_z[n_moving], last_slope[n_moving] = reached[a], slope[a]
            n_moving += 1
    return n_moving


@kernel
def inverse(columns, log_weights, means, log_scales, x, log_det):
    """Fill x (D, N) from z = columns (D, N) and add log |dx/dz| to log_det (N,).

    Only rows still on their way are evaluated again.
    """
    # One function around both calls: each caller of `evaluate_run` takes 0.7 s to compile.
    state, work, row = runs(8), runs(8), np.empty(RUN, np.int64)
    all_components = direct_components(log_weights, means, log_scales)
    reached, slope, log_slope = work[5], work[6], work[7]
    for j in range(columns.shape[0]):
        parameters = log_weights[j], means[j], log_scales[j]
        components = all_components[j]
        table = nodes(components)
        for start in range(0, table.shape[1], RUN):
            # Row by row: of a block, Numba wouldn't know that its rows are contiguous.
            at, z = table[0, start : start + RUN], table[1, start : start + RUN]
            evaluate_run(at, parameters, components, work, z, table[3, start : start + RUN])
        for t in range(table.shape[1]):
            table[2, t] = exp_negative(min(-table[3, t], MAX_LOG))
        for start in range(0, columns.shape[1], RUN):
            z, out = columns[j, start : start + RUN], x[j, start : start + RUN]
            start_run(z, table, components, row, state)
            n_active, steps = z.size, 0
            while n_active > 0 and steps < MAX_STEPS:
                evaluate_run(state[0, :n_active], parameters, components, work, reached, slope)
                n_active = newton_run(n_active, row, state, reached, slope, out, log_slope)
                steps += 1
            for i in range(z.size):
                log_det[start + i] -= log_slope[i]

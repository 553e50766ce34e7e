"""Gaussianization of columns by mixtures of Gaussians: z = Phi^-1(F(x)), and back.

Columns are (D, N), C order; parameters log_weights, means, log_scales are (D, K).
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.jit import kernel
from rbig_numba.kernels.normal import (
    HALF_LOG2,
    INV_SQRT_2PI,
    LOG_SQRT_2PI,
    bell_and_tail,
    exp_negative,
    log_cdf,
    log_pdf,
    log_positive,
    quantile_direct,
    quantile_of_log,
)

# Below this a direct sum may have lost components to the floor of `bell_and_tail`, 1e-289.
DIRECT_MIN = 1e-260
# Rows at a time: six runs of doubles stay in a 32 KiB first-level cache.
RUN = 512
# Bisection alone needs 53 steps from bracket to last bit; with Newton nearly all rows need 2.
MAX_STEPS = 120
EPSILON = 2.0**-52
# The table of an inverse: nodes in all, shared by the components, each within so many scales.
N_NODES = 128
REACH = 7.0
# exp of this is a number still, and takes Newton's step out of any bracket.
MAX_LOG = 700.0
# Above this an error of z, or what it changes in log dz/dx, needs another evaluation, whatever the
# slopes of the last two say of the next.
CLOSE = 1e-6


@kernel
def sums(x, components, pdf, lower, upper):
    """Fill density f, lower mass F and upper mass 1 - F of one column's run of rows."""
    n = x.size
    pdf[:n] = 0.0
    lower[:n] = 0.0
    upper[:n] = 0.0
    for k in range(components.shape[1]):
        weight, mean, precision = components[0, k], components[1, k], components[2, k]
        height = weight * precision * (INV_SQRT_2PI / HALF_LOG2)
        area = weight * INV_SQRT_2PI
        for i in range(n):
            v = (x[i] - mean) * precision
            bell, tail = bell_and_tail(v)
            near = area * tail
            far = weight - near
            pdf[i] += height * bell
            lower[i] += near if v < 0.0 else far
            upper[i] += far if v < 0.0 else near


@kernel
def quantiles(pdf, lower, upper, z, log_slope):
    """Fill z and log dz/dx from direct sums; return how many rows are beyond their reach."""
    n_far = 0
    for i in range(z.size):
        smaller = min(lower[i], upper[i])
        n_far += 1 if min(smaller, pdf[i]) <= DIRECT_MIN else 0
        value = quantile_direct(log_positive(max(smaller, DIRECT_MIN)))
        log_density = log_positive(max(pdf[i], DIRECT_MIN))
        log_slope[i] = log_density + (LOG_SQRT_2PI + 0.5 * value * value)
        z[i] = value if lower[i] < upper[i] else -value
    return n_far


@kernel
def log_sums1(x, log_weights, means, log_scales):
    """Return log f, log F and log (1 - F) of one number; for tails where direct sums underflow."""
    terms = np.empty((3, means.size))
    largest, total = np.empty(3), np.zeros(3)
    largest[:] = -np.inf
    for k in range(means.size):
        u = (x - means[k]) * math.exp(-log_scales[k])
        terms[0, k] = log_weights[k] + log_pdf(u) - log_scales[k]
        terms[1, k] = log_weights[k] + log_cdf(u)
        terms[2, k] = log_weights[k] + log_cdf(-u)
        for side in range(3):
            largest[side] = max(largest[side], terms[side, k])
    for side in range(3):
        for k in range(means.size):
            total[side] += math.exp(terms[side, k] - largest[side])
        largest[side] += math.log(total[side])
    return largest[0], largest[1], largest[2]


@kernel
def forward1(x, log_weights, means, log_scales):
    """Return z and log dz/dx of one number."""
    log_density, log_lower, log_upper = log_sums1(x, log_weights, means, log_scales)
    z = quantile_of_log(min(log_lower, log_upper))
    return (z if log_lower < log_upper else -z), log_density + 0.5 * z * z + LOG_SQRT_2PI


@kernel
def direct_components(log_weights, means, log_scales):
    """Return weight, mean, HALF_LOG2 / scale and scale of each component, (4, K)."""
    components = np.empty((4, means.size))
    for k in range(means.size):
        components[0, k] = math.exp(log_weights[k])
        components[1, k] = means[k]
        components[2, k] = HALF_LOG2 * math.exp(-log_scales[k])
        components[3, k] = math.exp(log_scales[k])
    return components


@kernel
def forward_run(x, parameters, components, work, z, log_slope):
    """Fill z and log dz/dx of one column's run of rows; work is (3, RUN)."""
    pdf, lower, upper = work[0], work[1], work[2]
    sums(x, components, pdf, lower, upper)
    if quantiles(pdf, lower, upper, z, log_slope) > 0:
        log_weights, means, log_scales = parameters
        for i in range(x.size):
            if min(lower[i], upper[i], pdf[i]) <= DIRECT_MIN:
                z[i], log_slope[i] = forward1(x[i], log_weights, means, log_scales)


@kernel
def forward(columns, log_weights, means, log_scales, z, log_det):
    """Fill z (D, N) and add log |dz/dx| to log_det (N,)."""
    work, log_slope = np.empty((3, RUN)), np.empty(RUN)
    for j in range(columns.shape[0]):
        parameters = log_weights[j], means[j], log_scales[j]
        components = direct_components(log_weights[j], means[j], log_scales[j])
        for start in range(0, columns.shape[1], RUN):
            x, out = columns[j, start : start + RUN], z[j, start : start + RUN]
            forward_run(x, parameters, components, work, out, log_slope)
            for i in range(x.size):
                log_det[start + i] += log_slope[i]


@kernel
def nodes(components, n_each, x):
    """Fill x (K n_each,) with equidistant quantiles of each component, in ascending order."""
    spacing = 2.0 * REACH / (n_each - 1)
    taken = np.zeros(components.shape[1], np.int64)
    for t in range(x.size):
        first, x[t] = 0, np.inf
        for k in range(components.shape[1]):
            quantile = components[1, k] + (spacing * taken[k] - REACH) * components[3, k]
            if taken[k] < n_each and quantile < x[t]:
                first, x[t] = k, quantile
        taken[first] += 1


@kernel
def tabulate(parameters, components, work):
    """Return x, z, dx/dz and log dz/dx (4, T) at the nodes of one column."""
    n_components = components.shape[1]
    n_each = max(N_NODES // n_components, 4)
    table = np.empty((4, n_components * n_each))
    nodes(components, n_each, table[0])
    for start in range(0, table.shape[1], RUN):
        # Row by row: of a block, Numba wouldn't know that its rows are contiguous.
        x, z = table[0, start : start + RUN], table[1, start : start + RUN]
        forward_run(x, parameters, components, work, z, table[3, start : start + RUN])
    for t in range(table.shape[1]):
        table[2, t] = exp_negative(min(-table[3, t], MAX_LOG))
    return table


@kernel
def start1(z, table, components):
    """Return where to start towards z, and a bracket.

    Between nodes by the cubic of Hermite, its slopes limited to three secants, which keeps it
    monotone (Fritsch and Carlson 1980); beyond them along the tangent, in the exact bracket: F
    averages Phi((x - m_k) / s_k), which are Phi(z) at m_k + s_k z.
    """
    xs, zs, inverse_slopes = table[0], table[1], table[2]
    n, node = zs.size, 0
    while n > 1:
        half = n // 2
        node += half if zs[node + half] <= z else 0
        n -= half
    if zs[node] <= z and node + 1 < zs.size:
        low, high = xs[node], xs[node + 1]
        height, width = zs[node + 1] - zs[node], high - low
        left = min(inverse_slopes[node] * height, 3.0 * width)
        right = min(inverse_slopes[node + 1] * height, 3.0 * width)
        t = (z - zs[node]) / height
        x = low + t * (
            left + t * (3.0 * width - 2.0 * left - right + t * (left + right - 2.0 * width))
        )
    else:
        low, high = np.inf, -np.inf
        for k in range(components.shape[1]):
            edge = components[1, k] + components[3, k] * z
            low, high = min(low, edge), max(high, edge)
        x = xs[node] + (z - zs[node]) * inverse_slopes[node]
    return min(max(x, low), high), low, high


@kernel
def inverse_run(z, parameters, components, table, work, x, log_slope):
    """Fill x with F(x) = Phi(z) and log dz/dx there; work is (13, RUN).

    Newton's method on z(x) - z, which is nearly linear, with a step of bisection whenever Newton
    leaves the bracket or fails to halve the last step. A row has arrived where z(x) equals z to
    the rounding of z(x) itself, where x moves by no more than 4 ulp, or where the next error,
    from the change of slope since the last evaluation, is below rounding: most rows after two.
    Only rows still on their way are evaluated again.
    """
    at, reached, slope, newton = work[3], work[4], work[5], work[6]
    goal, low, high, step = work[7], work[8], work[9], work[10]
    last_z, last_slope = work[11], work[12]
    row = np.empty(z.size, np.int64)
    for i in range(z.size):
        at[i], low[i], high[i] = start1(z[i], table, components)
        goal[i], step[i], row[i] = z[i], high[i] - low[i], i
    # No row arrives on the word of one evaluation: slopes of nodes, far off, misled by 200 ulp.
    last_z[: z.size] = np.nan
    n_active = z.size
    for _ in range(MAX_STEPS):
        forward_run(at[:n_active], parameters, components, work, reached, slope)
        for a in range(n_active):
            newton[a] = (goal[a] - reached[a]) * exp_negative(min(-slope[a], MAX_LOG))
        n_moving = 0
        for a in range(n_active):
            error = reached[a] - goal[a]
            below, above = (at[a], high[a]) if error < 0.0 else (low[a], at[a])
            target = at[a] + newton[a]
            bisected = not below <= target <= above or abs(newton[a]) > 0.5 * abs(step[a])
            if bisected:
                target = 0.5 * (below + above)
            bend = (slope[a] - last_slope[a]) / (reached[a] - last_z[a])
            rounding = EPSILON * max(1.0, abs(goal[a]))
            settled = abs(error) <= 16.0 * rounding
            close = not bisected and max(abs(error), abs(bend * error)) < CLOSE
            arrived = close and 0.5 * abs(bend) * error * error <= rounding
            moved = target - at[a]
            if settled or arrived or not abs(moved) > 4.0 * EPSILON * abs(at[a]):
                x[row[a]] = at[a] if settled else target
                log_slope[row[a]] = slope[a] - bend * error if arrived else slope[a]
            else:
                at[n_moving], goal[n_moving], row[n_moving] = target, goal[a], row[a]
                low[n_moving], high[n_moving], step[n_moving] = below, above, moved
                last_z[n_moving], last_slope[n_moving] = reached[a], slope[a]
                n_moving += 1
        n_active = n_moving
        if n_active == 0:
            break
    for a in range(n_active):
        x[row[a]], log_slope[row[a]] = at[a], last_slope[a]


@kernel
def inverse(columns, log_weights, means, log_scales, x, log_det):
    """Fill x (D, N) from z = columns (D, N) and add log |dx/dz| to log_det (N,)."""
    work, log_slope = np.empty((13, RUN)), np.empty(RUN)
    for j in range(columns.shape[0]):
        parameters = log_weights[j], means[j], log_scales[j]
        components = direct_components(log_weights[j], means[j], log_scales[j])
        table = tabulate(parameters, components, work)
        for start in range(0, columns.shape[1], RUN):
            z, out = columns[j, start : start + RUN], x[j, start : start + RUN]
            inverse_run(z, parameters, components, table, work, out, log_slope)
            for i in range(z.size):
                log_det[start + i] -= log_slope[i]

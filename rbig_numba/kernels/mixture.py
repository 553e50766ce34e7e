"""Gaussianization of columns by mixtures of Gaussians: z = Phi^-1(F(x)), and back.

Columns are (D, N), C order; parameters log_weights, means, log_scales are (D, K).
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.jit import kernel
from rbig_numba.kernels.normal import (
    INV_SQRT_2PI,
    LOG_SQRT_2PI,
    exp_negative,
    log_cdf,
    log_pdf,
    log_positive,
    mills,
    quantile_direct,
    quantile_of_log,
    quantile_variable,
)

# Below this a direct sum may have lost components to exp's cut at exp(-708) = 3e-308.
DIRECT_MIN = 1e-280
# Rows at a time: six runs of doubles stay in a 32 KiB first-level cache.
RUN = 512
# Bisection alone needs 53 steps from bracket to last bit; with Newton 97 % of rows need 8.
MAX_STEPS = 120
EPSILON = 2.0**-52


@kernel
def sums1(x, log_weights, means, log_scales, pdf, lower, upper):
    """Fill density f, lower mass F and upper mass 1 - F of one column's run of rows."""
    n = x.size
    pdf[:n] = 0.0
    lower[:n] = 0.0
    upper[:n] = 0.0
    for k in range(means.size):
        weight = math.exp(log_weights[k])
        mean = means[k]
        precision = math.exp(-log_scales[k])
        for i in range(n):
            u = (x[i] - mean) * precision
            distance = abs(u)
            density = exp_negative(-0.5 * distance * distance) * INV_SQRT_2PI
            tail = density * mills(distance)
            pdf[i] += weight * precision * density
            lower[i] += weight * (tail if u < 0.0 else 1.0 - tail)
            upper[i] += weight * (1.0 - tail if u < 0.0 else tail)


@kernel
def log_sums1(x, log_weights, means, log_scales):
    """Return log f, log F and log (1 - F) of one number; for tails where direct sums underflow."""
    n_components = means.size
    terms = np.empty((3, n_components))
    for k in range(n_components):
        u = (x - means[k]) * math.exp(-log_scales[k])
        terms[0, k] = log_weights[k] + log_pdf(u) - log_scales[k]
        terms[1, k] = log_weights[k] + log_cdf(u)
        terms[2, k] = log_weights[k] + log_cdf(-u)
    return log_sum_exp(terms[0]), log_sum_exp(terms[1]), log_sum_exp(terms[2])


@kernel
def log_sum_exp(terms):
    """Log sum exp(terms), from the largest term."""
    largest = terms.max()
    total = 0.0
    for term in terms:
        total += math.exp(term - largest)
    return largest + math.log(total)


@kernel
def forward1(x, log_weights, means, log_scales):
    """Return z and log dz/dx of one number."""
    log_density, log_lower, log_upper = log_sums1(x, log_weights, means, log_scales)
    z = quantile_of_log(min(log_lower, log_upper))
    return (z if log_lower < log_upper else -z), log_density + 0.5 * z * z + LOG_SQRT_2PI


@kernel
def forward_run(x, log_weights, means, log_scales, work, z, log_slope):
    """Fill z and log dz/dx of one column's run of rows; work is (3, RUN)."""
    pdf, lower, upper = work[0], work[1], work[2]
    sums1(x, log_weights, means, log_scales, pdf, lower, upper)
    smallest = 1.0
    # Two loops: in one, LLVM gives up on vectorising logarithm and quantile together.
    for i in range(x.size):
        smaller = min(lower[i], upper[i])
        smallest = min(smallest, smaller, pdf[i])
        z[i] = quantile_variable(log_positive(max(smaller, DIRECT_MIN)))
        log_slope[i] = log_positive(max(pdf[i], DIRECT_MIN)) + LOG_SQRT_2PI
    for i in range(x.size):
        value = quantile_direct(z[i])
        log_slope[i] += 0.5 * value * value
        z[i] = value if lower[i] < upper[i] else -value
    if smallest <= DIRECT_MIN:
        for i in range(x.size):
            if min(lower[i], upper[i], pdf[i]) <= DIRECT_MIN:
                z[i], log_slope[i] = forward1(x[i], log_weights, means, log_scales)


@kernel
def forward(columns, log_weights, means, log_scales, z, log_det):
    """Fill z (D, N) and add log |dz/dx| to log_det (N,)."""
    work, log_slope = np.empty((3, RUN)), np.empty(RUN)
    for j in range(columns.shape[0]):
        for start in range(0, columns.shape[1], RUN):
            x, out = columns[j, start : start + RUN], z[j, start : start + RUN]
            forward_run(x, log_weights[j], means[j], log_scales[j], work, out, log_slope)
            for i in range(x.size):
                log_det[start + i] += log_slope[i]


@kernel
def bracket(z, means, scales, low, high):
    """Fill exact bounds of x: F averages Phi((x - m_k) / s_k), which are Phi(z) at m_k + s_k z."""
    for i in range(z.size):
        low[i], high[i] = np.inf, -np.inf
    for k in range(means.size):
        for i in range(z.size):
            edge = means[k] + scales[k] * z[i]
            low[i] = min(low[i], edge)
            high[i] = max(high[i], edge)


@kernel
def inverse_run(z, log_weights, means, log_scales, work, x, log_slope):
    """Fill x with F(x) = Phi(z) and log dz/dx there; work is (6, RUN).

    Newton's method on z(x) - z, which is nearly linear, with a step of bisection whenever Newton
    leaves the bracket or fails to halve the last step. A row has arrived where z(x) equals z to
    the rounding of z(x) itself, or where x moves by no more than 4 ulp. Only rows still on their
    way are evaluated again: a few in deep valleys of f take 50 steps.
    """
    low, high, step = np.empty(z.size), np.empty(z.size), np.empty(z.size)
    at, reached, slope = work[3], work[4], work[5]
    bracket(z, means, np.exp(log_scales), low, high)
    active = np.arange(z.size)
    for i in range(z.size):
        x[i] = 0.5 * (low[i] + high[i])
        step[i] = high[i] - low[i]
    n_active = z.size
    for _ in range(MAX_STEPS):
        for a in range(n_active):
            at[a] = x[active[a]]
        forward_run(at[:n_active], log_weights, means, log_scales, work, reached, slope)
        n_moving = 0
        for a in range(n_active):
            i = active[a]
            log_slope[i] = slope[a]
            error = reached[a] - z[i]
            if error < 0.0:
                low[i] = x[i]
            else:
                high[i] = x[i]
            newton = -error * math.exp(-slope[a])
            target = x[i] + newton
            if not low[i] <= target <= high[i] or abs(newton) > 0.5 * abs(step[i]):
                target = 0.5 * (low[i] + high[i])
            step[i] = target - x[i]
            if abs(error) > 16.0 * EPSILON * max(1.0, abs(z[i])):
                moved = abs(step[i]) > 4.0 * EPSILON * abs(x[i])
                x[i] = target
                if moved:
                    active[n_moving] = i
                    n_moving += 1
        n_active = n_moving
        if n_active == 0:
            break


@kernel
def inverse(columns, log_weights, means, log_scales, x, log_det):
    """Fill x (D, N) from z = columns (D, N) and add log |dx/dz| to log_det (N,)."""
    work, log_slope = np.empty((6, RUN)), np.empty(RUN)
    for j in range(columns.shape[0]):
        for start in range(0, columns.shape[1], RUN):
            z, out = columns[j, start : start + RUN], x[j, start : start + RUN]
            inverse_run(z, log_weights[j], means[j], log_scales[j], work, out, log_slope)
            for i in range(z.size):
                log_det[start + i] -= log_slope[i]

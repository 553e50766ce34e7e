"""Density and both tail masses of one column's mixture by direct sums: the loops all time goes to.

A run of rows at a time, one component after the other, so that LLVM vectorises over rows.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.jit import float_bits, kernel
from rbig_numba.kernels.normal import (
    HALF_LOG2,
    INV_SQRT_2PI,
    LN2,
    LOG_SQRT_2PI,
    aligned_stack,
    bell_and_mills,
    log_positive,
    quantile_direct,
    quantile_variable,
    split,
)

# Below this a direct sum may have lost components to the floor of `bell_and_mills`, 1e-289.
DIRECT_MIN = 1e-260
# The direct sums give the density in units of HALF_LOG2, times sqrt(2 pi) for log dz/dx.
LOG_PDF_UNIT = LOG_SQRT_2PI - math.log(HALF_LOG2)
# Rows at a time: six runs of doubles stay in a 32 KiB first-level cache.
RUN = 512


@kernel
def direct_components(log_weights, means, log_scales):
    """Return weight, mean, HALF_LOG2 / scale and scale of each component, (D, 4, K)."""
    n_columns, n_components = means.shape
    components = np.empty((n_columns, 4, n_components))
    for j in range(n_columns):
        for k in range(n_components):
            scale = math.exp(log_scales[j, k])
            components[j, 0, k] = math.exp(log_weights[j, k])
            components[j, 1, k] = means[j, k]
            components[j, 2, k] = HALF_LOG2 / scale
            components[j, 3, k] = scale
    return components


@kernel
def sums(x, components, pdf, lower, upper):
    """Fill f HALF_LOG2, lower mass F and upper mass 1 - F of one column's run of rows."""
    aligned_stack()
    n = x.size
    pdf[:n] = 0.0
    lower[:n] = 0.0
    upper[:n] = 0.0
    for k in range(components.shape[1]):
        weight, mean, precision = components[0, k], components[1, k], components[2, k]
        area = weight * INV_SQRT_2PI
        for i in range(n):
            v = (x[i] - mean) * precision
            bell, ratio = bell_and_mills(v)
            bell *= area
            near = bell * ratio
            far = weight - near
            pdf[i] += precision * bell
            # The sign bit as it is selects lanes; v < 0 would be a comparison more.
            lower[i] += near if float_bits(v) < 0 else far
            upper[i] += far if float_bits(v) < 0 else near


@kernel
def count_far(pdf, lower, upper):
    """Return how many rows are beyond the reach of direct sums."""
    # A loop of its own: with a sum LLVM interleaves the others, and spills more.
    n_far = 0
    for i in range(pdf.size):
        n_far += 1 if min(lower[i], upper[i], pdf[i]) <= DIRECT_MIN else 0
    return n_far


@kernel
def quantiles(lower, upper, z):
    """Fill z = Phi^-1(lower) from both masses."""
    # Loops of one logarithm or polynomial each: all in one need 60 registers and take 1.7 times
    # as long.
    aligned_stack()
    for i in range(z.size):
        z[i] = quantile_variable(log_positive(min(lower[i], upper[i])))
    for i in range(z.size):
        value = quantile_direct(z[i])
        z[i] = value if lower[i] < upper[i] else -value


@kernel
def multiply_slopes(pdf, z, product, log_slope):
    """Multiply slopes by dz/dx, each product exp(log_slope), product within [sqrt(1/2), sqrt(2)).

    Powers of two go into log_slope: a logarithm less for each number than to add up logarithms.
    """
    for i in range(z.size):
        n, product[i] = split(product[i] * pdf[i])
        log_slope[i] += 0.5 * z[i] * z[i] + (n * LN2 + LOG_PDF_UNIT)


@kernel
def runs(n):
    """Return n runs of rows (n, RUN), the first at the start of a cache line: 5 % of the time."""
    line = np.empty(n * RUN + 8)
    first = (-(line.ctypes.data // 8)) % 8
    return line[first : first + n * RUN].reshape(n, RUN)

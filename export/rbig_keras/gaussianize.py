"""Gaussianization by a mixture of Gaussians, with its gradient in closed form.

Far out the terms of the mixture are exp(-5e5): sums are of ratios to the largest of them. What
automatic differentiation makes of the steps took two to three times as long as the gradient here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import backend, ops

from rbig_keras.special import (
    REACH,
    Tensor,
    at_least,
    at_most,
    magnitude,
    matmul,
    mills,
    quantile_and_mills,
)

SQRT_HALF, DENSITY_AT_0 = math.sqrt(0.5), 1.0 / math.sqrt(2.0 * math.pi)


def gaussianize(
    x: Tensor, log_weights: Tensor, means: Tensor, log_scales: Tensor
) -> tuple[Tensor, Tensor]:
    """Return z = Phi^-1(sum_k w_k Phi((x - m_k) / s_k)) and log dz/dx, in the shape of x.

    Weights, which sum to 1, means and scales have an axis more than x, of components, in front of
    x's own: sums along the first axis are fastest. The last axis may be 1 where x has rows.

    Beyond `REACH` deviations of the narrowest component z stays and log dz/dx is -inf: no density.
    """
    # Products are tensors where the factor is a variable.
    both = _gaussianize(x, 1.0 * log_weights, 1.0 * means, 1.0 * log_scales)
    return both[0], both[1]


@ops.custom_gradient
def _gaussianize(
    x: Tensor, log_weights: Tensor, means: Tensor, log_scales: Tensor
) -> tuple[Tensor, Any]:
    """Return z and log dz/dx as one tensor (2, ...): PyTorch takes gradients of one output only."""
    dtype = backend.standardize_dtype(x.dtype)
    unit, limit = float(np.finfo(dtype).eps), REACH[dtype] * ops.exp(ops.min(log_scales, axis=0))
    nowhere = ops.abs(x) > limit
    x = ops.where(nowhere, ops.sign(x) * limit, x)
    # Those that depend on other columns go as far out as these do.
    means = ops.where(ops.abs(means) > 4.0 * limit, ops.sign(means) * (4.0 * limit), means)
    steepness = ops.exp(-log_scales)
    # Of equal ranks: else the ONNX exporter misplaces x's transposition, and no runtime loads that.
    u = (x[None] - means) * steepness
    excess = ops.sum(ops.exp(log_weights) * ops.erf(SQRT_HALF * u), axis=0)
    side = ops.where(excess > 0.0, ops.zeros_like(excess) - 1.0, 1.0)
    # From here on v <= 0 is the way into the smaller tail: T = sum_k w_k Phi(v_k) <= 1/2.
    v, distance = u * side, magnitude(u)
    # The largest w phi(u), and the largest share of T, as logarithms: all terms are over exp(peak),
    # exp(pivot). Where one component makes both they are the same number.
    share = log_weights - 0.5 * distance * distance
    peak = ops.max(share, axis=0)
    nearest = ops.max(ops.where(share >= peak, distance, 0.0), axis=0)
    pivot = ops.max(ops.where(v < 0.0, share, log_weights + ops.zeros_like(u)), axis=0)
    # In float32 differences of the squares would be off by 0.03 at 1,000 deviations.
    base = log_weights - (peak + 0.5 * nearest * nearest)
    exponent = base - 0.5 * (distance - nearest) * (distance + nearest)
    # Once both are rounded by more than 1 their exponentials would overflow; components within
    # rounding of the largest then count alike.
    density = DENSITY_AT_0 * ops.exp(exponent / at_least(-2.0 * unit * peak, 1.0))
    gap = ops.where(peak - pivot > 4.0 * unit * peak, 0.0, peak - pivot)
    fall = ops.exp(gap)
    tail = density * fall * mills(distance)
    # Not w exp(-pivot): given far columns a component may weigh exp(-3000), and hold most of T.
    whole = ops.exp(at_most(log_weights - pivot, 0.0))
    mass = ops.where(v < 0.0, tail, whole - tail)
    total = ops.sum(mass, axis=0)
    slopes = density * steepness
    slope = ops.sum(slopes, axis=0)
    lower, ratio = quantile_and_mills(ops.log(total) + pivot)
    z = lower * side
    # log phi(z) = log T - log M(-z), so the large exponents never enter the log-determinant.
    log_slope = ops.where(nowhere, -np.inf, ops.log(slope / total * ratio) + gap)

    def gradient(*arguments: Tensor, upstream: Tensor = None) -> tuple[Tensor, ...]:
        both = arguments[0] if upstream is None else upstream
        of_z, of_slope = both[0], both[1]
        # d log dz/dx = d log f + z dz, and dz/du_k = w_k phi(u_k) / phi(z), phi(z) = T / M(|z|).
        by_z = (of_z + of_slope * z) * ratio / total
        shares = (of_slope / slope) * slopes
        of_u = (by_z * fall) * density - shares * u
        of_weights, of_x = (by_z * side) * mass + shares, of_u * steepness
        return (
            ops.sum(of_x, axis=0),
            _summed(of_weights, log_weights),
            _summed(-of_x, means),
            _summed(-of_u * u - shares, log_scales),
        )

    return ops.stack([z, log_slope]), gradient


def _summed(gradient: Tensor, argument: Tensor) -> Tensor:
    """Return a gradient summed over rows, if its argument was repeated along them.

    A product with ones: compiled by XLA, faster than a sum along the last axis.
    """
    if argument.shape[-1] != 1 or gradient.shape[-1] == 1:
        return gradient
    return matmul(gradient, ops.ones((ops.shape(gradient)[-1], 1), dtype=gradient.dtype))

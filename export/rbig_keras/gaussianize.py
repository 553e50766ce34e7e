"""Gaussianization by a mixture of Gaussians, with its gradient in closed form.

Far out the terms of the mixture are exp(-5e5): sums are of ratios to the largest of them. What
automatic differentiation makes of the steps took two to three times as long as the gradient here.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from rbig_keras.special import Tensor, at_most, magnitude, mills, quantile_and_mills

SQRT_HALF, DENSITY_AT_0 = math.sqrt(0.5), 1.0 / math.sqrt(2.0 * math.pi)


def gaussianize(u: Tensor, log_weights: Tensor, log_scales: Tensor) -> tuple[Tensor, Tensor]:
    """Return z = Phi^-1(sum_k w_k Phi(u_k)) and log dz/dx, u_k = (x - m_k) / s_k.

    Components are the first axis of u (K, ...), along which sums are fastest; weights, which sum to
    1, and scales have as many axes and broadcast to it.
    """
    # Products are tensors where the factor is a variable.
    both = _gaussianize(u, 1.0 * log_weights, 1.0 * log_scales)
    return both[0], both[1]


@ops.custom_gradient
def _gaussianize(u: Tensor, log_weights: Tensor, log_scales: Tensor) -> tuple[Tensor, Any]:
    """Return z and log dz/dx as one tensor (2, ...): PyTorch takes gradients of one output only."""
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
    density = DENSITY_AT_0 * ops.exp(base - 0.5 * (distance - nearest) * (distance + nearest))
    fall = ops.exp(peak - pivot)
    tail = density * fall * mills(distance)
    # Not w exp(-pivot): given far columns a component may weigh exp(-3000), and hold most of T.
    whole = ops.exp(at_most(log_weights - pivot, 0.0))
    mass = ops.where(v < 0.0, tail, whole - tail)
    total = ops.sum(mass, axis=0)
    of_x = density * ops.exp(-log_scales)
    total_of_x = ops.sum(of_x, axis=0)
    lower, ratio = quantile_and_mills(ops.log(total) + pivot)
    z = lower * side
    # log phi(z) = log T - log M(-z), so the large exponents never enter the log-determinant.
    log_slope = ops.log(total_of_x / total * ratio) + (peak - pivot)

    def gradient(*arguments: Tensor, upstream: Tensor = None) -> tuple[Tensor, ...]:
        both = arguments[0] if upstream is None else upstream
        of_z, of_slope = both[0], both[1]
        # d log dz/dx = d log f + z dz, and dz/du_k = w_k phi(u_k) / phi(z), phi(z) = T / M(|z|).
        by_z = (of_z + of_slope * z) * ratio / total
        shares = (of_slope / total_of_x) * of_x
        of_u = (by_z * fall) * density - shares * u
        of_weights = (by_z * side) * mass + shares
        return of_u, _summed(of_weights, log_weights), _summed(-shares, log_scales)

    return ops.stack([z, log_slope]), gradient


def _summed(gradient: Tensor, argument: Tensor) -> Tensor:
    """Return a gradient summed over the axes along which its argument was repeated."""
    axes = [i for i, n in enumerate(argument.shape) if n == 1 and gradient.shape[i] != 1]
    return ops.sum(gradient, axis=tuple(axes), keepdims=True) if axes else gradient

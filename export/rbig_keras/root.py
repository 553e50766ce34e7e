"""Roots of increasing functions, element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras import backend, ops

from rbig_keras.special import Tensor, at_least, at_most

Increasing = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Maps x to g(x) and log g'(x)."""

# exp(80) is near the largest float32. Between components far apart g is flat, 1 / g' overflows, and
# the gap of 0 times infinity would make x NaN.
LOG_STEEPEST = 80.0
# About 60 bisections halve a double's bracket into neighbouring numbers, and at most every second
# step is one.
MAX_STEPS = 120


def monotone_root(function: Increasing, target: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Solve g(x) = target for x in [low, high], as closely as g is computed.

    The gradient with respect to the target and to the function's weights is that of the implicit
    function, dx = (d target - dg) / g'(x).
    """
    x = ops.stop_gradient(_search(function, target, low, high))
    value, log_slope = function(x)
    gap = target - value
    derivative = ops.exp(at_most(-log_slope, LOG_STEEPEST))
    return x + (gap - ops.stop_gradient(gap)) * ops.stop_gradient(derivative)


def _search(function: Increasing, target: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Newton's method, guarded by bisection (Press et al., Numerical Recipes, section 9.4).

    A step that leaves the bracket, or isn't half as long as the last one, becomes a bisection. Once
    g agrees with the target to rounding, steps are noise and none of them may be a bisection: it
    would throw x to the middle of a bracket that may still be wide on one side.
    """
    unit = float(np.finfo(backend.standardize_dtype(target.dtype)).eps)
    rounding = 8.0 * unit * at_least(ops.abs(target), 1.0)

    def unfinished(low: Tensor, high: Tensor, x: Tensor, step: Tensor) -> Tensor:
        return ops.any(ops.abs(step) > unit * ops.abs(x))

    def advance(low: Tensor, high: Tensor, x: Tensor, step: Tensor) -> tuple[Tensor, ...]:
        value, log_slope = function(x)
        gap, slope = target - value, ops.exp(log_slope)
        low, high = ops.where(gap > 0.0, x, low), ops.where(gap < 0.0, x, high)
        last = ops.abs(gap) <= rounding
        newton = x + gap / ops.where(slope > 0.0, slope, 1.0)
        shorter = ops.logical_or(last, 2.0 * ops.abs(gap) <= ops.abs(step) * slope)
        inside = ops.logical_and(newton >= low, newton <= high)
        following = ops.where(ops.logical_and(shorter, inside), newton, 0.5 * (low + high))
        return low, high, following, ops.where(last, 0.0, following - x)

    start = (low, high, 0.5 * (low + high), high - low)
    return ops.while_loop(unfinished, advance, start, maximum_iterations=MAX_STEPS)[2]

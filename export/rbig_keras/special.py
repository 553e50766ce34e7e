"""Normal tails and quantiles in `keras.ops`, in log space, for float32 and float64 alike.

Every function takes a float tensor of any shape and returns one of its dtype. Values and gradients
are finite for every argument to `REACH`, whose square the dtype still holds. Derivatives are stated
in closed form: exact, and cheaper than differentiating the polynomials term by term.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from keras import backend, ops
from numpy.polynomial import chebyshev

from rbig_numba.kernels.coefficients import (
    MILLS,
    MILLS_CENTRE,
    QUANTILE,
    QUANTILE_CENTRE,
    QUANTILE_HALF_WIDTH,
    QUANTILE_LOG_MIN,
)

Tensor = Any
"""A tensor of whichever backend Keras runs on."""

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)

# Deviations that can be squared, and summed over hundreds of columns; densities are 0 beyond.
REACH = {"float32": 1e18, "float64": 1e150}
# Deviations whose squares are rounded by some nats: exponentials of their differences say nothing.
FAR = {"float32": 1e4, "float64": 1e8}


@lru_cache
def _economised(coefficients: tuple[float, ...], dtype: str) -> tuple[float, ...]:
    """Drop the Chebyshev terms that a dtype can't resolve: half of them in float32."""
    series = chebyshev.poly2cheb(coefficients)
    kept = np.flatnonzero(np.abs(series) > np.finfo(dtype).eps / 16.0)[-1] + 1
    return tuple(float(c) for c in chebyshev.cheb2poly(series[:kept]))


def _polynomial(coefficients: tuple[float, ...], t: Tensor) -> Tensor:
    """Horner's rule for t in [-1, 1], lowest power first."""
    *lower, value = _economised(coefficients, backend.standardize_dtype(t.dtype))
    for coefficient in reversed(lower):
        value = value * t + coefficient
    return value


def mills(u: Tensor) -> Tensor:
    """Mills ratio M(u) = (1 - Phi(u)) / phi(u) for u >= 0."""
    inverse = 1.0 / (u + MILLS_CENTRE)
    return _polynomial(MILLS, (u - MILLS_CENTRE) * inverse) * inverse


@ops.custom_gradient
def log_mills(u: Tensor) -> Tensor:
    """Log M(u) for u >= 0; its derivative is u - 1 / M(u)."""
    ratio = mills(u)

    def gradient(*arguments: Tensor, upstream: Tensor = None) -> Tensor:
        return (arguments[0] if upstream is None else upstream) * (u - 1.0 / ratio)

    return ops.log(ratio), gradient


def at_least(x: Tensor, bound: Any) -> Tensor:
    """Return the greater of x and a bound, a number or a tensor.

    As `ops.maximum` does, which on JAX and PyTorch rounds float64 to float32; so do `ops.minimum`,
    `ops.clip`, `ops.matmul` and `ops.cumsum` on one of them, and `ops.tanh` on the other.
    """
    return ops.where(x < bound, ops.zeros_like(x) + bound, x)


def at_most(x: Tensor, bound: Any) -> Tensor:
    """Return the lesser of x and a bound, a number or a tensor; see `at_least`."""
    return ops.where(x > bound, ops.zeros_like(x) + bound, x)


def within(x: Tensor, bound: float) -> Tensor:
    """Return x, or what of -bound and bound is nearer; gradients beyond are 0."""
    return at_least(at_most(x, bound), -bound)


def reach_of(x: Tensor) -> float:
    """Return `REACH` of a tensor's dtype."""
    return REACH[backend.standardize_dtype(x.dtype)]


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Return the product of matrices (..., M, N), to rounding of its dtype; see `at_least`.

    On a GPU JAX would round float32 factors to TF32's 10 bits: log-densities were off by 1.4 %.
    """
    a, b = ops.convert_to_tensor(a), ops.convert_to_tensor(b)
    if backend.backend() == "jax":
        import jax

        return jax.numpy.matmul(a, b, precision="highest")
    return a @ b


def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent, to rounding of 1, on TensorFlow to its own; see `at_least`.

    In float32 the former is 6e-8, which a clamp of log-scales to +-8 makes 5e-7.
    """
    if backend.backend() == "tensorflow":
        return ops.tanh(x)
    return 2.0 * ops.sigmoid(2.0 * x) - 1.0


def magnitude(u: Tensor) -> Tensor:
    """|u| with slope 1 at 0; that of `ops.abs` is 0, which loses the density at a mean."""
    return ops.where(u < 0.0, -u, u)


def log_normal_pdf(u: Tensor) -> Tensor:
    """Log phi(u), in nats."""
    return -0.5 * u * u - LOG_SQRT_2PI


def log_ndtr(u: Tensor) -> Tensor:
    """Log Phi(u), in nats."""
    distance = magnitude(u)
    tail = log_normal_pdf(distance) + log_mills(distance)
    return ops.where(u < 0.0, tail, ops.log1p(-ops.exp(tail)))


def _quantile_far(log_p: Tensor) -> Tensor:
    """Start for -Phi^-1(p), within 1e-9, where log p <= QUANTILE_LOG_MIN.

    s = u^2 solves s = -2 log p - log(2 pi) - log s + 2 log(u M(u)), with the expansion of M at
    infinity, log(u M(u)) = -1/s + 5/(2 s^2) - ...; each round divides the error by s >= 1490.
    """
    w = -2.0 * log_p - 2.0 * LOG_SQRT_2PI
    s = w - ops.log(w)
    for _ in range(2):
        s = w - ops.log(s) - (2.0 - 5.0 / s) / s
    return ops.sqrt(s)


def _quantile_near(log_p: Tensor) -> Tensor:
    """Start for -Phi^-1(p), within 1e-6 in float32, where log p >= QUANTILE_LOG_MIN."""
    t = (ops.log(-2.0 * log_p) - QUANTILE_CENTRE) / QUANTILE_HALF_WIDTH
    return _polynomial(QUANTILE, t)


def quantile_and_mills(log_p: Tensor) -> tuple[Tensor, Tensor]:
    """Return z = Phi^-1(p) and M(-z) = Phi(z) / phi(z), given log p <= log(1/2).

    Their derivatives by log p are M(-z) and M(-z) (1 + z M(-z)).
    """
    both = _quantile_and_mills(log_p)
    return both[0], both[1]


@ops.custom_gradient
def _quantile_and_mills(log_p: Tensor) -> tuple[Tensor, Any]:
    """Return both as one tensor (2, ...): PyTorch takes gradients of one output only.

    One Newton step on log Phi(-u) = log p ends the search: it also takes the float32 polynomial's
    error near the median, where terms of size 10 cancel to 0, from 1e-6 to 1e-7. The square of that
    is what M(-z) is off by when it takes the step along M' = u M - 1.
    """
    near = _quantile_near(at_least(log_p, QUANTILE_LOG_MIN))
    far = _quantile_far(at_most(log_p, QUANTILE_LOG_MIN))
    u = ops.where(log_p < QUANTILE_LOG_MIN, far, near)
    at_u = mills(u)
    step = (log_p - log_normal_pdf(u) - ops.log(at_u)) * at_u
    z, ratio = step - u, at_u + step * (1.0 - u * at_u)
    # The step is then one of rounding, larger than M; the start is closer than rounding.
    lowest = -0.5 * FAR[backend.standardize_dtype(log_p.dtype)] ** 2
    ratio = ops.where(log_p < lowest, at_u, ratio)

    def gradient(*arguments: Tensor, upstream: Tensor = None) -> Tensor:
        given = arguments[0] if upstream is None else upstream
        return (given[0] + given[1] * (1.0 + z * ratio)) * ratio

    return ops.stack([z, ratio]), gradient

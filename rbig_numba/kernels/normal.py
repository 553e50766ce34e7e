"""The normal distribution, one number at a time, with both tails to full relative accuracy.

Everything is branch-free arithmetic where it is called in a loop over rows, so that LLVM turns
that loop into vector code; only `quantile_of_log` beyond p = exp(-750) loops.
"""

from __future__ import annotations

import math

from rbig_numba.kernels.coefficients import (
    MILLS,
    MILLS_CENTRE,
    QUANTILE,
    QUANTILE_CENTRE,
    QUANTILE_HALF_WIDTH,
    QUANTILE_LOG_MIN,
)
from rbig_numba.kernels.jit import bits_float, float_bits, kernel

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)

# Cody and Waite (1980): ln 2 in two parts, the first with so many trailing zero bits that
# n * _LN2_HIGH is exact.
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_LOG2_E = 1.0 / math.log(2.0)
# Adding 1.5 * 2^52 leaves the nearest integer in the low bits of the mantissa.
_ROUNDER = 1.5 * 2.0**52
_EXP_MIN = -708.0
# Taylor coefficients of exp to degree 12: |remainder| < 2e-16 for |r| <= ln(2) / 2.
_EXP = tuple(1.0 / math.factorial(k) for k in range(13))
# atanh(s) / s in powers of s^2: |remainder| < 1e-17 for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1).
_ATANH = tuple(1.0 / (2 * k + 1) for k in range(11))
_MANTISSA = (1 << 52) - 1
_SQRT_HALF_BITS = float_bits(math.sqrt(0.5))
# In even and odd powers: LLVM unrolls, and so vectorises around, loops over up to 14 coefficients;
# over 24 it did so in one caller and not in the next (2.5 or 43 ns).
_QUANTILE_EVEN, _QUANTILE_ODD = QUANTILE[0::2], QUANTILE[1::2]
_MILLS_EVEN, _MILLS_ODD = MILLS[0::2], MILLS[1::2]


@kernel
def polynomial(coefficients, t):
    """Horner's rule, lowest power first."""
    value = coefficients[-1]
    for i in range(len(coefficients) - 2, -1, -1):
        value = value * t + coefficients[i]
    return value


@kernel
def exp_negative(x):
    """exp(x) for x <= 0, within 2 ulp; 0 below -708, before results turn subnormal."""
    shifted = max(x, _EXP_MIN) * _LOG2_E + _ROUNDER
    n = shifted - _ROUNDER
    r = (max(x, _EXP_MIN) - n * _LN2_HIGH) - n * _LN2_LOW
    power_of_two = bits_float((float_bits(shifted) << 52) + (1023 << 52))
    value = polynomial(_EXP, r) * power_of_two
    return value if x >= _EXP_MIN else 0.0


@kernel
def log_positive(x):
    """log(x) for x > 0 and not subnormal, within 2 ulp: n ln 2 + 2 atanh((m - 1) / (m + 1))."""
    offset = float_bits(x) - _SQRT_HALF_BITS
    n = offset >> 52
    m = bits_float((offset & _MANTISSA) + _SQRT_HALF_BITS)
    s = (m - 1.0) / (m + 1.0)
    return n * _LN2_HIGH + (n * _LN2_LOW + 2.0 * s * polynomial(_ATANH, s * s))


@kernel
def mills(u):
    """Mills ratio (1 - Phi(u)) / phi(u) for u >= 0."""
    inverse = 1.0 / (u + MILLS_CENTRE)
    t = (u - MILLS_CENTRE) * inverse
    return (polynomial(_MILLS_EVEN, t * t) + t * polynomial(_MILLS_ODD, t * t)) * inverse


@kernel
def log_pdf(u):
    """Log phi(u), in nats."""
    return -0.5 * u * u - LOG_SQRT_2PI


@kernel
def log_cdf(u):
    """Log Phi(u), in nats, for any finite u."""
    tail = log_pdf(u) + math.log(mills(abs(u)))
    return tail if u < 0.0 else math.log1p(-math.exp(tail))


@kernel
def quantile_variable(log_p):
    """Return the t that `quantile_direct` takes."""
    return (log_positive(-2.0 * log_p) - QUANTILE_CENTRE) * (1.0 / QUANTILE_HALF_WIDTH)


@kernel
def quantile_direct(t):
    """Phi^-1(p) for -750 <= log p <= log(1/2), t = quantile_variable(log p), branch-free."""
    return -(polynomial(_QUANTILE_EVEN, t * t) + t * polynomial(_QUANTILE_ODD, t * t))


@kernel
def quantile_of_log(log_p):
    """Phi^-1(exp(log p)) for any log p <= log(1/2): the lower half of the quantile function.

    Beyond the polynomial's range Newton's method solves log Phi(-u) = log p in log space, from two
    terms of the expansion at infinity.
    """
    if log_p >= QUANTILE_LOG_MIN:
        return quantile_direct(quantile_variable(log_p))
    u = math.sqrt(-2.0 * log_p - math.log(-4.0 * math.pi * log_p))
    for _ in range(3):  # the start is within 1e-4, the second step within 1e-14
        ratio = mills(u)
        u += (log_pdf(u) + math.log(ratio) - log_p) * ratio
    return -u

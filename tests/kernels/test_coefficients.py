"""The polynomials in the source are Chebyshev interpolants, derived here again with 50 digits."""

import math

import mpmath
import pytest

import oracles
from rbig_numba.kernels import coefficients

N_NODES = 80


def interpolant(function, n_coefficients):
    """Interpolate at 80 Chebyshev nodes, cut to n_coefficients and turn to powers of t."""
    angles = [mpmath.pi * (2 * i + 1) / (2 * N_NODES) for i in range(N_NODES)]
    values = [function(mpmath.cos(angle)) for angle in angles]
    powers = [mpmath.mpf(0)] * n_coefficients
    previous, chebyshev = [mpmath.mpf(1)], [mpmath.mpf(0), mpmath.mpf(1)]
    for k in range(n_coefficients):
        products = (v * mpmath.cos(k * a) for v, a in zip(values, angles, strict=True))
        factor = mpmath.fsum(products) * (1 if k == 0 else 2) / N_NODES
        for power, value in enumerate(previous):
            powers[power] += factor * value
        following = [mpmath.mpf(0), *(2 * value for value in chebyshev)]
        for power, value in enumerate(previous):
            following[power] -= value
        previous, chebyshev = chebyshev, following
    return [float(value) for value in powers]


def scaled_mills(t):
    u = coefficients.MILLS_CENTRE * (1 + t) / (1 - t)
    return oracles.mills_ratio(u) * (u + coefficients.MILLS_CENTRE)


def quantile_at(t):
    low, high = mpmath.log(2 * mpmath.log(2)), mpmath.log(1500)
    y = (low + high) / 2 + t * (high - low) / 2
    return -oracles.quantile_of_log(-mpmath.exp(y) / 2)


@pytest.mark.parametrize(
    ("function", "stored"),
    [(scaled_mills, coefficients.MILLS), (quantile_at, coefficients.QUANTILE)],
    ids=["mills", "quantile"],
)
def test_polynomials_are_the_interpolants_rounded_once(function, stored):
    with mpmath.workdps(oracles.DIGITS):
        derived = interpolant(function, len(stored))
    assert derived == list(stored)


def test_map_of_the_quantile_meets_one_half_and_the_stated_limit():
    low = coefficients.QUANTILE_CENTRE - coefficients.QUANTILE_HALF_WIDTH
    high = coefficients.QUANTILE_CENTRE + coefficients.QUANTILE_HALF_WIDTH
    assert -0.5 * math.exp(low) == pytest.approx(-math.log(2.0), rel=1e-15)
    assert -0.5 * math.exp(high) == pytest.approx(coefficients.QUANTILE_LOG_MIN, rel=1e-14)

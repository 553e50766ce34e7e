"""The polynomials in the source are Chebyshev interpolants, derived here again with 50 digits."""

import math

import mpmath
import numpy as np
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
    [
        (scaled_mills, coefficients.MILLS),
        (quantile_at, coefficients.QUANTILE),
    ],
    ids=["mills", "quantile"],
)
def test_polynomials_are_the_interpolants_rounded_once(function, stored):
    with mpmath.workdps(oracles.DIGITS):
        derived = interpolant(function, len(stored))
    assert derived == list(stored)


def value(powers, x):
    """Evaluate stored coefficients, lowest power first, with 50 digits."""
    return mpmath.fsum(mpmath.mpf(power) * x**k for k, power in enumerate(powers))


def largest_relative_error(approximation, function, arguments):
    """Return it in units of 2^-53, the rounding of one operation."""
    with mpmath.workdps(oracles.DIGITS):
        errors = [abs(approximation(x) / function(x) - 1) for x in map(mpmath.mpf, arguments)]
        return float(max(errors)) * 2.0**53


def test_ratio_of_mills_to_a_rounding():
    def stored(u):
        v = u * mpmath.sqrt(1 / (2 * mpmath.log(2)))
        return value(coefficients.MILLS_TOP, v) / value(coefficients.MILLS_BOTTOM, v)

    u = np.linspace(0, 38.5, 400)
    assert largest_relative_error(stored, oracles.mills_ratio, u) < 1.2
    assert min(coefficients.MILLS_TOP + coefficients.MILLS_BOTTOM) > 0.0


def test_ratio_of_quantile_to_a_rounding():
    def stored(distance):
        return value(coefficients.QUANTILE_TOP, distance) / value(
            coefficients.QUANTILE_BOTTOM, distance
        )

    def exact(distance):
        root = distance + mpmath.sqrt(2 * mpmath.log(2))
        return -oracles.quantile_of_log(-root * root / 2) / distance

    distance = np.geomspace(1e-3, 37.5, 400)
    assert largest_relative_error(stored, exact, distance) < 1.2
    assert min(coefficients.QUANTILE_TOP + coefficients.QUANTILE_BOTTOM) > 0.0


def test_power_of_two_to_three_roundings():
    def stored(f):
        return value(coefficients.EXP2, f)

    error = largest_relative_error(stored, lambda f: 2**f, np.linspace(-0.5, 0.5, 400))
    assert error < 3.0


def test_logarithm_to_less_than_a_rounding():
    def stored(s):
        return s + s**3 * value(coefficients.ATANH, s * s)

    s = np.linspace(1e-4, (math.sqrt(2) - 1) / (math.sqrt(2) + 1), 400)
    assert largest_relative_error(stored, mpmath.atanh, s) < 0.25


def test_map_of_the_quantile_meets_one_half_and_the_stated_limit():
    low = coefficients.QUANTILE_CENTRE - coefficients.QUANTILE_HALF_WIDTH
    high = coefficients.QUANTILE_CENTRE + coefficients.QUANTILE_HALF_WIDTH
    assert -0.5 * math.exp(low) == pytest.approx(-math.log(2.0), rel=1e-15)
    assert -0.5 * math.exp(high) == pytest.approx(coefficients.QUANTILE_LOG_MIN, rel=1e-14)

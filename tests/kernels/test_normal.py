"""The normal distribution against mpmath. Bounds are about 1.5 times the largest error measured."""

import mpmath
import numpy as np
import pytest

import oracles
from rbig_numba.kernels import normal
from rbig_numba.kernels.jit import bits_float, float_bits

EPSILON = 2.0**-52
RANDOM = np.random.default_rng(0)


def largest_error(function, exact, arguments):
    """Return the largest relative error, in units of 2^-52."""
    with mpmath.workdps(oracles.DIGITS):
        worst = 0.0
        for x in arguments:
            expected = exact(float(x))
            error = abs(mpmath.mpf(function(float(x))) - expected)
            worst = max(worst, float(error / abs(expected)) / EPSILON if expected else float(error))
    return worst


def test_exp_negative():
    x = -np.concatenate([RANDOM.uniform(0, 708, 1000), np.logspace(-300, 2.8, 300), [0.0, 708.0]])
    assert largest_error(normal.exp_negative, mpmath.exp, x) < 3.0


@pytest.mark.parametrize("x", [-708.0001, -1e3, -1e10, -1e300, -np.inf])
def test_exp_negative_is_zero_before_subnormals(x):
    assert normal.exp_negative(x) == 0.0


def test_log_positive():
    spread = 10.0 ** RANDOM.uniform(-307, 308, 500)
    near_one = np.concatenate([RANDOM.uniform(0.5, 2, 500), 1 + 2.0 ** -np.arange(1, 53)])
    x = np.concatenate([spread, near_one, [np.finfo(float).tiny, np.finfo(float).max]])
    assert largest_error(normal.log_positive, mpmath.log, x) < 2.0
    assert normal.log_positive(1.0) == 0.0


def test_mills():
    u = np.concatenate([[0.0], RANDOM.uniform(0, 40, 300), np.logspace(-18, 12, 200), [38.0]])
    assert largest_error(normal.mills, oracles.mills_ratio, u) < 4.0


def test_mills_far_beyond_where_powers_overflow():
    assert normal.mills(1e200) == 1e-200


# v^2 rounds to half an ulp, which is 2^-53 v^2 ln 2 of the bell: 333 times 2^-53 at 31.
@pytest.mark.parametrize(("reach", "bound"), [(1.0, 4.0), (31.0, 250.0)])
def test_bell_and_mills_are_those_of_the_normal_distribution(reach, bound):
    v = RANDOM.uniform(-reach, reach, 500)

    def bell(v):
        return mpmath.exp(-mpmath.log(2) * mpmath.mpf(v) ** 2)

    def mills(v):
        return oracles.mills_ratio(abs(mpmath.mpf(v)) * mpmath.sqrt(2 * mpmath.log(2)))

    assert largest_error(lambda v: normal.bell_and_mills(v)[0], bell, v) < bound
    assert largest_error(lambda v: normal.bell_and_mills(v)[1], mills, v) < 4.0


@pytest.mark.parametrize("v", [31.5, -1e3, 1e300, np.inf])
def test_bell_and_mills_stay_normal_numbers_far_out(v):
    bell, ratio = normal.bell_and_mills(v)
    assert np.finfo(float).tiny < bell * ratio < bell < 1e-289


def test_power_and_mills():
    def power(exponent):
        return mpmath.power(2, mpmath.mpf(exponent))

    exponents = RANDOM.uniform(-960, 900, 500)
    assert largest_error(lambda x: normal.power_and_mills(x, 1.0)[0], power, exponents) < 4.0
    for v in (-3.0, 0.5, 31.0):
        assert normal.power_and_mills(-v * v, v) == normal.bell_and_mills(v)
    assert normal.power_and_mills(-1e6, 1e3) == normal.bell_and_mills(1e3)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_log_cdf_in_both_tails(sign):
    u = sign * np.concatenate([RANDOM.uniform(0, 37, 400), np.logspace(-18, 0, 50)])
    # Above zero log Phi = -Phi(-u), whose relative error is that of u^2 / 2 in absolute terms.
    bound = 3.5 if sign < 0 else 700.0
    assert largest_error(normal.log_cdf, oracles.log_cdf, u) < bound


def test_log_cdf_far_below():
    assert largest_error(normal.log_cdf, oracles.log_cdf, -np.logspace(1.5, 6, 100)) < 1.2


def test_log_cdf_far_above_is_zero():
    assert normal.log_cdf(1e6) == 0.0


def quantile_argument(z):
    return float(oracles.log_cdf(z))


@pytest.mark.parametrize(
    ("low", "high", "bound"),
    [(0.1, 0.5, 9.0), (0.5, 37.0, 4.0), (37.0, 39.0, 4.0), (39.0, 1e6, 1.0)],
    ids=["centre", "tail", "seam", "far"],
)
def test_quantile_of_log(low, high, bound):
    log_p = [quantile_argument(-z) for z in np.geomspace(low, high, 150)]
    assert largest_error(normal.quantile_of_log, oracles.quantile_of_log, log_p) < bound


# An ulp of log p is worth 0.6 ulp of 1 in z, one of the root 1; 1.3 measured.
def test_quantile_of_log_near_zero_is_right_to_an_absolute_error():
    for p in [0.5, 0.4999999, 0.49, 0.4, 0.31]:
        with mpmath.workdps(oracles.DIGITS):
            expected = oracles.quantile_of_log(mpmath.mpf(float(np.log(p))))
        assert normal.quantile_of_log(float(np.log(p))) == pytest.approx(
            float(expected), abs=1.5 * EPSILON
        )


@pytest.mark.parametrize("z", [-1e-8, -0.5, -8.0, -37.0, -38.6, -38.8, -1e3, -1e6])
def test_quantile_inverts_log_cdf(z):
    log_p = min(normal.log_cdf(z), -np.log(2.0))
    # An ulp of log p is worth this much z.
    slope = abs(log_p) * normal.mills(-z)
    assert normal.quantile_of_log(log_p) == pytest.approx(z, abs=8 * EPSILON * (slope + abs(z) + 1))


def test_quantile_is_continuous_where_the_polynomials_end():
    inside, outside = -750.0, np.nextafter(-750.0, -np.inf)
    step = normal.quantile_of_log(inside) - normal.quantile_of_log(outside)
    assert abs(step) < 4 * EPSILON * 38.7


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -2.5, 5e-324, np.inf, -np.inf, np.pi])
def test_bits_round_trip(value):
    assert float_bits(bits_float(float_bits(value))) == float_bits(value)
    assert float_bits(value) == int(np.float64(value).view(np.int64))

"""Normal tails and quantiles against mpmath, and their derivatives."""

import mpmath
import numpy as np
import pytest
import tensorflow as tf

from rbig_keras import special

DTYPES = ("float32", "float64")
FAR = np.array([-1e6, -1e3, -40.0, -3.0, -1e-20, 0.0, 1e-20, 2.0, 40.0, 1e6])


def exact_log_ndtr(u):
    with mpmath.workdps(40):
        u = mpmath.mpf(float(u))
        # mpmath's ncdf rounds to 1 far up, and its erfc needs many digits far down.
        return float(mpmath.log1p(-mpmath.ncdf(-u)) if u > 0 else mpmath.log(mpmath.ncdf(u)))


def exact_quantile(log_p, start):
    with mpmath.workdps(40):
        z, log_p = mpmath.mpf(start), mpmath.mpf(float(log_p))
        for _ in range(6):
            z -= (mpmath.log(mpmath.ncdf(z)) - log_p) * mpmath.ncdf(z) / mpmath.npdf(z)
        return float(z)


def derivatives(function, x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = function(x)
        first = inner.gradient(value, x)
    return first.numpy(), outer.gradient(first, x).numpy()


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_ndtr_keeps_both_tails(dtype):
    u = np.r_[-np.logspace(3, -3, 200), 0.0, np.logspace(-3, 0.5, 60)].astype(dtype)
    exact = np.array([exact_log_ndtr(value) for value in u])
    result = special.log_ndtr(tf.constant(u)).numpy()
    assert result.dtype == dtype
    np.testing.assert_allclose(result, exact, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_quantile_of_log_probability_from_the_median_to_1200_standard_deviations(dtype):
    z = -np.r_[0.0, np.logspace(-4, np.log10(1200.0), 200)]
    log_p = np.array([exact_log_ndtr(value) for value in z]).astype(dtype)
    exact = np.array([exact_quantile(*pair) for pair in zip(log_p, z, strict=True)])
    result, ratio = (t.numpy() for t in special.quantile_and_mills(tf.constant(log_p)))
    assert result.dtype == dtype
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(result, exact, rtol=tolerance, atol=tolerance)
    with mpmath.workdps(40):
        mills = [float(mpmath.ncdf(value) / mpmath.npdf(value)) for value in exact]
    np.testing.assert_allclose(ratio, mills, rtol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivatives_of_log_ndtr_are_exact_and_finite(dtype):
    """By the inverse Mills ratio h = phi / Phi: (log Phi)' = h, (log Phi)'' = -h (h + u)."""
    u = tf.constant(FAR, dtype)
    first, second = derivatives(special.log_ndtr, u)
    assert np.isfinite(first).all()
    assert np.isfinite(second).all()
    moderate = np.abs(FAR) < 10
    h = np.exp(-0.5 * FAR**2 - special.LOG_SQRT_2PI - [exact_log_ndtr(x) for x in FAR.clip(-40)])
    np.testing.assert_allclose(first[moderate], h[moderate], rtol=2e-6)
    np.testing.assert_allclose(second[moderate], (-h * (h + FAR))[moderate], rtol=2e-6)
    np.testing.assert_allclose(first[:3], -FAR[:3] - 1 / FAR[:3], rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivatives_of_the_quantile_are_exact_and_finite(dtype):
    """By M(|z|) = Phi(z) / phi(z): z' = M and z'' = M (1 - |z| M)."""
    log_p = np.array([-1e12, -1e3, -749.0, -2.0, np.log(0.5)])
    z = special.quantile_and_mills(tf.constant(log_p))[0].numpy()
    ratio = np.exp(log_p + 0.5 * z * z + special.LOG_SQRT_2PI)
    first, second = derivatives(
        lambda log_p: special.quantile_and_mills(log_p)[0], tf.constant(log_p, dtype)
    )
    assert np.isfinite(first).all()
    assert np.isfinite(second).all()
    np.testing.assert_allclose(first[1:], ratio[1:], rtol=2e-6)
    np.testing.assert_allclose(second[3:], (ratio * (1 + z * ratio))[3:], rtol=2e-6)
    np.testing.assert_allclose(first[0], -1.0 / z[0], rtol=2e-6)
    of_ratio, _ = derivatives(
        lambda log_p: special.quantile_and_mills(log_p)[1], tf.constant(log_p, dtype)
    )
    np.testing.assert_allclose(of_ratio[3:], (ratio * (1 + z * ratio))[3:], rtol=2e-6)

"""Rows far out, to the ends of the dtypes: densities that fall, and gradients that are finite."""

import keras
import mpmath
import numpy as np
import pytest
import tensorflow as tf

from rbig_keras import (
    Coupling,
    GaussianizationFlow,
    JointMixture,
    MixtureOfFlows,
    Radial,
    make_coupling_flow,
    make_gaussianization_flow,
)
from rbig_keras.gaussianize import gaussianize
from rbig_keras.special import REACH

DTYPES = ("float32", "float64")
LOG_WEIGHTS = np.log([0.5, 0.3, 0.199999, 1e-6])
MEANS, LOG_SCALES = np.array([0.0, 3.0, -2.0, 0.0]), np.array([0.0, -0.7, 0.3, 1.5])


def log_tail(u):
    """Log Phi(-u) for u > 0: from 30 on by its expansion, ncdf rounds to 0."""
    if u < 30:
        return mpmath.log(mpmath.ncdf(-u))
    terms = [mpmath.mpf(-1) ** i * mpmath.fac2(2 * i - 1) / u ** (2 * i) for i in range(1, 8)]
    return -u * u / 2 - mpmath.log(u * mpmath.sqrt(2 * mpmath.pi)) + mpmath.log(1 + sum(terms))


def log_sum(terms):
    largest = max(terms)
    return largest + mpmath.log(sum(mpmath.exp(term - largest) for term in terms))


def exact(x, *tables):
    """Return z and log dz/dx above all means."""
    with mpmath.workdps(60):
        x, *tables = mpmath.mpf(float(x)), *([mpmath.mpf(float(v)) for v in t] for t in tables)
        columns = list(zip(*tables, strict=True))
        u = [(x - m) / mpmath.exp(s) for _, m, s in columns]
        log_p = log_sum([w + log_tail(v) for (w, _, _), v in zip(columns, u, strict=True)])
        log_f = log_sum([w - s - v * v / 2 for (w, _, s), v in zip(columns, u, strict=True)])
        z = mpmath.sqrt(-2 * log_p)
        for _ in range(40):
            z += (log_tail(z) - log_p) / z
        return float(z), float(log_f + z * z / 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_mixtures_are_exact_to_where_squares_end(dtype):
    tables = [table.astype(dtype) for table in (LOG_WEIGHTS, MEANS, LOG_SCALES)]
    x = np.logspace(1, 17, 65).astype(dtype)
    z, log_slope = (
        tensor.numpy()
        for tensor in gaussianize(x[None], *(table[:, None, None] for table in tables))
    )
    expected = np.array([exact(value, *tables) for value in x])
    unit = np.finfo(dtype).eps
    np.testing.assert_allclose(z[0], expected[:, 0], rtol=4 * unit)
    np.testing.assert_allclose(log_slope[0], expected[:, 1], atol=8 * unit)
    back, same = (
        tensor.numpy()
        for tensor in gaussianize(
            -x[None],
            tables[0][:, None, None],
            *(sign * table[:, None, None] for sign, table in ((-1, tables[1]), (1, tables[2]))),
        )
    )
    np.testing.assert_allclose(-back, z, rtol=2 * unit)
    np.testing.assert_allclose(same, log_slope, atol=8 * unit)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_far_out_is_that_of_the_nearest_component(dtype):
    """There z is u of the widest component, and log dz/dx = -log s."""
    x = tf.constant(np.array([[1e5, 1e9, -1e12]]), dtype)
    tables = [tf.constant(t[:, None, None], dtype) for t in (LOG_WEIGHTS, MEANS, LOG_SCALES)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, *tables])
        z, log_slope = gaussianize(x, *tables)
        total = tf.reduce_sum(z)
    of_x, _, of_means, of_scales = (g.numpy() for g in tape.gradient(total, [x, *tables]))
    slope = np.exp(-1.5)
    np.testing.assert_allclose(of_x, [[slope] * 3], rtol=1e-5)
    np.testing.assert_allclose(of_means[:, 0, 0], [0, 0, 0, -3 * slope], rtol=1e-5)
    np.testing.assert_allclose(of_scales[3, 0, 0], -np.sum(x * slope), rtol=1e-5)
    np.testing.assert_allclose(log_slope, [[-1.5] * 3], rtol=1e-6)


def small(kind, dtype):
    keras.utils.set_random_seed(0)
    diagonal = {"input_dim": 3, "num_blocks": 2, "num_components": 3, "dtype": dtype}
    if kind == "diagonal":
        return make_gaussianization_flow(**diagonal)
    if kind == "couplings":
        return make_coupling_flow(3, 1, 3, (8,), dtype=dtype)
    if kind == "ensemble":
        return MixtureOfFlows([make_gaussianization_flow(**diagonal)] * 2, dtype=dtype)
    layers = [
        Radial([0, 0, 1], 2, dtype=dtype),
        Coupling([1, 0, 1], 4, dtype=dtype),
        JointMixture(3, 2, dtype=dtype),
    ]
    flow = GaussianizationFlow(layers, 3, dtype=dtype)
    rng = np.random.default_rng(0)
    for weight in [*layers[1].weights, *layers[2].weights]:
        weight.assign(0.3 * rng.normal(size=weight.shape))
    return flow


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["diagonal", "couplings", "ensemble", "engine's"])
def test_densities_fall_and_gradients_are_finite(kind, dtype):
    flow, rng = small(kind, dtype), np.random.default_rng(1)
    largest = float(np.finfo(dtype).max)
    bulk = float(np.min(flow.log_prob(rng.normal(size=(200, 3)))))
    distances = np.r_[np.logspace(2, np.log10(largest) - 1, 60), largest]
    for direction in [*np.eye(3), -np.ones(3), rng.uniform(-1, 1, size=3)]:
        rows = tf.constant((distances[:, None] * direction).astype(dtype))
        with tf.GradientTape() as tape:
            called = flow(rows)
            loss = flow.compute_loss(x=rows, y_pred=called)
        log_p = flow.log_prob(rows).numpy().astype(float)
        assert not np.isnan(log_p).any()
        assert log_p.max() < bulk
        fall = log_p[np.isfinite(log_p)]
        assert (np.diff(fall) <= 1e-2 * np.abs(fall[1:])).all()  # Radial: one step at e^32
        assert kind == "ensemble" or np.isfinite(called).all()
        assert not np.isnan(loss)
        for gradient in tape.gradient(loss, flow.trainable_variables):
            assert gradient is None or np.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_xla_rounds_products_otherwise_and_agrees(dtype):
    """Fused, u^2 / 2 isn't what was subtracted before: 3e16 off at 1e12 in float32."""
    flow = small("diagonal", dtype)
    rows = np.logspace(1, 0.9 * np.log10(REACH[dtype]), 80)[:, None] * [1.0, -0.3, 0.5]
    rows = tf.constant(rows.astype(dtype))
    compiled = tf.function(flow._log_prob, jit_compile=True, autograph=False)(rows)
    np.testing.assert_allclose(compiled, flow._log_prob(rows), rtol=50 * np.finfo(dtype).eps)


def test_far_rows_weigh_in_full_to_a_million_nats():
    flow = GaussianizationFlow([JointMixture(1)], 1)
    means = flow.bijector_layers[0].means
    for place, share in [(1e3, 1.0), (1e4, (1e6 / 5e7) ** 2), (1e30, 0.0)]:
        x = tf.constant([[place]])
        with tf.GradientTape() as tape:
            loss = flow.compute_loss(x=x, y_pred=flow(x))
        gradient = tape.gradient(loss, [means.value])[0].numpy()
        np.testing.assert_allclose(gradient, [[-place * share]], rtol=1e-3)
        expected = 0.5 * place * place if place < 1e18 else np.inf
        np.testing.assert_allclose(loss, expected, rtol=1e-4)

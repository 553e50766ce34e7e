"""The layer of joint mixtures against the engine, and what it promises besides."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import cases
from rbig_keras import JointMixture, export_to_keras, parity
from rbig_numba import RBIG
from rbig_numba.bijections.affine import Affine
from rbig_numba.flow import Flow

# The float32 bounds on z and the round trip are what the conditioning leaves of 6e-8.
BOUNDS = {
    "float64": {"dlog_p": 1e-9, "dz_relative": 1e-11, "round_trip": 1e-10},
    "float32": {"dlog_p": 1e-4, "dz_relative": 5e-5, "round_trip": 5e-3},
}
each_dtype = pytest.mark.parametrize("dtype", BOUNDS)
MAKERS = [
    cases.joint_single,
    cases.joint_overlapping,
    cases.joint_far_modes,
    cases.joint_many_columns,
    cases.joint_one_column,
]


def model_of(*bijections):
    n_columns = bijections[-1].means.shape[1]
    model = RBIG()
    model.n_features_in_ = n_columns
    model.flow_ = Flow((Affine(np.full(n_columns, 0.5), np.full(n_columns, 2.0)), *bijections))
    return model


@each_dtype
@pytest.mark.parametrize("make", MAKERS)
def test_equals_the_engine(make, dtype):
    model = model_of(make())
    report = parity(model, export_to_keras(model, dtype=dtype), model.sample(200, random_state=1))
    assert report.finite
    for name, bound in BOUNDS[dtype].items():
        assert getattr(report, name) <= bound, f"\n{report}"


@each_dtype
def test_a_component_lost_in_one_column_comes_back(dtype):
    """By exp(-800) in the first, and exp(119) times the other's density in each of the others."""
    means = [[0.0] * 10, [0.0, *[15.0] * 9]]
    bijection = cases.joint_of([1.0, 1.0], means, [[1.0], [1e-3]], slope=0.0)
    rows = np.array([[0.04, *[15.0] * 9]], dtype=dtype)
    z, log_det = bijection.forward(rows)
    layer = export_to_keras(model_of(bijection), dtype=dtype).bijector_layers[1]
    keras_z, keras_log_det = layer.forward_and_log_det(rows)
    bound = BOUNDS[dtype]["dlog_p"]
    np.testing.assert_allclose(keras_z, z, rtol=bound, atol=bound)
    np.testing.assert_allclose(keras_log_det, log_det, rtol=bound)


def test_a_new_layer_is_the_identity_and_stays_triangular_in_training(rng):
    rows = tf.constant(rng.normal(size=(200, 3)) @ [[1.0, 0.9, 0.0], [0.0, 0.3, 0.5], [0, 0, 1.0]])
    layer = JointMixture(2, dtype="float64")
    z, log_det = layer(rows), layer.forward_and_log_det(rows)[1]
    np.testing.assert_allclose(z, rows, atol=1e-14)
    np.testing.assert_allclose(log_det, 0.0, atol=1e-14)
    optimizer, losses = keras.optimizers.Adam(0.05), []
    for _ in range(30):
        with tf.GradientTape() as tape:
            z, log_det = layer.forward_and_log_det(rows)
            loss = tf.reduce_mean(0.5 * tf.reduce_sum(z * z, axis=1) - log_det)
        gradients = tape.gradient(loss, layer.trainable_variables)
        optimizer.apply(gradients, layer.trainable_variables)
        losses.append(float(loss))
    assert losses[-1] < losses[0] - 0.5
    assert np.all(np.triu(layer.slopes) == 0.0)
    np.testing.assert_allclose(layer(layer(rows), inverse=True), rows, atol=1e-9)


def test_inverse_has_the_gradient_of_the_implicit_function(rng):
    bijection = cases.joint_overlapping()
    layer = export_to_keras(model_of(bijection), dtype="float64").bijector_layers[1]
    z = tf.constant(rng.normal(size=(4, 3)))
    names = {"logits": "log_weights", "means": "means", "slopes": "slopes"}
    for name, place in (("logits", 1), ("means", (2, 1)), ("slopes", (0, 2, 1))):
        weight, start = getattr(layer, name), bijection.arrays()[names[name]]
        array = start.copy()
        with tf.GradientTape() as tape:
            x = tf.reduce_sum(layer.inverse_and_log_det(z)[0])
        gradient = tape.gradient(x, weight).numpy()[place]
        ends = []
        for step in (1e-6, -2e-6):
            array[place] += step
            weight.assign(array)
            ends.append(layer.inverse_and_log_det(z)[0].numpy().sum())
        weight.assign(start)
        assert gradient == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-7)

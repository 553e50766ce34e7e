"""The layer of joint mixtures against the engine, and what it promises besides."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

import cases
from rbig_keras import JointMixture, export_to_keras, import_from_keras, parity
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
    cases.joint_scales,
    cases.joint_scales_many_columns,
    cases.joint_band,
]


def model_of(*bijections):
    n_columns = cases.width_of(bijections[-1])
    model = RBIG()
    model.n_features_in_, model.columns_ = n_columns, None
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


@each_dtype
def test_far_rows_between_scales_of_two_shapes(dtype):
    """Their squares, 1e5 to 1e6, all but cancel: sqrt(2)^2 and 2 are the sizes' ratio and rows'."""
    means = [[0.0] * 4, [0.0] * 4]
    joint = cases.joint_of([1.0, 1.0], means, [[1.0], [np.sqrt(2.0)]], slope=0.0)
    sizes = 0.5 * np.log([[1.0, 64.0], [0.5, 32.0 + 1e-5]])
    log_weights = np.log([[0.5, 0.1], [0.3, 0.1]])
    joint = replace(joint, log_weights=log_weights, log_sizes=sizes)
    rows = np.array([[10.0**power, 1.0, 8.0, -3.0] for power in (1, 2, 3, 4)], dtype)
    z, log_det = joint.forward(rows.astype(float))
    layer = export_to_keras(model_of(joint), dtype=dtype).bijector_layers[1]
    keras_z, keras_log_det = layer.forward_and_log_det(rows)
    bound = BOUNDS[dtype]["dz_relative"]
    np.testing.assert_allclose(keras_z, z, rtol=bound, atol=bound)
    np.testing.assert_allclose(keras_log_det, log_det, rtol=bound, atol=bound)


@each_dtype
def test_equal_scales_are_one(dtype, rng):
    """Of half the weight each, as sizes or as scales: log 3 is in either."""
    one = cases.joint_overlapping()
    log_weights = one.log_weights + np.log([0.5, 0.5])
    sizes = np.full(log_weights.shape, np.log(3.0))
    two = replace(
        one, log_weights=log_weights, log_scales=one.log_scales - np.log(3.0), log_sizes=sizes
    )
    rows = 2.0 * rng.normal(size=(50, 3))
    layers = [export_to_keras(model_of(b), dtype=dtype).bijector_layers[1] for b in (one, two)]
    assert [layer.num_scales for layer in layers] == [1, 2]
    unit = float(np.finfo(dtype).eps)
    for mine, theirs in zip(*(layer.forward_and_log_det(rows) for layer in layers), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=100 * unit, atol=200 * unit)


@pytest.mark.parametrize("make", [cases.joint_overlapping, cases.joint_scales, cases.joint_band])
def test_comes_back_as_it_was(make):
    bijection = make()
    again = import_from_keras(export_to_keras(model_of(bijection), dtype="float64"))
    for name, array in bijection.arrays().items():
        np.testing.assert_allclose(again.flow_.bijections[1].arrays()[name], array, atol=1e-14)


def test_refuses_no_shapes_and_no_scales():
    for numbers in ((0, 1), (2, 0)):
        with pytest.raises(ValueError, match=r"j: num_components and num_scales must be 1 or more"):
            JointMixture(*numbers, name="j")


def test_refuses_columns_that_rows_do_not_have():
    with pytest.raises(ValueError, match=r"j: columns are \(first, last \+ 1\), got \(2, 2\)"):
        JointMixture(2, columns=(2, 2), name="j")
    with pytest.raises(ValueError, match=r"j: no columns \(1, 4\) in rows of 3"):
        JointMixture(2, columns=(1, 4), name="j").build((None, 3))


@pytest.mark.parametrize("n_scales", [1, 3])
def test_a_new_layer_is_the_identity_and_stays_triangular_in_training(rng, n_scales):
    rows = tf.constant(rng.normal(size=(200, 3)) @ [[1.0, 0.9, 0.0], [0.0, 0.3, 0.5], [0, 0, 1.0]])
    layer = JointMixture(2, n_scales, dtype="float64")
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
    bijection = cases.joint_scales()
    layer = export_to_keras(model_of(bijection), dtype="float64").bijector_layers[1]
    z = tf.constant(rng.normal(size=(4, 3)))
    places = {"logits": (1, 0), "means": (2, 1), "slopes": (0, 2, 1), "log_sizes": (3, 1)}
    for name, place in places.items():
        weight = getattr(layer, name)
        start = bijection.arrays()["log_weights" if name == "logits" else name]
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

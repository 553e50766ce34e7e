"""The layer of radial maps against the engine, and its own contract."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.base import BaseEstimator

import cases
from rbig_keras import Radial, export_to_keras
from rbig_numba.bijections.affine import Affine

BOUNDS = {"float64": 1e-9, "float32": 1e-4}
each_dtype = pytest.mark.parametrize("dtype", BOUNDS)
GROUPS = cases.radial_groups().groups.astype(int).tolist()


def radial_63():
    return cases.radial_of(np.zeros(63), 0.3)


def layer_of(bijection, dtype):
    columns = len(bijection.groups)
    model = BaseEstimator()
    model.fit = None
    identity = Affine(np.zeros(columns), np.ones(columns))
    model.flow_ = SimpleNamespace(bijections=(identity, bijection), n_features=columns)
    return export_to_keras(model, dtype=dtype).bijector_layers[1]


@each_dtype
@pytest.mark.parametrize("make", [cases.radial_all, cases.radial_groups, radial_63])
@pytest.mark.parametrize("sd", [0.0, 1e-9, 1.0, 10.0, 100.0, 1000.0, 1e15])
def test_forward_equals_the_engine(make, dtype, sd):
    bijection = make()
    rows = cases.rows_of(bijection, 200, sd=sd).astype(dtype)
    assert_equal(
        layer_of(bijection, dtype).forward_and_log_det(rows), bijection.forward(rows), dtype
    )


@each_dtype
@pytest.mark.parametrize("make", [cases.radial_all, cases.radial_groups, radial_63])
@pytest.mark.parametrize("sd", [0.0, 1e-9, 1.0, 10.0, 100.0, 1000.0])
def test_inverse_equals_the_engine(make, dtype, sd):
    """Not in the rows of float32, where far out an ulp of y is worth many of x."""
    bijection, layer = make(), layer_of(make(), dtype)
    rows = cases.rows_of(bijection, 200, sd=sd).astype(dtype)
    x, log_det = layer.inverse_and_log_det(rows)
    if dtype == "float64":
        expected, expected_log_det = bijection.inverse(rows)
        np.testing.assert_allclose(x, expected, rtol=1e-9)
        np.testing.assert_allclose(log_det, expected_log_det, rtol=1e-9, atol=1e-9)
    back, _ = layer.forward_and_log_det(x)
    np.testing.assert_allclose(back, rows, rtol=1e-9 if dtype == "float64" else 5e-5)


def assert_equal(actual, expected, dtype):
    keras_y, keras_log_det = (tensor.numpy().astype(float) for tensor in actual)
    y, log_det = expected
    log_prob = log_det - 0.5 * (y**2).sum(axis=1)
    keras_log_prob = keras_log_det - 0.5 * (keras_y**2).sum(axis=1)
    bound, size = BOUNDS[dtype], np.abs(y)
    assert (np.abs(keras_y - y) <= bound * np.maximum(1.0, size)).all()
    assert (np.abs(keras_log_prob - log_prob) <= bound * np.maximum(1.0, np.abs(log_prob))).all()


@each_dtype
def test_holds_the_arrays_under_their_names(dtype):
    bijection = cases.radial_groups()
    layer = layer_of(bijection, dtype)
    arrays = bijection.arrays()
    assert layer.groups == arrays.pop("groups").tolist()
    arrays["logits"] = arrays.pop("log_weights")
    assert {weight.name for weight in layer.trainable_weights} == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(layer, name), array.astype(dtype))


@pytest.mark.parametrize("sd", [1.0, 1e-3])
def test_log_det_is_that_of_the_jacobian(sd, rng):
    x = tf.constant(sd * rng.normal(size=(20, len(GROUPS))))
    layer = layer_of(cases.radial_groups(), "float64")
    for map_and_log_det in (layer.forward_and_log_det, layer.inverse_and_log_det):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y, log_det = map_and_log_det(x)
        _, exact = np.linalg.slogdet(tape.batch_jacobian(y, x, experimental_use_pfor=False))
        np.testing.assert_allclose(log_det, exact, rtol=1e-9, atol=1e-9)


def test_a_new_layer_touches_the_identity_at_typical_radii(rng):
    layer = Radial([0] * 63, 4, dtype="float64")
    layer.build((None, 63))
    x = rng.normal(size=(500, 63))
    y, log_det = layer.forward_and_log_det(tf.constant(x))
    np.testing.assert_allclose(y, x, rtol=0.05)
    assert np.abs(log_det).mean() < 0.2


def test_learns_the_law_of_radii(rng):
    """Rows of random sizes: the fit starts at N(0, I) and gains what their density is above it."""
    layer = Radial([0, 0, 0, -1], 3)
    x = rng.normal(size=(500, 4)) * np.exp(rng.normal(size=(500, 1))) ** [1, 1, 1, 0]
    x = tf.constant(x, "float32")
    layer.build(x.shape)
    optimizer, losses = keras.optimizers.Adam(0.1), []
    for _ in range(25):
        with tf.GradientTape() as tape:
            y, log_det = layer.forward_and_log_det(x)
            loss = tf.reduce_mean(0.5 * tf.reduce_sum(y * y, axis=1) - log_det)
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
        losses.append(float(loss))
    assert losses[-1] < losses[0] - 0.3
    np.testing.assert_allclose(layer.inverse_and_log_det(y)[0], x, rtol=0.2, atol=1e-3)


@each_dtype
def test_gradients_are_finite_everywhere(dtype):
    layer = layer_of(cases.radial_groups(), dtype)
    sizes = [0.0, 1e-15, 1e-3, 1.0, 1e6, -1e15]
    x = tf.constant(np.outer(sizes, np.ones(len(GROUPS))), dtype)
    for map_and_log_det in (layer.forward_and_log_det, layer.inverse_and_log_det):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y, log_det = map_and_log_det(x)
            loss = tf.reduce_sum(tf.abs(y)) - tf.reduce_sum(log_det)
        gradients = tape.gradient(loss, [x, *layer.trainable_variables])
        assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_comes_back_from_a_file(tmp_path, rng):
    layer = layer_of(cases.radial_groups(), "float64")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    inputs = keras.Input((len(GROUPS),), dtype="float64")
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    x = rng.normal(size=(5, len(GROUPS)))
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), layer(x))


def test_refuses_rows_of_another_width():
    with pytest.raises(ValueError, match="2 columns, the rows have 3"):
        Radial([0, 0], 4).build((None, 3))

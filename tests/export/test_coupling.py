"""The layer of couplings against the engine, and its own contract."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.base import BaseEstimator

import cases
from rbig_keras import Coupling, export_to_keras
from rbig_numba.bijections.affine import Affine
from rbig_numba.bijections.regression import fit_coupling

BOUNDS = {"float64": 1e-9, "float32": 1e-4}
each_dtype = pytest.mark.parametrize("dtype", BOUNDS)


def fitted():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4000, 4))
    rows[:, 1] += np.sin(2 * rows[:, 0])
    rows[:, 3] *= np.exp(0.5 * rows[:, 2])
    weights = np.ones(2000)
    return fit_coupling(rows[:2000], weights, rows[2000:], weights, np.random.RandomState(0))


def layer_of(bijection, dtype):
    columns = len(bijection.given)
    model = BaseEstimator()
    model.fit = None
    identity = Affine(np.zeros(columns), np.ones(columns))
    model.flow_ = SimpleNamespace(bijections=(identity, bijection), n_features=columns)
    return export_to_keras(model, dtype=dtype).bijector_layers[1]


MAKERS = [cases.coupling, cases.coupling_many_columns, fitted]


@each_dtype
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("sd", [1.0, 10.0, 100.0, 1000.0])
@pytest.mark.parametrize("method", ["forward", "inverse"])
def test_equals_the_engine(make, dtype, sd, method):
    bijection = make()
    rows = cases.rows_of(bijection, 200, sd=sd).astype(dtype)
    y, log_det = getattr(bijection, method)(rows)
    keras_y, keras_log_det = getattr(layer_of(bijection, dtype), f"{method}_and_log_det")(rows)
    log_prob = log_det - 0.5 * (y**2).sum(axis=1)
    keras_log_prob = keras_log_det - 0.5 * (keras_y.numpy().astype(float) ** 2).sum(axis=1)
    bound, size = BOUNDS[dtype], np.abs(y).max(axis=1, keepdims=True)
    # Of a mean of the row's size little may be left.
    assert (np.abs(keras_y - y) <= bound * np.maximum(1.0, size)).all()
    assert (np.abs(keras_log_prob - log_prob) <= bound * np.maximum(1.0, np.abs(log_prob))).all()


@each_dtype
def test_holds_the_arrays_under_their_names(dtype):
    bijection = cases.coupling()
    layer = layer_of(bijection, dtype)
    arrays = bijection.arrays()
    assert layer.given == arrays.pop("given").tolist()
    assert {weight.name for weight in layer.trainable_weights} == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(layer, name), array.astype(dtype))


def test_log_det_is_that_of_the_jacobian(rng):
    x = tf.constant(rng.normal(size=(20, 3)))
    layer = layer_of(cases.coupling(), "float64")
    for map_and_log_det in (layer.forward_and_log_det, layer.inverse_and_log_det):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y, log_det = map_and_log_det(x)
        _, exact = np.linalg.slogdet(tape.batch_jacobian(y, x, experimental_use_pfor=False))
        np.testing.assert_allclose(log_det, exact, rtol=1e-10, atol=1e-10)


def test_a_new_layer_is_the_identity_and_learns(rng):
    layer = Coupling([1, 0, 1], 5, dtype="float64")
    x = rng.normal(size=(20, 3))
    np.testing.assert_array_equal(layer(x), x)
    with tf.GradientTape() as tape:
        y, log_det = layer.forward_and_log_det(tf.constant(x))
        loss = tf.reduce_sum(0.5 * y * y) - tf.reduce_sum(log_det)
    location, log_scale = tape.gradient(loss, [layer.location, layer.log_scale])
    assert (location.numpy() != 0.0).all()
    assert (log_scale.numpy() != 0.0).all()


@each_dtype
def test_gradients_are_finite_everywhere(dtype):
    layer = layer_of(cases.coupling(), dtype)
    x = tf.constant([[0.0] * 3, [1e6] * 3, [-1e6] * 3], dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, log_det = layer.forward_and_log_det(x)
        loss = tf.reduce_sum(0.5 * y * y) - tf.reduce_sum(log_det)
    gradients = tape.gradient(loss, [x, *layer.trainable_variables])
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_comes_back_from_a_file(tmp_path, rng):
    layer = layer_of(cases.coupling(), "float64")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    inputs = keras.Input((3,), dtype="float64")
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    x = rng.normal(size=(5, 3))
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), layer(x))


def test_refuses_rows_of_another_width():
    with pytest.raises(ValueError, match="2 columns, the rows have 3"):
        Coupling([1, 0], 4).build((None, 3))

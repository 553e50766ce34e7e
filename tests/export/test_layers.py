"""One contract for all layers, and what each layer promises besides."""

import itertools
from functools import partial

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from rbig_keras import Affine, FixedOrtho, Householder, JointMixture, MixtureCDFGaussianization
from rbig_keras.layers.affine import affine_arrays
from rbig_keras.layers.rotation import householder_arrays
from rbig_numba.bijections import affine as engine_affine

D = 3
EPS = {"float32": np.finfo("float32").eps, "float64": np.finfo("float64").eps}


def orthogonal(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def mixture_arrays(n_columns=D):
    """Overlapping, narrow and far components, and a wide one of small weight."""
    return {
        "logits": np.log(np.tile([0.3, 0.2, 0.499, 0.001], (n_columns, 1))),
        "means": np.tile([-1.0, 1.5, 0.2, 0.1], (n_columns, 1)) + np.arange(n_columns)[:, None],
        "log_scales": np.log(np.tile([0.5, 0.05, 1.0, 4.0], (n_columns, 1))),
    }


def with_weights(layer, arrays, n_columns=D):
    layer.build((None, n_columns))
    for name, array in arrays.items():
        getattr(layer, name).assign(array)
    return layer


def affine(dtype):
    arrays = affine_arrays(np.array([1.0, -2.0, 0.5]), np.array([0.5, 2.0, 1.0]), dtype)
    return with_weights(Affine(dtype=dtype), arrays)


def affine_with_a_reach(dtype):
    arrays = affine_arrays(np.array([1.0, -2.0, 0.5]), np.array([0.5, 2.0, 1.0]), dtype)
    return with_weights(Affine(100.0, dtype=dtype), arrays)


def fixed_ortho(dtype):
    return with_weights(FixedOrtho(dtype=dtype), {"q": orthogonal(D)})


def householder(dtype):
    return with_weights(Householder(dtype=dtype), householder_arrays(orthogonal(D)))


def mixture(dtype):
    return with_weights(MixtureCDFGaussianization(4, dtype=dtype), mixture_arrays())


def joint(dtype):
    """The components of `mixture`, turned and sheared, in two scales; the wide one as it is."""
    arrays = {name: array.T for name, array in mixture_arrays().items()}
    slopes = np.tril(np.random.default_rng(1).normal(size=(4, D, D)), -1)
    slopes[3] = 0.0
    sizes = np.array([[-0.3, 0.2], [0.0, 0.5], [-0.2, 0.1], [0.0, 0.3]])
    arrays |= {"logits": arrays["logits"][:, :1] + np.log([0.7, 0.3]), "slopes": slopes}
    return with_weights(JointMixture(4, 2, dtype=dtype), arrays | {"log_sizes": sizes})


CASES = (affine, affine_with_a_reach, fixed_ortho, householder, joint, mixture)
each_layer = pytest.mark.parametrize("make", CASES)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def relative_error(result, expected):
    """Return the largest error of a row relative to its largest number, or to 1."""
    result, expected = np.asarray(result), np.asarray(expected)
    size = np.maximum(1.0, np.abs(expected).max(axis=-1))
    return (np.abs(result - expected).max(axis=-1) / size).max()


@each_layer
@each_dtype
@pytest.mark.parametrize("n_rows", [1, 7])
def test_shapes_and_dtypes(make, dtype, n_rows, rng):
    x = tf.constant(rng.normal(size=(n_rows, D)), dtype)
    layer = make(dtype)
    for rows, log_det in (layer.forward_and_log_det(x), layer.inverse_and_log_det(x)):
        assert rows.shape == (n_rows, D)
        assert log_det.shape == (n_rows,)
        assert rows.dtype == log_det.dtype == dtype


@each_layer
def test_log_det_is_that_of_the_jacobian(make, rng):
    x = tf.constant(rng.normal(size=(20, D)))
    layer = make("float64")
    for map_and_log_det in (layer.forward_and_log_det, layer.inverse_and_log_det):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y, log_det = map_and_log_det(x)
        _, exact = np.linalg.slogdet(tape.batch_jacobian(y, x, experimental_use_pfor=False))
        np.testing.assert_allclose(log_det, exact, rtol=1e-10, atol=1e-10)


@each_layer
@each_dtype
def test_inverse_returns_and_negates_the_log_det(make, dtype, rng):
    layer = make(dtype)
    near, far = rng.normal(size=(2, 50, D))
    for x, tolerance in ((near, 2000), (1000 * far, 50)):
        x = x.astype(dtype)
        y, log_det = layer.forward_and_log_det(x)
        again, inverse_log_det = layer.inverse_and_log_det(y)
        assert relative_error(again, x) <= tolerance * EPS[dtype]
        np.testing.assert_allclose(inverse_log_det, -log_det, rtol=1e-3, atol=1e4 * EPS[dtype])


@each_layer
def test_float32_equals_float64(make, rng):
    x = np.vstack([rng.normal(size=(200, D)), 1000 * rng.normal(size=(50, D))]).astype("float32")
    y, log_det = make("float32").forward_and_log_det(x)
    exact_y, exact_log_det = make("float64").forward_and_log_det(x.astype("float64"))
    assert relative_error(y, exact_y) <= 2e-6
    np.testing.assert_allclose(log_det, exact_log_det, rtol=2e-6, atol=1e-5)


@each_layer
@each_dtype
def test_called_as_a_layer(make, dtype, rng):
    x = rng.normal(size=(5, D))
    layer = make(dtype)
    y = layer(x)
    np.testing.assert_array_equal(y, layer.forward_and_log_det(tf.constant(x, dtype))[0])
    np.testing.assert_allclose(layer(y, inverse=True), x, rtol=1e-4)


@pytest.mark.parametrize(
    "make",
    [
        Affine,
        FixedOrtho,
        partial(JointMixture, 4),
        partial(JointMixture, 4, 3),
        partial(MixtureCDFGaussianization, 4, init_mean_range=0.0),
    ],
)
def test_a_new_layer_is_the_identity(make, rng):
    layer = make(dtype="float64")
    x = rng.normal(size=(20, D))
    np.testing.assert_allclose(layer(x), x, rtol=1e-14, atol=1e-14)


@each_layer
def test_config_goes_through_keras_serialization(make):
    layer = make("float64")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


@each_layer
@each_dtype
def test_gradients_are_finite_everywhere(make, dtype):
    layer = make(dtype)
    means = mixture_arrays()["means"].T
    x = tf.constant(np.vstack([np.zeros((1, D)), means, [[1e6] * D], [[-1e6] * D]]), dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, log_det = layer.forward_and_log_det(x)
        loss = tf.reduce_sum(0.5 * y * y) - tf.reduce_sum(log_det)
    gradients = tape.gradient(loss, [x, *layer.trainable_variables])
    for gradient in gradients:
        assert np.isfinite(gradient).all()


def scipy_mixture(x, logits, means, log_scales):
    """F from the smaller tail by SciPy; z and log dz/dx."""
    u = (x[..., None] - means) * np.exp(-log_scales)
    lower, upper = (
        scipy.special.logsumexp(logits + scipy.special.log_ndtr(side), axis=-1) for side in (u, -u)
    )
    z = scipy.special.ndtri_exp(np.minimum(lower, upper))
    log_f = scipy.special.logsumexp(
        logits - log_scales - 0.5 * u * u - 0.5 * np.log(2 * np.pi), axis=-1
    )
    return np.where(lower < upper, z, -z), log_f + 0.5 * z * z + 0.5 * np.log(2 * np.pi)


def test_mixture_equals_scipy(rng):
    x = np.vstack([rng.normal(size=(200, D)), 30 * rng.normal(size=(50, D))])
    z, log_det = mixture("float64").forward_and_log_det(x)
    exact_z, exact_log_slope = scipy_mixture(x, **mixture_arrays())
    np.testing.assert_allclose(z, exact_z, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(log_det, exact_log_slope.sum(axis=1), rtol=1e-10, atol=1e-10)


@each_dtype
def test_mixture_crosses_an_empty_gap(dtype):
    """Between components 200 standard deviations apart all density underflows."""
    arrays = {
        "logits": np.log([[0.3, 0.7]]),
        "means": np.array([[-1.0, 1.0]]),
        "log_scales": np.log([[0.01, 0.01]]),
    }
    layer = with_weights(MixtureCDFGaussianization(2, dtype=dtype), arrays, n_columns=1)
    x = np.linspace(-1.2, 1.2, 49, dtype=dtype)[:, None]
    z, log_det = layer.forward_and_log_det(x)
    exact_z, exact_log_slope = scipy_mixture(x.astype("float64"), **arrays)
    np.testing.assert_allclose(z, exact_z, rtol=20 * EPS[dtype], atol=20 * EPS[dtype])
    np.testing.assert_allclose(log_det, exact_log_slope[:, 0], rtol=1e4 * EPS[dtype])
    again = layer.inverse_and_log_det(z)[0]
    np.testing.assert_allclose(layer.forward_and_log_det(again)[0], z, rtol=1e-5, atol=1e-5)


def test_mixture_inverse_has_the_gradient_of_the_implicit_function(rng):
    layer = mixture("float64")
    z = tf.constant(rng.normal(size=(4, D)))
    with tf.GradientTape() as tape:
        x = tf.reduce_sum(layer.inverse_and_log_det(z)[0])
    gradient = tape.gradient(x, layer.means).numpy()
    for j, k in itertools.product(range(D), range(4)):
        means = mixture_arrays()["means"]
        ends = []
        for step in (1e-6, -2e-6):
            means[j, k] += step
            layer.means.assign(means)
            ends.append(layer.inverse_and_log_det(z)[0].numpy().sum())
        assert gradient[j, k] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    "matrix",
    [
        *(orthogonal(size, seed) for size in (1, 2, 5, 40) for seed in (0, 1)),
        np.eye(4),
        -np.eye(1),
        np.eye(4)[[2, 0, 3, 1]],
        np.diag([1.0, -1.0, 1.0]),
    ],
)
def test_householder_equals_any_orthogonal_matrix(matrix):
    size = len(matrix)
    layer = with_weights(Householder(dtype="float64"), householder_arrays(matrix), size)
    np.testing.assert_allclose(layer.orthogonal(), matrix, rtol=0, atol=1e-14)


@pytest.mark.parametrize("n_reflectors", [1, 3, D])
def test_householder_has_the_gradients_of_its_reflections(n_reflectors, rng):
    """First and second derivatives, against reflections one after the other."""
    layer = Householder(n_reflectors, dtype="float64")
    layer.build((None, D))
    given = rng.normal(size=(D, D))
    signs = tf.convert_to_tensor(layer.signs)

    def one_by_one():
        q = tf.eye(D, dtype="float64")
        for v in tf.unstack(layer.v.value, axis=0):
            q -= 2.0 * tf.tensordot(tf.linalg.matvec(q, v), v, 0) / tf.tensordot(v, v, 1)
        return q * signs

    def derivatives(orthogonal):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                value = tf.reduce_sum(given * orthogonal())
            first = inner.gradient(value, layer.v.value)
            squared = tf.reduce_sum(first * first)
        return first, outer.gradient(squared, layer.v.value)

    for ours, theirs in zip(derivatives(layer.orthogonal), derivatives(one_by_one), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * np.abs(theirs).max())


@each_dtype
def test_householder_stays_orthogonal_in_training(dtype, rng):
    layer = householder(dtype)
    x, target = (tf.constant(rng.normal(size=(64, D)), dtype) for _ in range(2))
    optimizer = keras.optimizers.Adam(0.1)
    start = layer.v.numpy()
    for _ in range(50):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((layer(x) - target) ** 2)
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
    assert np.abs(layer.v.numpy() - start).max() > 0.1
    q = layer.orthogonal().numpy()
    np.testing.assert_allclose(q.T @ q, np.eye(D), rtol=0, atol=20 * EPS[dtype])


@each_dtype
def test_mixture_of_weights_that_underflow(dtype):
    """As a joint mixture's are, given far columns: the lighter component holds the smaller tail."""
    arrays = {
        "logits": np.array([[0.0, -3000.0, -200.0]]),
        "means": np.array([[0.0, -150.0, 40.0]]),
        "log_scales": np.zeros((1, 3)),
    }
    layer = with_weights(MixtureCDFGaussianization(3, dtype=dtype), arrays, n_columns=1)
    x = np.linspace(-160.0, 160.0, 65, dtype=dtype)[:, None]
    z, log_det = layer.forward_and_log_det(x)
    exact_z, exact_log_slope = scipy_mixture(x.astype("float64"), **arrays)
    # Of exponents of 1e4 rounding leaves 1e-12.
    np.testing.assert_allclose(z, exact_z, rtol=100 * EPS[dtype], atol=100 * EPS[dtype])
    np.testing.assert_allclose(log_det, exact_log_slope[:, 0], rtol=1e4 * EPS[dtype], atol=1e-4)


@tf.function
def gradient_of_nll(layer, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, log_det = layer.forward_and_log_det(x)
        nll = tf.reduce_sum(0.5 * y * y) - tf.reduce_sum(log_det)
    return tape.gradient(nll, x)


def test_second_derivatives_of_a_mixture_are_exact(rng):
    layer, x = mixture("float64"), tf.constant(rng.normal(size=(6, D)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(gradient_of_nll(layer, x))
    step = 1e-5
    ends = (gradient_of_nll(layer, x + sign * step) for sign in (1, -1))
    expected = (next(ends) - next(ends)) / (2 * step)
    np.testing.assert_allclose(tape.gradient(total, x), expected, rtol=1e-5, atol=1e-5)


@each_dtype
def test_no_number_is_beyond_a_reach(dtype):
    """Fill values of 9.97e36, and the largest number there is."""
    largest = np.finfo(dtype).max
    x = np.array([0.0, 1.0, 99.0, 101.0, 1e10, 9.97e36, largest], dtype)[:, None] * [[-1, 1, 1]]
    layer = affine_with_a_reach(dtype)
    engine = engine_affine.Affine(
        np.array([1.0, -2.0, 0.5]), np.array([0.5, 2.0, 1.0]), np.array(100.0)
    )
    y, log_det = layer.forward_and_log_det(x.astype(dtype))
    exact, exact_log_det = engine.forward(x.astype(dtype).astype(float))
    np.testing.assert_allclose(y, exact, rtol=20 * EPS[dtype], atol=20 * EPS[dtype])
    np.testing.assert_allclose(log_det, exact_log_det, rtol=20 * EPS[dtype], atol=20 * EPS[dtype])
    back, _ = layer.inverse_and_log_det(y)
    assert np.isfinite(back).all()
    np.testing.assert_allclose(back, x, rtol=2000 * EPS[dtype], atol=20 * EPS[dtype])
    beyond, _ = layer.inverse_and_log_det(np.full((1, D), 1e6, dtype))
    assert np.isfinite(beyond).all()


def test_reach_is_kept_by_config_and_told_apart():
    layer = affine_with_a_reach("float32")
    assert type(layer).from_config(layer.get_config()).reach == 100.0

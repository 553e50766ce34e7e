"""The names of the package that the notebook imports, called as its users call them."""

import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy.stats import norm

from rbig_keras import (
    FixedOrtho,
    Householder,
    MixtureCDFGaussianization,
    MixtureOfGaussians,
)
from rbig_keras.bijectors import (
    MixtureCDFCoupling,
    default_half_mask,
    make_mlp_conditioner,
    make_shared_mlp_conditioner,
    sigmoid_log_scale_clamp,
    tanh_log_scale_clamp,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def x():
    """Rows (64, 4) in float64, as numpy makes them: layers are float32."""
    return np.random.default_rng(1).normal(size=(64, 4))


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def couplings(flow):
    return [b for b in flow.bijector_layers if isinstance(b, MixtureCDFCoupling)]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "rbig_keras",
            "FixedOrtho GaussianizationFlow Householder MixtureCDFCoupling MixtureOfGaussians "
            "MixtureCDFGaussianization base_nll_loss default_half_mask initialize_flow_from_ig "
            "make_coupling_flow make_gaussianization_flow make_mlp_conditioner "
            "make_shared_mlp_conditioner sigmoid_log_scale_clamp tanh_log_scale_clamp",
        ),
        ("rbig_keras.bijectors", "FixedOrtho Householder MixtureCDFCoupling"),
        ("rbig_keras.mixtures", "MixtureOfGaussians"),
    ],
)
def test_imports(module, names):
    for name in names.split():
        assert callable(getattr(importlib.import_module(module), name)), name


@pytest.mark.parametrize("convert", [np.asarray, ops.convert_to_tensor])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mixture_of_gaussians(convert, dtype):
    rng = np.random.default_rng(0)
    logits, means, log_scales = (convert(rng.normal(size=(2, 3)).astype(dtype)) for _ in range(3))
    mixture = MixtureOfGaussians(logits, means, log_scales)
    again = MixtureOfGaussians(logits=logits, means=means, log_scales=log_scales)
    rows = rng.normal(size=(7, 2))
    weights = np.exp(numpy(logits).astype(float))
    weights /= weights.sum(axis=1, keepdims=True)
    scales = np.exp(numpy(log_scales).astype(float))
    density = (weights * norm.pdf(rows[..., None], numpy(means), scales)).sum(axis=-1)
    share = (weights * norm.cdf(rows[..., None], numpy(means), scales)).sum(axis=-1)
    rtol = 1e-5 if dtype == "float32" else 1e-12
    for each in (mixture, again):
        np.testing.assert_allclose(each.pdf(rows), density, rtol=rtol)
        np.testing.assert_allclose(each.log_pdf(rows), np.log(density), rtol=rtol, atol=rtol)
        np.testing.assert_allclose(each.cdf(rows.astype("float32")), share, rtol=1e-5)
        assert numpy(each.cdf(rows)).dtype == dtype
    for name, given in (("logits", logits), ("means", means), ("log_scales", log_scales)):
        np.testing.assert_array_equal(numpy(getattr(mixture, name)), numpy(given))


def test_mixture_layer_starts_as_its_arguments_say(x):
    layer = MixtureCDFGaussianization(6, 30, 20.0, 1e-5, 2.0, 0.5, name="m")
    z = layer(x)
    assert z.shape == (64, 4)
    assert [w.name for w in layer.trainable_weights] == ["logits", "means", "log_scales"]
    assert all(weight.shape == (4, 6) for weight in layer.weights)
    assert (layer.logits.numpy() == 0.0).all()
    assert (layer.log_scales.numpy() == 0.5).all()
    means = layer.means.numpy()
    assert np.abs(means).max() <= 2.0
    assert means.std() == pytest.approx(2.0 / np.sqrt(3.0), rel=0.4)
    kept = {"bisect_steps": 30, "bisect_range": 20.0, "eps": 1e-5, "init_mean_range": 2.0}
    for name, value in kept.items():
        assert getattr(layer, name) == layer.get_config()[name] == value
    again = MixtureCDFGaussianization.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    default = MixtureCDFGaussianization(num_components=2)
    assert (default.bisect_steps, default.bisect_range, default.eps) == (40, 50.0, 1e-6)
    assert (default.init_mean_range, default.init_log_scale) == (3.0, 0.0)


def test_mixture_layer_is_assigned_inverted_and_differentiated(x):
    layer = MixtureCDFGaussianization(3)
    layer.build((None, 4))
    layer.means.assign(np.tile([-1.0, 0.0, 1.0], (4, 1)))
    layer.log_scales.assign(np.full((4, 3), -0.5))
    z, log_det = layer.forward_and_log_det(x)
    np.testing.assert_allclose(layer(x), z)
    np.testing.assert_allclose(layer.losses, [-np.mean(log_det)], rtol=1e-6)
    np.testing.assert_allclose(layer.inverse(z), x, atol=1e-5)
    mixture = MixtureOfGaussians(layer.logits, layer.means, layer.log_scales)
    np.testing.assert_allclose(norm.cdf(z), mixture.cdf(x), atol=1e-6)
    expected = numpy(mixture.log_pdf(x)) - norm.logpdf(z)
    np.testing.assert_allclose(log_det, expected.sum(axis=1), rtol=1e-4, atol=1e-4)
    with tf.GradientTape() as tape:
        z, log_det = layer.forward_and_log_det(x)
        loss = tf.reduce_mean(0.5 * z * z) - tf.reduce_mean(log_det)
    for gradient in tape.gradient(loss, layer.trainable_weights):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("n_components", [1, 5])
def test_mixture_layer_adapts_to_quantiles(x, n_components):
    """An outlier's column gives a scale of its own no more than the others'."""
    rows = x * [0.2, 1.0, 3.0, 10.0]
    layer = MixtureCDFGaussianization(n_components)
    layer.adapt_means_from_quantiles(rows)
    levels = (np.arange(n_components) + 0.5) / n_components
    np.testing.assert_allclose(layer.means, np.quantile(rows, levels, axis=0).T, rtol=1e-5)
    scale = rows.std(axis=0).mean() / n_components
    np.testing.assert_allclose(layer.log_scales, np.full((4, n_components), np.log(scale)), 1e-5)
    layer.adapt_means_from_quantiles(0.01 * x)
    least = 0.1 if n_components > 1 else (0.01 * x).std(axis=0).mean()
    np.testing.assert_allclose(layer.log_scales, np.log(least), rtol=1e-5)
    for wrong in (x[:, 0], x[None]):
        with pytest.raises(ValueError, match=r"\(n, d\)"):
            layer.adapt_means_from_quantiles(wrong)
    layer.adapt_means_from_quantiles(np.ones((3, 4)))
    assert np.isfinite(layer(np.ones((1, 4)))).all()


@pytest.mark.parametrize("num_reflectors", [1, 2, 4, 7])
def test_householder(x, num_reflectors):
    layer = Householder(num_reflectors)
    z = layer(x)
    assert layer.v.shape == (num_reflectors, 4)
    assert layer.v.trainable
    expected = x.copy()
    for v in layer.v.numpy().astype(float):
        expected -= 2.0 * np.outer(expected @ v, v) / (v @ v)
    np.testing.assert_allclose(z, expected, atol=1e-5)
    rotated, log_det = layer.forward_and_log_det(x)
    np.testing.assert_array_equal(log_det, np.zeros(64))
    np.testing.assert_allclose(layer.inverse(rotated), x, atol=1e-5)


def test_householder_draws_from_a_normal_and_by_the_seed():
    draws = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        layer = Householder(num_reflectors=30)
        layer.build((None, 30))
        draws.append(layer.v.numpy())
    np.testing.assert_array_equal(draws[0], draws[1])
    assert np.abs(draws[0] - draws[2]).max() > 1
    assert draws[0].std() == pytest.approx(1.0, abs=0.1)
    assert np.abs(draws[0].mean()) < 0.15


@pytest.mark.parametrize(
    "make",
    [
        lambda x: FixedOrtho(np.linalg.qr(x[:4])[0]),
        lambda x: FixedOrtho(q=np.linalg.qr(x[:4])[0].astype("float32"), name="given"),
        lambda x: FixedOrtho.random_haar(4),
        lambda x: FixedOrtho.random_haar(4, seed=2, name="haar"),
        lambda x: FixedOrtho.from_pca(x, name="pca"),
    ],
)
def test_fixed_ortho(x, make):
    layer = make(x)
    layer.build((None, 4))
    assert layer.q.shape == (4, 4)
    assert layer.trainable_weights == []
    q = layer.q.numpy()
    np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-5)
    z, log_det = layer.forward_and_log_det(x)
    np.testing.assert_allclose(z, x @ q, atol=1e-5)
    np.testing.assert_allclose(layer(x), x @ q, atol=1e-5)
    np.testing.assert_array_equal(log_det, np.zeros(64))
    np.testing.assert_allclose(layer.inverse(z), x, atol=1e-5)
    again = FixedOrtho.from_config(layer.get_config())
    np.testing.assert_array_equal(again(x), layer(x))


def test_fixed_ortho_of_pca_and_of_seeds(x):
    rows = x @ np.diag([1.0, 5.0, 0.2, 2.0])
    variances = np.var(numpy(FixedOrtho.from_pca(rows)(rows)), axis=0)
    assert (np.diff(variances) < 0).all()
    one, same, other = (FixedOrtho.random_haar(4, seed=seed).q.numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1
    for wrong in (np.ones((2, 3)), np.ones(3)):
        with pytest.raises(ValueError, match="square"):
            FixedOrtho(wrong)


def test_masks_and_clamps():
    for d, expected in ((2, [True, False]), (5, [True, True, False, False, False])):
        mask = default_half_mask(d)
        assert mask.dtype == bool
        assert mask.tolist() == expected
    raw = np.linspace(-4.0, 4.0, 9).astype("float32")
    np.testing.assert_allclose(tanh_log_scale_clamp()(raw), 3.0 * np.tanh(raw), atol=1e-6)
    np.testing.assert_allclose(tanh_log_scale_clamp(bound=2.0)(raw), 2.0 * np.tanh(raw), atol=1e-6)
    logistic = 1.0 / (1.0 + np.exp(-raw))
    np.testing.assert_allclose(sigmoid_log_scale_clamp()(raw), -3.0 + 6.0 * logistic, atol=1e-6)
    clamp = sigmoid_log_scale_clamp(min_log_scale=-5.0, max_log_scale=1.0)
    np.testing.assert_allclose(clamp(ops.convert_to_tensor(raw)), -5 + 6 * logistic, atol=1e-6)


@pytest.mark.parametrize("make", [make_mlp_conditioner, make_shared_mlp_conditioner])
def test_conditioners_are_zero_at_first_and_of_any_width(make, x):
    for arguments in ((2, 5), (2, 5, (8,), "tanh")):
        network = make(*arguments)
        assert not network.built
        assert numpy(network(x)).shape == (64, 3 * 2 * 5)
        assert (numpy(network(x)) == 0.0).all()
    network = make(d_b=2, num_components=5, hidden=(16, 8), activation="relu")
    network.build((None, 3))
    dense = [layer for layer in network.layers if hasattr(layer, "kernel")]
    assert [layer.units for layer in dense[:-1]] == [16, 8]
    assert (dense[-1].kernel.numpy() == 0).all()
    assert (dense[-1].bias.numpy() == 0).all()


def test_a_shared_conditioner_repeats_its_mixture(x):
    network = make_shared_mlp_conditioner(3, 2, (4,))
    network.build((None, 1))
    last = [layer for layer in network.layers if hasattr(layer, "kernel")][-1]
    last.bias.assign(np.arange(6.0))
    packed = numpy(network(x[:5, :1])).reshape(5, 3, 3, 2)
    for column in range(3):
        np.testing.assert_array_equal(
            packed[:, :, column], np.tile(np.arange(6.0), (5, 1, 1)).reshape(5, 3, 2)
        )


@pytest.mark.parametrize("make", [make_mlp_conditioner, make_shared_mlp_conditioner])
@pytest.mark.parametrize("mask", [[True, False, True, False], np.array([False, True, True, True])])
def test_coupling(x, make, mask):
    d_b = 4 - int(np.sum(mask))
    layer = MixtureCDFCoupling(mask, make(d_b, 8))
    z, log_det = layer.forward_and_log_det(x)
    np.testing.assert_allclose(z, x, atol=1e-5)
    np.testing.assert_allclose(log_det, np.zeros(64), atol=1e-5)
    assert (layer.d_a, layer.d_b, layer.num_components) == (4 - d_b, d_b, 8)
    assert layer.mask.dtype == bool
    np.testing.assert_array_equal(layer.mask, mask)
    dense = [each for each in layer.conditioner.layers if hasattr(each, "kernel")][-1]
    rng = np.random.default_rng(0)
    dense.kernel.assign(0.1 * rng.normal(size=dense.kernel.shape))
    dense.bias.assign(rng.normal(size=dense.bias.shape))
    z, log_det = layer.forward_and_log_det(x)
    given = np.asarray(mask)
    np.testing.assert_array_equal(numpy(z)[:, given], x[:, given].astype("float32"))
    packed = numpy(layer.conditioner(x[:, given])).reshape(64, 3, d_b, 8)
    mixture = MixtureOfGaussians(packed[:, 0], packed[:, 1], 3.0 * np.tanh(packed[:, 2]))
    np.testing.assert_allclose(norm.cdf(numpy(z)[:, ~given]), mixture.cdf(x[:, ~given]), atol=1e-5)
    np.testing.assert_allclose(layer.inverse(z), x, atol=1e-3)
    assert np.abs(log_det).max() > 0.1
    assert layer(x).shape == (64, 4)
    assert len(layer.losses) == 1


def test_coupling_takes_its_arguments_by_order_and_name():
    clamp = sigmoid_log_scale_clamp()
    layer = MixtureCDFCoupling([True, False], make_mlp_conditioner(1, 4), 4, 20, 9.0, 1e-4, clamp)
    again = MixtureCDFCoupling(
        mask=[True, False],
        conditioner=make_mlp_conditioner(1, 4),
        num_components=4,
        bisect_steps=20,
        bisect_range=9.0,
        eps=1e-4,
        log_scale_clamp=clamp,
        name="c",
    )
    for each in (layer, again):
        kept = (each.num_components, each.bisect_steps, each.bisect_range, each.eps)
        assert kept == (4, 20, 9.0, 1e-4)
        assert each.log_scale_clamp is clamp
    loaded = MixtureCDFCoupling.from_config(again.get_config())
    assert loaded.get_config()["log_scale_clamp"] == again.get_config()["log_scale_clamp"]
    free = MixtureCDFCoupling(
        [True, False], make_mlp_conditioner(1, 4), 4, log_scale_clamp=ops.tanh
    )
    assert np.isfinite(free(np.zeros((3, 2)))).all()


def test_coupling_refuses_other_widths(x):
    network = keras.Sequential([keras.layers.Dense(7)])
    layer = MixtureCDFCoupling(default_half_mask(4), network, num_components=4)
    with pytest.raises(ValueError, match="conditioner output width"):
        layer(x)
    with pytest.raises(ValueError, match="mask has 4 columns, the rows have 3"):
        MixtureCDFCoupling(default_half_mask(4), make_mlp_conditioner(2, 4), 4)(x[:, :3])

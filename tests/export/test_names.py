"""Layers, factories and habits of the notebook that the package started from."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops
from scipy.stats import norm

import rbig_keras
from rbig_keras import (
    FixedOrtho,
    GaussianizationFlow,
    Householder,
    LogScaleClamp,
    MixtureCDFGaussianization,
    base_nll_loss,
    make_coupling_flow,
    make_gaussianization_flow,
    make_mlp_conditioner,
)
from rbig_keras.bijectors import MixtureCDFCoupling
from rbig_keras.layers import base
from rbig_keras.layers.rotation import householder_arrays
from rbig_keras.mixtures import MixtureOfGaussians


def count(flow):
    return sum(int(np.prod(v.shape)) for v in flow.trainable_variables)


def test_every_public_name_is_there():
    for name in rbig_keras.__all__:
        assert hasattr(rbig_keras, name), name


def test_diagonal_flow_has_the_notebooks_layers(moons):
    flow = make_gaussianization_flow(2, 8, 2, 8, pca_init_data=moons, mixture_init_data=moons)
    kinds = [type(layer) for layer in flow.bijector_layers]
    assert kinds == [FixedOrtho, *8 * [Householder, MixtureCDFGaussianization]]
    assert count(flow) == 416


def test_coupling_flow_has_the_notebooks_layers(moons):
    flow = make_coupling_flow(input_dim=2, num_blocks=4, num_components=8, hidden=(64, 64))
    kinds = [type(layer) for layer in flow.bijector_layers]
    assert kinds == 4 * [Householder, MixtureCDFCoupling, MixtureCDFCoupling]
    assert count(flow) == 46_800
    z, _ = flow.forward_and_log_det(moons)
    np.testing.assert_allclose(flow.invert(z), moons, atol=1e-5)


@pytest.mark.parametrize("data", [True, False])
def test_a_new_flow_keeps_rows_in_bounds(moons, data):
    """Where scales are K times narrower than columns the mean is -881 nats, clipped."""
    flow = make_gaussianization_flow(2, 8, mixture_init_data=moons if data else None)
    assert np.mean(flow.log_prob(moons)) > -8
    far = np.array([[10.0, -10.0]])
    assert np.abs(flow(far)).max() < 1000
    np.testing.assert_allclose(flow.invert(flow(far)), far, rtol=1e-4)


def test_clipping_is_that_of_other_packages(moons):
    """The notebook's start, of its draws: rows end up where F is clipped, block after block."""
    keras.utils.set_random_seed(1)
    flow = make_gaussianization_flow(2, 8, 2, 8, moons, moons, clip=1e-6)
    assert np.mean(flow.log_prob(moons), dtype=float) == pytest.approx(-881.520, abs=0.1)
    limit = norm.ppf(float(np.float32(1 - 1e-6)))
    mixture = flow.bijector_layers[-1]
    z, log_det = mixture.forward_and_log_det(np.array([[50.0, -50.0]], "float32"))
    np.testing.assert_allclose(z, [[limit, -limit]], rtol=1e-6)
    means, scales = mixture.means.numpy(), np.exp(mixture.log_scales.numpy())
    log_f = [
        np.logaddexp.reduce(norm.logpdf(x, m, s)) - np.log(8)
        for x, m, s in zip((50.0, -50.0), means, scales, strict=True)
    ]
    np.testing.assert_allclose(log_det, sum(log_f) - 2 * norm.logpdf(limit), rtol=1e-4)


@pytest.mark.parametrize("make", [make_gaussianization_flow, make_coupling_flow])
def test_both_ways_of_training_are_the_same(make, moons):
    x, losses = moons[:512].astype("float32"), []
    for arguments, targets in (({"loss": base_nll_loss}, (x,)), ({}, ())):
        keras.utils.set_random_seed(0)
        flow = make(2, 2, num_components=4)
        flow.compile(keras.optimizers.Adam(5e-3), **arguments)
        losses.append(flow.fit(x, *targets, epochs=2, verbose=0).history["loss"])
    assert losses[0] == losses[1]


def test_any_other_loss_is_refused():
    flow = make_gaussianization_flow(2, 1)
    with pytest.raises(ValueError, match=r"leave loss out.*got 'mse'"):
        flow.compile("adam", loss="mse")


def test_a_layer_reports_its_log_det_on_the_way_forward_only(moons):
    flow = make_gaussianization_flow(2, 1)
    layer = flow.bijector_layers[1]
    _, log_det = layer.forward_and_log_det(moons.astype("float32"))
    y = layer(moons)
    np.testing.assert_allclose(layer.losses, [-np.mean(log_det)], rtol=1e-6)
    layer(y, inverse=True)
    assert layer.losses == []
    z = flow(moons)
    loss = base_nll_loss(moons, z) + sum(flow.losses)
    np.testing.assert_allclose(loss, -np.mean(flow.log_prob(moons)), rtol=1e-5)
    flow.compile("sgd")
    assert flow.evaluate(moons, batch_size=5000, verbose=0) == pytest.approx(float(loss), rel=1e-5)


def test_layers_train_within_other_models(moons):
    x = moons[:1000].astype("float32")
    inputs = keras.Input((2,))
    mixture = MixtureCDFGaussianization(3)
    mixture.build((None, 2))
    mixture.means.assign([[-1.0, 0.0, 1.0]] * 2)
    model = keras.Model(inputs, mixture(Householder()(inputs)))
    model.compile(keras.optimizers.Adam(0.02), loss=base_nll_loss)
    losses = model.fit(x, x, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.1


def test_intermediates_are_the_states_between_layers(moons):
    flow = make_gaussianization_flow(2, 2)
    states = flow.forward_with_intermediates(moons[:5])
    assert len(states) == 5
    np.testing.assert_allclose(states[0], moons[:5], rtol=1e-6)
    np.testing.assert_array_equal(states[-1], flow(moons[:5]))


def test_pca_axes_and_random_ones(rng):
    rows = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4))
    layer = FixedOrtho.from_pca(rows, dtype="float64")
    covariance = np.cov(layer(rows), rowvar=False)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-12)
    assert (np.diff(np.diag(covariance)) < 0).all()
    q = FixedOrtho.random_haar(4, seed=1, dtype="float64").q.numpy()
    np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-14)
    np.testing.assert_array_equal(q, FixedOrtho.random_haar(4, 1, dtype="float64").q)


@pytest.mark.parametrize("n_reflectors", [1, 2, 4, 5, 6, 8])
def test_fewer_reflectors_make_the_first_axes(rng, n_reflectors):
    matrix = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    layer = Householder(n_reflectors, dtype="float64")
    layer.build((None, 5))
    for name, array in householder_arrays(matrix, n_reflectors).items():
        getattr(layer, name).assign(array)
    q = layer.orthogonal().numpy()
    np.testing.assert_allclose(q[:, :n_reflectors], matrix[:, :n_reflectors], atol=1e-14)
    np.testing.assert_allclose(q.T @ q, np.eye(5), atol=1e-14)


def test_mixtures_know_density_and_distribution(rng):
    parameters = rng.normal(size=(3, 2, 4))
    mixture = MixtureOfGaussians(*(ops.convert_to_tensor(p) for p in parameters))
    x = rng.normal(size=(50, 2)) * 3
    weights = np.exp(parameters[0]) / np.exp(parameters[0]).sum(axis=1, keepdims=True)
    u = (x[..., None] - parameters[1]) / np.exp(parameters[2])
    density = (weights * norm.pdf(u) / np.exp(parameters[2])).sum(axis=-1)
    cdf = (weights * norm.cdf(u)).sum(axis=-1)
    np.testing.assert_allclose(mixture.log_pdf(x), np.log(density), rtol=1e-10)
    np.testing.assert_allclose(mixture.log_cdf(x), np.log(cdf), rtol=1e-9, atol=1e-12)
    z, log_slope = mixture.gaussianize(ops.convert_to_tensor(x))
    np.testing.assert_allclose(mixture.quantile(z), x, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(log_slope, np.log(density) - norm.logpdf(z), rtol=1e-9, atol=1e-9)


def test_clamps_are_bounded_and_invertible():
    for clamp in (LogScaleClamp(), rbig_keras.tanh_log_scale_clamp(8.0)):
        log_scales = np.linspace(-7.9, 7.9, 50)
        np.testing.assert_allclose(clamp(clamp.inverse(log_scales)), log_scales, rtol=1e-12)
        assert np.abs(clamp(np.array([-1e3, 1e3]))).max() <= 8


def test_one_mixture_for_all_columns_trains(moons, rng):
    flow = make_coupling_flow(5, 1, 4, (8,), shared_mixture=True)
    x = rng.gamma(2.0, size=(640, 5)).astype("float32")
    np.testing.assert_allclose(flow.invert(flow(x)), x, atol=1e-5)
    flow.compile(keras.optimizers.Adam(1e-2))
    losses = flow.fit(x, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.1


def network(width):
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(width)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Householder(0, name="h"),
            "h: num_reflectors must be",
        ),
        (
            lambda: MixtureCDFCoupling([1, 0], network(5), 2, name="c").build((None, 2)),
            r"c: the conditioner output width must be 3 x 1 column\(s\) x 2 components = 6, it is "
            "5",
        ),
        (
            lambda: MixtureCDFCoupling([1, 0], network(6), 2, name="c").build((None, 3)),
            "c: the mask has 2 columns, the rows have 3",
        ),
        (lambda: make_coupling_flow(3, mask=[1, 1, 1]), "the mask must have a 0 and a 1"),
        (lambda: make_coupling_flow(1), "the mask must have a 0 and a 1"),
        (lambda: MixtureCDFGaussianization(2, clip=0.7), "clip must be between 0 and 0.5"),
        (lambda: MixtureCDFGaussianization(0), "num_components must be at least 1, got 0"),
        (lambda: make_gaussianization_flow(2, 1, num_components=0), "must be at least 1, got 0"),
        (lambda: make_gaussianization_flow(0), "input_dim must be at least 1, got 0"),
        (lambda: make_coupling_flow(0), "the mask must have a 0 and a 1"),
        (
            lambda: make_gaussianization_flow(2, pca_init_data=np.zeros((5, 3))),
            r"pca_init_data: rows must be \(n, d\), with d = input_dim = 2; got shape \(5, 3\)",
        ),
        (
            lambda: make_gaussianization_flow(2, mixture_init_data=[[0.0, 1.0], [np.nan, 2.0]]),
            r"mixture_init_data: 1 row\(s\) are not finite, the first in row 1, column 0: nan",
        ),
        (
            lambda: make_gaussianization_flow(2, 1, pca_init_data=np.zeros((1, 2))),
            "pca_init_data: at least two rows are needed, got 1",
        ),
        (lambda: FixedOrtho(np.full((2, 2), 0.6), name="q"), "q: q isn't orthogonal, q'q differs"),
        (lambda: FixedOrtho(np.eye(2), name="q").build((None, 3)), "q: q has 2 columns, the rows"),
    ],
)
def test_errors_name_the_layer(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("method", ["log_prob", "invert", "fit"])
def test_rows_that_are_not_finite_are_counted(method):
    flow = make_gaussianization_flow(2, 1)
    flow.compile("sgd")
    rows = np.zeros((5, 2))
    rows[3, 1] = rows[4, 0] = np.nan
    with pytest.raises(
        ValueError, match=r"2 row\(s\) are not finite, the first in row 3, column 1"
    ):
        getattr(flow, method)(rows)


def test_weights_by_class_and_masks_count(moons):
    x = moons[:300].astype("float32")
    labels = np.arange(300) % 2
    flow = make_gaussianization_flow(2, 1)
    flow.compile(keras.optimizers.SGD(0.0))
    history = flow.fit(x, labels, class_weight={0: 0.0, 1: 2.0}, batch_size=300, verbose=0).history
    expected = -np.mean(flow.log_prob(x[1::2]))
    assert history["loss"] == [pytest.approx(expected, rel=1e-5)]
    masked = keras.layers.Masking(mask_value=-9.0)(np.vstack([x, np.full((7, 2), -9.0)]))
    loss = flow.compute_loss(x=masked)
    assert float(loss) == pytest.approx(-np.mean(flow.log_prob(x)), rel=1e-5)


def test_penalties_of_weights_join_the_loss(moons):
    flow = make_coupling_flow(2, 1, 2, (4,))
    flow.compile("sgd")
    plain = flow.evaluate(moons, batch_size=5000, verbose=0)
    dense = flow.bijector_layers[1].conditioner.layers[0]
    dense.kernel.regularizer = keras.regularizers.L2(10.0)
    flow.compile("sgd")
    penalty = 10.0 * np.sum(np.square(dense.kernel.numpy()))
    assert penalty > 0.1
    penalised = flow.evaluate(moons, batch_size=5000, verbose=0)
    assert penalised == pytest.approx(plain + penalty, rel=1e-5)


def test_mixed_precision_is_the_conditioners(moons):
    """Bijections stay in the dtype of their weights: half of it can't tell far rows apart."""
    x = moons[:512].astype("float32")
    network = make_mlp_conditioner(1, 2, (16,), dtype="mixed_bfloat16")
    coupling = MixtureCDFCoupling([1, 0], network, 2, dtype="mixed_bfloat16")
    flow = GaussianizationFlow([Householder(dtype="mixed_bfloat16"), coupling], 2, dtype="float32")
    assert network(x[:1, :1]).dtype == "bfloat16"
    assert flow(x[:1]).dtype == "float32"
    assert coupling(x[:1]).dtype == "float32"
    flow.compile(keras.optimizers.Adam(1e-2))
    losses = flow.fit(x, epochs=2, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    with pytest.raises(ValueError, match=r"h: float16 can't hold tails"):
        Householder(dtype="float16", name="h")


@pytest.mark.parametrize("jit_compile", [True, False])
def test_compiled_or_not(moons, jit_compile):
    x = moons[:512].astype("float32")
    flow = make_coupling_flow(2, 2, 4, (16,))
    flow.compile(keras.optimizers.Adam(5e-3), jit_compile=jit_compile)
    losses = flow.fit(x, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_flow_of_layers_goes_through_files(moons, tmp_path):
    flow = make_coupling_flow(2, 1, 4, (8,), activation="tanh", shared_mixture=True)
    flow.compile(keras.optimizers.Adam(1e-2), loss=base_nll_loss)
    flow.fit(moons.astype("float32"), epochs=1, verbose=0)
    flow.save(tmp_path / "flow.keras")
    again = keras.models.load_model(tmp_path / "flow.keras")
    assert isinstance(again, GaussianizationFlow)
    np.testing.assert_array_equal(again.log_prob(moons), flow.log_prob(moons))
    again.fit(moons.astype("float32"), epochs=1, verbose=0)  # compiled as it was
    assert int(again.optimizer.iterations) == 2 * int(np.ceil(5000 / 32))


def test_a_file_of_a_newer_version_says_so(moons, tmp_path, monkeypatch):
    flow = make_gaussianization_flow(2, 1)
    with monkeypatch.context() as newer:
        newer.setattr(base, "FORMAT", 3)
        flow.save(tmp_path / "flow.keras")
    name = flow.bijector_layers[0].name
    message = rf"{name} \(Householder\) was written by a newer rbig_keras, in format 3"
    with pytest.raises(ValueError, match=message):
        keras.models.load_model(tmp_path / "flow.keras")


def test_a_missing_backend_says_what_to_install():
    script = "import sys; sys.modules['jax'] = None; import rbig_keras"
    environment = {"PYTHONPATH": ":".join(sys.path), "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert "Keras needs jax: pip install jax, or name an installed backend" in done.stderr


@pytest.mark.parametrize("bounds", [(2.0, 2.0), (3.0, -3.0), (-3.0, 3.0, 0.0), (np.nan, 1.0)])
def test_clamps_need_room(bounds):
    with pytest.raises(ValueError, match="low < high and slope > 0 are needed"):
        LogScaleClamp(*bounds)

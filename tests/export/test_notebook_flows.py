"""Flows of the package that the notebook imports, made and trained as its users do."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.stats import norm

from rbig_keras import (
    FixedOrtho,
    GaussianizationFlow,
    Householder,
    MixtureCDFGaussianization,
    base_nll_loss,
    initialize_flow_from_ig,
    make_coupling_flow,
    make_gaussianization_flow,
)
from rbig_keras.bijectors import (
    MixtureCDFCoupling,
    default_half_mask,
    make_mlp_conditioner,
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


def test_diagonal_flow_by_order_and_name(x):
    flow = make_gaussianization_flow(4, 2, 3, 5, x, x)
    kinds = [FixedOrtho, *2 * [Householder, MixtureCDFGaussianization]]
    assert [type(layer) for layer in flow.bijector_layers] == kinds
    assert flow.bijector_layers[1].v.shape == (3, 4)
    assert flow.bijector_layers[2].means.shape == (4, 5)
    levels = (np.arange(5) + 0.5) / 5
    for layer in flow.bijector_layers[2::2]:  # rows as given, not as pushed
        np.testing.assert_allclose(layer.means, np.quantile(x, levels, axis=0).T, rtol=1e-5)
    flow = make_gaussianization_flow(
        input_dim=4,
        num_blocks=1,
        num_reflectors=None,
        num_components=3,
        pca_init_data=None,
        mixture_init_data=None,
    )
    kinds = [type(layer) for layer in flow.bijector_layers]
    assert kinds == [Householder, MixtureCDFGaussianization]
    assert flow.bijector_layers[0].v.shape == (4, 4)
    assert len(make_gaussianization_flow(2).bijector_layers) == 12


@pytest.mark.parametrize("shared_mixture", [True, False])
def test_coupling_flow_by_order_and_name(x, shared_mixture):
    mask = [True, False, False, True]
    flow = make_coupling_flow(4, 2, 3, (8,), "tanh", mask, shared_mixture, True, 2)  # noqa: FBT003
    kinds = 2 * [Householder, MixtureCDFCoupling, MixtureCDFCoupling]
    assert [type(layer) for layer in flow.bijector_layers] == kinds
    for number, layer in enumerate(couplings(flow)):
        np.testing.assert_array_equal(layer.mask, np.not_equal(mask, number % 2 == 1))
    flow = make_coupling_flow(
        input_dim=4, num_blocks=1, mask=None, shared_mixture=shared_mixture, include_rotation=False
    )
    assert flow.bijector_layers == couplings(flow)
    np.testing.assert_array_equal(couplings(flow)[0].mask, default_half_mask(4))
    np.testing.assert_allclose(flow.invert(flow(x)), x, atol=1e-4)


def test_flow_of_layers(x):
    layers = [FixedOrtho.random_haar(4, 0), MixtureCDFGaussianization(3), Householder(2)]
    flow = GaussianizationFlow(layers, 4)
    assert flow.bijector_layers == layers
    assert flow.input_dim == 4
    z = flow(x)
    np.testing.assert_allclose(flow.invert(z), x, atol=1e-4)
    total = sum(
        numpy(layer.forward_and_log_det(rows)[1])
        for layer, rows in zip(layers, flow.forward_with_intermediates(x)[:-1], strict=True)
    )
    np.testing.assert_allclose(flow.forward_with_intermediates(x)[-1], z, rtol=1e-5)
    log_p = norm.logpdf(numpy(z).astype(float)).sum(axis=1) + total
    np.testing.assert_allclose(flow.log_prob(ops.convert_to_tensor(x)), log_p, rtol=1e-4)
    assert flow.sample(5).shape == (5, 4)
    one, same, other = (numpy(flow.sample(num_samples=9, seed=seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


def test_base_nll_loss(x):
    expected = -norm.logpdf(x).sum(axis=1).mean()
    assert float(base_nll_loss(x, x)) == pytest.approx(expected, rel=1e-6)
    assert float(base_nll_loss(y_true=None, y_pred=x)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n_blocks", [1, 3])
def test_warm_start_is_alike_for_diagonal_and_coupling_flows(x, n_blocks):
    """Fits depend on block and column only, and the clamp doesn't change them."""
    rows = np.exp(
        0.5 * np.repeat(x, 8, axis=0) + 0.1 * np.random.default_rng(0).normal(size=(512, 4))
    )
    diagonal = make_gaussianization_flow(4, n_blocks, num_components=4, pca_init_data=rows)
    diagonal = GaussianizationFlow(diagonal.bijector_layers[1:], 4)
    coupled = make_coupling_flow(4, n_blocks, num_components=4, hidden=(8,))
    narrow = [
        MixtureCDFCoupling(layer.mask, make_mlp_conditioner(2, 4), 4)
        if isinstance(layer, MixtureCDFCoupling)
        else Householder(4)
        for layer in coupled.bijector_layers
    ]
    flows = (diagonal, coupled, GaussianizationFlow(narrow, 4))
    latents = [initialize_flow_from_ig(flow, rows, random_state=0) for flow in flows]
    log_p = [numpy(flow.log_prob(rows)) for flow in flows]
    for flow, z, scores in zip(flows, latents, log_p, strict=True):
        assert z.dtype == np.float32
        assert z.shape == rows.shape
        assert np.median(np.abs(z - latents[0])) <= 1e-6
        assert np.median(np.abs(scores - log_p[0])) <= 1e-6
        np.testing.assert_allclose(flow(rows), z, rtol=1e-4, atol=1e-4)
    for layer in couplings(coupled):
        assert (layer.conditioner.layers[-1].kernel.numpy() == 0).all()


def test_warm_start_refuses_what_it_cannot_fit(x):
    flow = make_gaussianization_flow(4, 1)
    for wrong in (x[:, :3], x[:, 0]):
        with pytest.raises(ValueError, match="input_dim"):
            initialize_flow_from_ig(flow, wrong)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(TypeError, match="GaussianizationFlow"):
        initialize_flow_from_ig(model, x)


def test_the_notebooks_own_loop(moons):
    """As it builds, starts and trains flows, but for fewer blocks and epochs."""
    rows = moons.astype("float32")
    keras.utils.set_random_seed(3)
    flow = make_coupling_flow(input_dim=2, num_blocks=1, num_components=8, hidden=(16,))
    _ = flow(ops.convert_to_tensor(rows[:4]))
    initialize_flow_from_ig(flow, rows)
    start = np.mean(numpy(flow.log_prob(ops.convert_to_tensor(rows))))
    flow.compile(optimizer=keras.optimizers.Adam(3e-3), loss=base_nll_loss)
    history = flow.fit(rows, rows, batch_size=512, epochs=4, verbose=0)
    assert history.history["loss"][-1] < -start - 0.05
    assert numpy(flow.sample(num_samples=30, seed=2)).shape == (30, 2)

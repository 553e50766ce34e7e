"""Flows fitted layer by layer, and trained from there."""

import keras
import numpy as np
import pytest

from rbig_keras import (
    Affine,
    GaussianizationFlow,
    LogScaleClamp,
    MixtureCDFCoupling,
    Radial,
    blocks,
    export_to_keras,
    fine_tune,
    initialize_flow_from_ig,
    make_coupling_flow,
    make_gaussianization_flow,
    make_mlp_conditioner,
)
from rbig_keras.push import _compiled

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def mean_log_prob(flow, x):
    return np.mean(flow.log_prob(x), dtype=float)


@pytest.fixture(scope="module")
def held_out():
    from sklearn.datasets import make_moons

    train, _ = make_moons(5000, noise=0.05, random_state=0)
    rows, _ = make_moons(20_000, noise=0.05, random_state=1)
    return (rows - train.mean(axis=0)) / train.std(axis=0)


@pytest.mark.parametrize("seed", [0, 1])
def test_diagonal_flow_of_the_notebook(moons, held_out, seed):
    """The notebook's own start has -1.78 held-out nats."""
    flow = make_gaussianization_flow(2, 8, 2, 8, pca_init_data=moons, mixture_init_data=moons)
    z = initialize_flow_from_ig(flow, moons, random_state=seed)
    assert mean_log_prob(flow, held_out) >= -1.35
    assert z.dtype == "float32"
    np.testing.assert_allclose(z, flow(moons), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(z, rowvar=False), np.eye(2), atol=0.03)


def test_coupling_flow_starts_blind_or_conditional(moons, held_out):
    blind, seeing = (make_coupling_flow(2, 2, 8, (32,)) for _ in range(2))
    seeing.set_weights(blind.get_weights())
    initialize_flow_from_ig(blind, moons)
    couplings = [b for b in blind.bijector_layers if isinstance(b, MixtureCDFCoupling)]
    for coupling in couplings:
        assert (coupling.conditioner.layers[-1].kernel.numpy() == 0.0).all()
    initialize_flow_from_ig(seeing, moons, conditioner="fit")
    assert mean_log_prob(seeing, held_out) > mean_log_prob(blind, held_out) + 0.05
    np.testing.assert_allclose(seeing.invert(seeing(moons)), moons, atol=1e-4)


@pytest.mark.parametrize("n_blocks", [1, 3])
def test_blind_couplings_are_a_diagonal_flow(moons, n_blocks):
    """With kernels of zero a coupling Gaussianizes its column as a diagonal layer does."""
    coupled = make_coupling_flow(2, n_blocks, 5, (8,))
    diagonal = make_gaussianization_flow(2, n_blocks, num_components=5)
    z, expected = (initialize_flow_from_ig(flow, moons) for flow in (coupled, diagonal))
    assert np.median(np.abs(z - expected)) <= 1e-6
    difference = np.asarray(coupled.log_prob(moons)) - np.asarray(diagonal.log_prob(moons))
    assert np.median(np.abs(difference)) <= 1e-6


@pytest.mark.parametrize("bounds", [(-0.1, 0.1), (1.0, 2.0)])
def test_a_clamp_too_narrow_for_the_fit_is_widened(moons, bounds):
    """Columns come out as from a diagonal layer, whatever the clamp, and in compiled code too."""
    wide, narrow = (
        coupling_of(make_mlp_conditioner(1, 2), log_scale_clamp=clamp)
        for clamp in (LogScaleClamp(), LogScaleClamp(*bounds))
    )
    narrow.predict(moons[:64], verbose=0)
    initialize_flow_from_ig(wide, moons)
    z = initialize_flow_from_ig(narrow, moons)
    np.testing.assert_allclose(z, wide(moons), atol=1e-5)
    np.testing.assert_allclose(narrow.predict(moons[:64], verbose=0), z[:64], atol=1e-5)


def test_a_failed_start_leaves_the_clamps_as_they_were(moons):
    first = coupling_of(make_mlp_conditioner(1, 2), log_scale_clamp=LogScaleClamp(1.0, 2.0))
    flow = GaussianizationFlow([*first.bijector_layers, Radial([0, 0], 2)], 2)
    with pytest.raises(ValueError, match="can't be fitted"):
        initialize_flow_from_ig(flow, moons)
    assert flow.bijector_layers[0].log_scale_clamp.high == 2.0


def test_columns_do_not_depend_on_each_other(rng):
    """The fit of a column is its own, whatever stands beside it and whatever the seed."""
    rows = rng.gamma(2.0, size=(2000, 3))
    means = []
    for columns, seed in (([0, 1, 2], 0), ([0, 2, 1], 5)):
        layer = make_gaussianization_flow(3, 1).bijector_layers[1]
        initialize_flow_from_ig(GaussianizationFlow([layer], 3), rows[:, columns], seed)
        means.append(layer.means.numpy()[np.argsort(columns)])
    np.testing.assert_array_equal(*means)


@pytest.mark.parametrize("columns", [1, 20])
def test_few_and_many_columns_and_rows_in_their_own_units(columns, rng):
    rows = 1000.0 + 50.0 * rng.gamma(2.0, size=(500, columns))
    inner = make_gaussianization_flow(columns, 2, num_components=3).bijector_layers
    flow = GaussianizationFlow([Affine(), *inner], columns, dtype="float32")
    z = initialize_flow_from_ig(flow, rows)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=0.1)
    np.testing.assert_allclose(flow.invert(z), rows, rtol=1e-4)


def test_many_rows_run_compiled_and_give_the_same(moons, monkeypatch):
    flows = [make_gaussianization_flow(2, 2, num_components=4) for _ in range(2)]
    expected = initialize_flow_from_ig(flows[0], moons[:1001])
    monkeypatch.setattr(blocks, "BLOCK", 500)
    monkeypatch.setattr(blocks, "XLA_BLOCK", 300)
    _compiled.cache_clear()
    z = initialize_flow_from_ig(flows[1], moons[:1001])
    assert _compiled.cache_info().misses == 1
    assert _compiled.cache_info().hits == 3  # two layers of two columns
    np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-4)


def test_few_rows_and_single_components(rng):
    rows = rng.normal(size=(12, 2))
    for n_components in (1, 2, 8):
        flow = make_gaussianization_flow(2, 1, num_components=n_components)
        assert np.isfinite(initialize_flow_from_ig(flow, rows)).all()


def test_one_mixture_for_all_columns_of_a_coupling(rng):
    rows = rng.gamma(2.0, size=(1000, 4))
    flow = make_coupling_flow(4, 1, 4, (8,), shared_mixture=True)
    before = mean_log_prob(flow, rows)
    initialize_flow_from_ig(flow, rows, conditioner="fit")
    assert mean_log_prob(flow, rows) > before + 1


class Residual(keras.layers.Layer):
    """A conditioner that adds something to what its last dense layer returns."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.layers = [keras.layers.Dense(6)]

    def build(self, input_shape):
        self.layers[0].build(input_shape)

    def call(self, x):
        return self.layers[0](x) + x

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 6)


def coupling_of(conditioner, **kwargs):
    layer = MixtureCDFCoupling([1, 0], conditioner, 2, name="c", **kwargs)
    return GaussianizationFlow([layer], 2)


@pytest.mark.parametrize(
    ("make", "rows", "message"),
    [
        (
            lambda: coupling_of(make_mlp_conditioner(1, 2), log_scale_clamp=keras.ops.tanh),
            None,
            "c: log_scale_clamp must be a LogScaleClamp, to be inverted",
        ),
        (lambda: coupling_of(Residual()), None, "c: the conditioner must return what its last"),
        (
            lambda: make_gaussianization_flow(2, 1),
            np.zeros((5, 3)),
            r"be \(n, d\), with d = input_dim = 2",
        ),
        (
            lambda: make_gaussianization_flow(2, 1),
            np.full((5, 2), np.nan),
            r"5 row\(s\) are not finite, the first in row 0, column 0: nan",
        ),
        (lambda: make_gaussianization_flow(2, 1), np.ones((5, 2)), r"column\(s\) \[0, 1\] are"),
    ],
    ids=["clamp", "residual", "columns", "NaN", "constant"],
)
def test_errors_leave_the_flow_as_it_was(moons, make, rows, message):
    flow = make()
    before = flow.get_weights()
    with pytest.raises(ValueError, match=message):
        initialize_flow_from_ig(flow, moons if rows is None else rows)
    for old, new in zip(before, flow.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_can_not_be_fitted_is_named(small_model, moons):
    flow = GaussianizationFlow([Radial([0, 0], 2, name="r")], 2)
    with pytest.raises(ValueError, match="r: layers of kind Radial can't be fitted"):
        initialize_flow_from_ig(flow, moons)
    with pytest.raises(TypeError, match="must be a GaussianizationFlow, got Sequential"):
        initialize_flow_from_ig(keras.Sequential(), moons)
    with pytest.raises(ValueError, match="conditioner must be 'zero' or 'fit', got 'none'"):
        initialize_flow_from_ig(flow, moons, conditioner="none")


def test_fine_tuning_gains_and_keeps_the_best(small_model, moons, held_out):
    flow = export_to_keras(small_model)
    before = mean_log_prob(flow, held_out)
    history = fine_tune(flow, moons, epochs=4, learning_rate=5e-3)
    assert history.best < history.start
    assert history.best == pytest.approx(min(history.history["val_loss"]), abs=1e-5)
    assert mean_log_prob(flow, held_out) > before + 0.01


def test_fine_tuning_never_ends_below_its_start(small_model, moons):
    flow = export_to_keras(small_model)
    weights = flow.get_weights()
    history = fine_tune(flow, moons, epochs=2, learning_rate=30.0)
    assert history.best == history.start
    for old, new in zip(weights, flow.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_fine_tuning_with_weights_and_given_rows(small_model, moons, held_out):
    flow = export_to_keras(small_model)
    weights = (moons[:, 0] > 0).astype(float)
    right = held_out[held_out[:, 0] > 0][:1000]
    before = mean_log_prob(flow, right)
    fine_tune(flow, moons, weights, right, epochs=3, learning_rate=5e-3)
    assert mean_log_prob(flow, right) > before + 0.3
    for fraction in (-0.1, 0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match=f"validation_fraction={fraction} must be between"):
            fine_tune(flow, moons, validation_fraction=fraction)
    with pytest.raises(ValueError, match="too few to hold 10% of them out"):
        fine_tune(flow, moons[:1])

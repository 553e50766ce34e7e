"""Flows that become models of the engine."""

import keras
import numpy as np
import pytest

from rbig_keras import (
    MixtureOfFlows,
    export_to_keras,
    import_from_keras,
    make_coupling_flow,
    make_gaussianization_flow,
    parity,
)
from rbig_numba import RBIG

BOUNDS = {"float32": 1e-5, "float64": 1e-11}


@pytest.fixture(scope="module")
def auto_model():
    """A model with blocks of every kind."""
    rng = np.random.default_rng(0)
    rows = rng.standard_t(3, size=(4000, 4)) * np.exp(rng.normal(size=(4000, 1)))
    rows[:, 1] += np.sin(2 * rows[:, 0])
    blocks = ["radial", "coupling", "mixture", "mixture", "joint"]
    model = RBIG(blocks=blocks, validation_fraction=0, random_state=0).fit(rows)
    assert {b.kind for b in model.flow_.bijections} == {
        "affine",
        "joint",
        "mixture",
        "rotation",
        "radial",
        "coupling",
    }
    return model, rows


@pytest.mark.parametrize("trainable_rotation", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_there_and_back(auto_model, dtype, trainable_rotation):
    model, rows = auto_model
    flow = export_to_keras(model, dtype=dtype, trainable_rotation=trainable_rotation)
    again = import_from_keras(flow)
    error = np.abs(again.score_samples(rows) - model.score_samples(rows))
    assert (error / np.maximum(1, np.abs(model.score_samples(rows)))).max() <= BOUNDS[dtype]
    np.testing.assert_allclose(again.inverse_transform(again.transform(rows)), rows, rtol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_trained_flow_scores_the_same(small_model, moons, dtype, tmp_path):
    flow = export_to_keras(small_model, dtype=dtype)
    flow.compile(keras.optimizers.Adam(0.01))
    flow.fit(moons[:1000].astype("float32"), epochs=2, verbose=0)
    model = import_from_keras(flow)
    assert np.abs(model.score_samples(moons) - small_model.score_samples(moons)).max() > 0.1
    error = np.abs(model.score_samples(moons) - np.asarray(flow.log_prob(moons)))
    assert (error / np.maximum(1, np.abs(model.score_samples(moons)))).max() <= 1e-5
    assert parity(model, flow, moons).dlog_p <= 1e-4  # to 1,000 standard deviations
    model.save(tmp_path / "model.npz")
    saved = RBIG.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(saved.score_samples(moons), model.score_samples(moons))
    assert saved.sample(5, random_state=0).shape == (5, 2)


def test_of_few_reflectors_and_more_blocks(moons):
    flow = make_gaussianization_flow(2, 3, 1, 4, mixture_init_data=moons)
    model = import_from_keras(flow)
    np.testing.assert_allclose(model.score_samples(moons), flow.log_prob(moons), atol=1e-5)
    before = model.score(moons)
    model.set_params(n_blocks=2, blocks="classic", random_state=0).fit_more(moons)
    assert model.score(moons) > before + 0.1


def test_what_has_no_counterpart_is_named(small_model):
    flow = make_coupling_flow(2, 1, 3)
    with pytest.raises(ValueError, match=rf"{flow.bijector_layers[1].name} \(MixtureCDFCoupling\)"):
        import_from_keras(flow)
    clipped = make_gaussianization_flow(2, 1, clip=1e-6)
    with pytest.raises(ValueError, match=clipped.bijector_layers[1].name):
        import_from_keras(clipped)
    small = export_to_keras(small_model)
    with pytest.raises(TypeError, match="must be a GaussianizationFlow, got MixtureOfFlows"):
        import_from_keras(MixtureOfFlows([small, small]))
    small.bijector_layers[1].means.assign(np.full((2, 5), np.nan))
    with pytest.raises(ValueError, match="mixture_1 has weights that are not finite"):
        import_from_keras(small)

"""An average of fits as a mixture of flows: density, samples, training, saving."""

import keras
import numpy as np
import pytest

from rbig_keras import GaussianizationFlow, MixtureOfFlows, export_to_keras, parity
from rbig_keras.layers import Affine
from rbig_numba import RBIG, RBIGEnsemble
from rbig_numba.cli import main

# Keras writes variables through TensorFlow's __array__, which lacks NumPy 2's copy keyword.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BOUNDS = {"float64": 1e-9, "float32": 1e-4}


@pytest.fixture(scope="module")
def ensemble(moons):
    base = RBIG(n_blocks=1, n_components=3, blocks="classic")
    return RBIGEnsemble(base, n_estimators=2, random_state=0).fit(moons[:500])


float32_only = pytest.mark.parametrize("mixture", ["float32"], indirect=True)


@pytest.fixture(params=BOUNDS)
def mixture(request, ensemble):
    return export_to_keras(ensemble, dtype=request.param)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def at(place):
    """A flow whose density is N(place, 1)."""
    layer = Affine(dtype="float64")
    layer.build((None, 1))
    layer.shift.assign([place])
    return GaussianizationFlow([layer], 1, dtype="float64")


def test_parity_far_rows_included(ensemble, mixture, moons):
    report = parity(ensemble, mixture, moons[:500])
    assert report.finite
    assert report.dlog_p <= BOUNDS[mixture.dtype], f"\n{report}"
    assert report.dz_relative <= 5e-5
    assert report.round_trip <= 5e-3


@float32_only
def test_parity_sees_a_changed_weight(ensemble, mixture, moons):
    mixture.logits.assign([0.0, 1.0])
    assert parity(ensemble, mixture, moons[:100]).dlog_p > 1e-3


def test_calls_give_log_densities(mixture, moons):
    x = moons[:70].astype(mixture.dtype)
    np.testing.assert_allclose(mixture(x), mixture.log_prob(x), rtol=1e-5, atol=1e-5)
    assert mixture.log_prob(x).shape == (70,)
    with pytest.raises(ValueError, match=r"takes rows of 2 columns.*received.*3 columns"):
        mixture.log_prob(np.zeros((4, 3)))


def test_weights_are_logits():
    mixture = MixtureOfFlows([at(0.0), at(50.0)], [1.0, 1.0 + np.log(3.0)], dtype="float64")
    expected = np.log([0.25, 0.75]) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(mixture.log_prob([[0.0], [50.0]]), expected, rtol=1e-12)
    rows = numpy(mixture.sample(4000, seed=1))[:, 0]
    # four standard errors
    assert (rows > 25).mean() == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / 4000))
    assert rows[rows < 25].std() == pytest.approx(1.0, abs=0.1)
    # each row draws its flow: no runs of rows from one
    assert (np.diff(rows > 25) != 0).mean() == pytest.approx(0.375, abs=0.05)


def test_samples_follow_the_seed():
    mixture = MixtureOfFlows([at(0.0), at(50.0)], dtype="float64")
    rows = numpy(mixture.sample(200, seed=3))
    assert rows.dtype == "float64"
    np.testing.assert_array_equal(rows, mixture.sample(200, seed=3))
    assert np.abs(rows - numpy(mixture.sample(200, seed=4))).max() > 1
    assert mixture.sample(1, seed=0).shape == (1, 1)


@float32_only
def test_trains_flows_and_weights_and_comes_back_from_a_file(mixture, moons, tmp_path):
    x = moons[:500].astype("float32")
    for flow in mixture.flows:
        flow.bijector_layers[1].means.assign_add(np.full((2, 4), 0.3))  # 3 and the background
    before = -numpy(mixture.log_prob(x)).mean()
    mixture.compile(optimizer=keras.optimizers.Adam(0.01), jit_compile=False)  # XLA: 20 s
    mixture.fit(x, batch_size=100, epochs=1, verbose=0)
    after = -numpy(mixture.log_prob(x)).mean()
    assert after < before - 0.01
    assert mixture.evaluate(x, batch_size=500, verbose=0) == pytest.approx(after, rel=1e-5)
    assert np.abs(numpy(mixture.logits)).max() > 0

    mixture.save(tmp_path / "mixture.keras")
    again = keras.models.load_model(tmp_path / "mixture.keras")
    np.testing.assert_array_equal(again.log_prob(x), mixture.log_prob(x))
    assert [w.path for w in again.weights] == [w.path for w in mixture.weights]


def test_the_command_line_exports_what_the_file_holds(ensemble, tmp_path, moons, capsys):
    ensemble.save(tmp_path / "my.rbig")
    command = ["export", f"{tmp_path}/my.rbig", "-o", f"{tmp_path}/my.keras", "--dtype", "float64"]
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert (stop.value.code or 0, *capsys.readouterr()) == (0, "", "")
    mixture = keras.models.load_model(tmp_path / "my.keras")
    x = moons[:100]
    np.testing.assert_allclose(mixture.log_prob(x), ensemble.score_samples(x), rtol=1e-9, atol=1e-9)

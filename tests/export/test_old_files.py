"""Files of format 1: weights had other names, reflectors stood in columns, networks were shared.

`files/` holds flows of layers of every kind with the log-densities and latent rows that they had;
`one_scale` is of format 2, from before joint mixtures had scales.
"""

import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from rbig_keras import MixtureOfFlows, Scorer
from rbig_keras.conditioners import repeating

FILES = Path(__file__).parent / "files"
NAMES = [path.stem for path in sorted(FILES.glob("*.keras"))]
TOLERANCE = {"float32": 4e-6, "float64": 1e-14}


def expected(name):
    """Return rows, their log-densities, latent rows or None, and how close is the same."""
    name, dtype = name.rsplit("_", 1)
    arrays = np.load(FILES / f"expected_{dtype}.npz")
    return arrays["x"], arrays[name], arrays.get(f"{name}_z"), TOLERANCE[dtype]


def assert_scores(model, name):
    x, log_p, z, tolerance = expected(name)
    np.testing.assert_allclose(model.log_prob(x), log_p, rtol=2 * tolerance, atol=2 * tolerance)
    if z is not None:
        np.testing.assert_allclose(model(x), z, rtol=4 * tolerance, atol=4 * tolerance)


def test_every_kind_of_layer_has_a_file():
    assert len(NAMES) == 8
    kinds = set()
    for name in NAMES:
        model = keras.models.load_model(FILES / f"{name}.keras")
        for flow in getattr(model, "flows", [model]):
            kinds |= {type(layer).__name__ for layer in flow.bijector_layers}
    assert kinds == {
        "Affine",
        "Coupling",
        "FixedOrtho",
        "Householder",
        "JointMixture",
        "MixtureCDFCoupling",
        "MixtureCDFGaussianization",
        "Radial",
    }


@pytest.mark.parametrize("name", NAMES)
def test_loads_scores_the_same_and_goes_on(name, tmp_path):
    model = keras.models.load_model(FILES / f"{name}.keras")
    assert_scores(model, name)
    model.save(tmp_path / "again.keras")
    again = keras.models.load_model(tmp_path / "again.keras")
    x = expected(name)[0]
    np.testing.assert_array_equal(again.log_prob(x), model.log_prob(x))
    assert isinstance(model, MixtureOfFlows) == name.startswith("mixture")


@pytest.mark.parametrize("name", ["layers_float32", "couplings_float64", "one_scale_float32"])
def test_weights_alone_load_too(name, tmp_path):
    """Into new flows: reflectors are turned where they come from a file of format 1 only."""
    model = keras.models.load_model(FILES / f"{name}.keras")
    with zipfile.ZipFile(FILES / f"{name}.keras") as parts:
        (tmp_path / "old.weights.h5").write_bytes(parts.read("model.weights.h5"))
    model.save_weights(tmp_path / "new.weights.h5")
    for file in ("old", "new"):
        fresh = type(model).from_config(model.get_config())
        fresh.load_weights(tmp_path / f"{file}.weights.h5")
        assert_scores(fresh, name)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_compiled_flow_trains_on():
    """Momenta of its one reflector, of three columns, were a column too."""
    flow = keras.models.load_model(FILES / "trained_float32.keras")
    assert_scores(flow, "trained_float32")
    (momenta,) = [v for v in flow.optimizer.variables if v.path.endswith("v_momentum")]
    assert momenta.shape == (1, 3)
    assert np.abs(momenta.numpy()).max() > 0
    assert int(flow.optimizer.iterations) == 2
    x = expected("trained_float32")[0].astype("float32")
    losses = flow.fit(x, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_compiled_flow_of_one_scale_trains_on(tmp_path):
    """Momenta of logits were (K,), and sizes had none."""
    flow = keras.models.load_model(FILES / "one_scale_float32.keras")
    x = expected("one_scale_float32")[0].astype("float32")
    for _ in range(2):
        kept = {variable.name: variable.numpy() for variable in flow.optimizer.variables}
        (of_logits, *_) = (v for name, v in kept.items() if name.endswith("logits_momentum"))
        assert of_logits.shape == (4, 1)
        assert np.abs(of_logits).max() > 0
        assert int(flow.optimizer.iterations) == 2
        sizes = [v for name, v in kept.items() if name.endswith("log_sizes_velocity")]
        assert [(v.shape, float(np.abs(v).max())) for v in sizes] == [((4, 1), 0.0), ((2, 1), 0.0)]
        flow.save(tmp_path / "again.keras")
        flow = keras.models.load_model(tmp_path / "again.keras")
    losses = flow.fit(x, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert np.abs(flow.bijector_layers[0].log_sizes.numpy()).max() > 0


def test_a_scorer_of_an_old_flow():
    flow = keras.models.load_model(FILES / "layers_float64.keras")
    x, log_p, _, tolerance = expected("layers_float64")
    np.testing.assert_allclose(Scorer(flow)(x), log_p, rtol=tolerance)


def test_a_shared_network_that_is_no_model_is_named():
    with pytest.raises(ValueError, match="d, a Dense, makes one mixture for all columns"):
        repeating(keras.layers.Dense(6, name="d"), 2, 2)

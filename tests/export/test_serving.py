"""What is exported for servers, loaded by their own runtimes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rbig_keras import Scorer, export_to_keras, make_coupling_flow
from rbig_numba import RBIG

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning"),  # tf2onnx
]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    rows = rng.standard_t(3, size=(3000, 4)) * np.exp(rng.normal(size=(3000, 1)))
    rows[:, 1] += np.sin(2 * rows[:, 0])
    return rows


@pytest.fixture(scope="module", params=["every kind of block", "coupling flow"])
def flow(request, table):
    if request.param == "coupling flow":
        return make_coupling_flow(4, 2, 3, (16,))
    blocks = ["radial", "coupling", "mixture", "mixture", "joint"]
    model = RBIG(blocks=blocks, validation_fraction=0, random_state=0).fit(table)
    return export_to_keras(model)


@pytest.fixture(scope="module")
def rows(table):
    """Rows of the table, and rows 1,000 times as far out."""
    return np.vstack([table[:100], 1000 * table[:5]]).astype("float32")


def assert_close(result, expected):
    expected = np.asarray(expected)
    assert result.shape == expected.shape
    assert (np.abs(result - expected) / np.maximum(1.0, np.abs(expected))).max() <= 1e-4


def test_tensorflow_serves_latents_and_log_densities(flow, rows, tmp_path):
    flow.export(tmp_path / "latents", verbose=False)
    served = tf.saved_model.load(tmp_path / "latents")
    assert_close(served.serve(rows).numpy(), flow(rows))
    Scorer(flow).export(tmp_path / "scores", verbose=False)
    served = tf.saved_model.load(tmp_path / "scores")
    assert_close(served.serve(rows).numpy(), flow.log_prob(rows))
    assert served.serve(rows[:1]).shape == (1,)


def test_onnx_serves_log_densities(flow, rows, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "scores.onnx"
    Scorer(flow).export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    (entry,) = session.get_inputs()
    (scores,) = session.run(None, {entry.name: rows})
    assert_close(scores, flow.log_prob(rows))


def test_a_scorer_is_saved_as_any_model(flow, rows, tmp_path):
    Scorer(flow).save(tmp_path / "scorer.keras")
    again = keras.models.load_model(tmp_path / "scorer.keras")
    np.testing.assert_array_equal(again(rows), flow.log_prob(rows))

"""The flow as a Keras model: density, samples, training, saving."""

import subprocess
import sys
import textwrap
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from rbig_keras import blocks
from rbig_keras.density import STEPS

# Keras writes variables through TensorFlow's __array__, which lacks NumPy 2's copy keyword.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


# One dtype where a test compiles training steps or starts a process, and arithmetic isn't at stake.
float32_only = pytest.mark.parametrize("small_flow", ["float32"], indirect=True)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def mean_nll(flow, x):
    return -numpy(flow.log_prob(x)).mean(dtype="float64")


def test_takes_arrays_and_tensors_of_any_float_dtype(small_flow, moons):
    x = moons[:10].astype("float32")
    expected = numpy(small_flow.log_prob(x))
    assert expected.shape == (10,)
    assert expected.dtype == small_flow.dtype
    for same in (x.astype("float64"), x.tolist(), tf.constant(x), np.asfortranarray(x)):
        np.testing.assert_array_equal(small_flow.log_prob(same), expected)


def test_maps_agree_with_each_other(small_flow, moons):
    x = moons[:50]
    z, log_det = small_flow.forward_and_log_det(x)
    np.testing.assert_array_equal(small_flow(x), z)
    log_normal = -0.5 * np.sum(numpy(z) ** 2, axis=1) - np.log(2 * np.pi)
    tolerance = {"float32": 1e-4, "float64": 1e-11}[small_flow.dtype]
    np.testing.assert_allclose(small_flow.log_prob(x), log_normal + log_det, atol=tolerance)
    np.testing.assert_allclose(small_flow.invert(z), x, atol=tolerance)


@float32_only
def test_predict_returns_the_latent_rows(small_flow, moons):
    x = moons[:70].astype("float32")
    expected = numpy(small_flow(x))
    np.testing.assert_allclose(small_flow.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("graph_blocks", [100, 1])
def test_rows_in_blocks_and_as_a_graph_give_the_same(small_flow, moons, monkeypatch, graph_blocks):
    monkeypatch.setattr(blocks, "BLOCK", 64)
    monkeypatch.setattr(blocks, "GRAPH_BLOCKS", graph_blocks)
    x = moons[:133]
    expected_z, expected_log_det = small_flow._forward(tf.constant(x, small_flow.dtype))
    tolerance = 100 * np.finfo(small_flow.dtype).eps
    z, log_det = small_flow.forward_and_log_det(x)
    np.testing.assert_allclose(z, expected_z, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(log_det, expected_log_det, rtol=tolerance, atol=tolerance)
    assert small_flow.log_prob(x).shape == (133,)
    np.testing.assert_allclose(small_flow.invert(z), x, rtol=1e-3, atol=1e-3)


@float32_only
def test_a_graph_sees_trained_weights(small_flow, moons, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 64)
    monkeypatch.setattr(blocks, "GRAPH_BLOCKS", 1)
    before = numpy(small_flow.log_prob(moons[:100]))
    small_flow.bijector_layers[1].means.assign_add(np.ones((2, 5)))  # 4 and the background
    assert np.abs(numpy(small_flow.log_prob(moons[:100])) - before).max() > 0.1


def test_samples_follow_the_seed_and_the_density(small_flow, small_model):
    rows = numpy(small_flow.sample(2000, seed=3))
    assert rows.shape == (2000, 2)
    assert rows.dtype == small_flow.dtype
    np.testing.assert_array_equal(rows, small_flow.sample(2000, seed=3))
    assert np.abs(rows - numpy(small_flow.sample(2000, seed=4))).max() > 1
    quantiles = [0.1, 0.5, 0.9]
    expected = np.quantile(small_model.sample(20_000, random_state=0), quantiles, axis=0)
    # three standard errors, 3 sqrt(0.25 / 2000) / 0.3 at the median
    np.testing.assert_allclose(np.quantile(rows, quantiles, axis=0), expected, atol=0.11)


def test_one_row_and_one_sample(small_flow, moons):
    assert small_flow.log_prob(moons[:1]).shape == (1,)
    assert small_flow.sample(1, seed=0).shape == (1, 2)


@pytest.mark.parametrize("method", ["log_prob", "invert", "forward_and_log_det", "__call__"])
def test_wrong_column_counts_name_both(small_flow, method):
    with pytest.raises(ValueError, match=r"takes rows of 2 columns.*received.*3 columns"):
        getattr(small_flow, method)(np.zeros((4, 3)))


def test_rows_must_be_a_table(small_flow):
    with pytest.raises(ValueError, match=r"received shape \(2,\)"):
        small_flow.log_prob(np.zeros(2))


def test_fit_lowers_the_exact_nll(small_flow, moons):
    train, held_out = moons[:2000].astype("float32"), moons[2000:3000].astype("float32")
    before = mean_nll(small_flow, train)
    small_flow.compile(optimizer=keras.optimizers.Adam(0.01))
    history = small_flow.fit(
        train,
        batch_size=250,
        epochs=3,
        verbose=0,
        validation_data=(held_out,),
        sample_weight=np.ones(len(train)),
    ).history
    assert mean_nll(small_flow, train) < before - 0.05
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_loss"][-1] == pytest.approx(mean_nll(small_flow, held_out), rel=1e-5)


@float32_only
def test_steps_of_one_go_change_nothing(small_flow, moons):
    """19 batches are no multiple of 16: the last are run, and endless rows end with the epoch."""
    rows, weights = moons[:1000].astype("float32"), small_flow.get_weights()

    def batches():
        while True:
            yield from ((rows[i : i + 53], rows[i : i + 53]) for i in range(0, 1000, 53))

    def losses(data, **kwargs):
        small_flow.set_weights(weights)
        small_flow.compile(keras.optimizers.Adam(0.01), **kwargs)
        limits = {} if data is rows else {"steps_per_epoch": 19}
        history = small_flow.fit(
            data, batch_size=53, epochs=2, shuffle=False, verbose=0, **limits
        ).history
        return history["loss"]

    one_by_one = losses(rows, steps_per_execution=1)
    assert losses(rows) == pytest.approx(one_by_one, rel=1e-5)
    assert small_flow.steps_per_execution == STEPS
    assert losses(batches()) == pytest.approx(one_by_one, rel=1e-5)
    small_flow.compile("sgd")
    small_flow.evaluate(batches(), steps=2, verbose=0)
    assert small_flow.steps_per_execution == 2


@float32_only
def test_loss_is_the_mean_nll(small_flow, moons):
    x = moons[:300].astype("float32")
    small_flow.compile(optimizer="sgd")
    loss = small_flow.evaluate(x, batch_size=300, verbose=0)
    assert loss == pytest.approx(mean_nll(small_flow, x), rel=1e-6)


@float32_only
def test_a_weight_of_two_is_the_row_twice(small_flow, moons):
    x = moons[:200].astype("float32")
    weights = np.arange(200) % 3
    small_flow.compile(optimizer="sgd")
    weighted = small_flow.evaluate(x, sample_weight=weights, batch_size=200, verbose=0)
    repeated = small_flow.evaluate(np.repeat(x, weights, axis=0), batch_size=200, verbose=0)
    assert weighted == pytest.approx(repeated, rel=1e-6)


@float32_only
def test_weights_count_in_training_and_validation(small_flow, moons):
    near, far = moons[:100].astype("float32"), 100 + moons[:100].astype("float32")
    rows, weights = np.vstack([near, far]), np.repeat([1.0, 0.0], 100)
    small_flow.compile(optimizer=keras.optimizers.SGD(0.0))
    history = small_flow.fit(
        rows,
        sample_weight=weights,
        validation_data=(rows, None, weights),
        batch_size=200,
        verbose=0,
    ).history
    expected = pytest.approx(mean_nll(small_flow, near), rel=1e-6)
    assert history["loss"] == [expected]
    assert history["val_loss"][0] == expected
    assert small_flow.fit(rows, rows, batch_size=200, verbose=0).history["loss"][0] > 10


def test_keras_file_gives_equal_outputs(small_flow, moons, tmp_path):
    path = tmp_path / "flow.keras"
    small_flow.save(path)
    again = keras.models.load_model(path)
    for mine, theirs in zip(small_flow.bijector_layers, again.bijector_layers, strict=True):
        assert mine.get_config() == theirs.get_config()
    for mine, theirs in zip(small_flow.weights, again.weights, strict=True):
        for name in ("path", "dtype", "trainable"):
            assert getattr(mine, name) == getattr(theirs, name)
    np.testing.assert_array_equal(again.log_prob(moons), small_flow.log_prob(moons))
    np.testing.assert_array_equal(again.sample(20, seed=1), small_flow.sample(20, seed=1))


@float32_only
def test_a_trained_and_frozen_flow_comes_back_as_it_was(small_flow, moons, tmp_path):
    x = moons[:256].astype("float32")
    small_flow.bijector_layers[1].trainable = False
    small_flow.compile(optimizer="adam")
    small_flow.fit(x, epochs=1, verbose=0)
    small_flow.save(tmp_path / "flow.keras")
    again = keras.models.load_model(tmp_path / "flow.keras")
    assert not again.bijector_layers[1].trainable
    np.testing.assert_array_equal(again.log_prob(x), small_flow.log_prob(x))
    again.fit(x, epochs=1, verbose=0)


@float32_only
def test_files_hold_no_pickles(small_flow, tmp_path):
    path = tmp_path / "flow.keras"
    small_flow.save(path)
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
        assert b"Lambda" not in archive.read("config.json")


@float32_only
def test_a_file_loads_and_scores_where_numba_is_missing(small_flow, moons, tmp_path):
    small_flow.save(tmp_path / "flow.keras")
    x = moons[:5].astype(small_flow.dtype)
    np.save(tmp_path / "x.npy", x)
    script = """
        import sys
        sys.modules["numba"] = sys.modules["llvmlite"] = None
        import keras, numpy as np, rbig_keras
        flow = keras.models.load_model("flow.keras")
        np.save("log_p.npy", flow.log_prob(np.load("x.npy")))
    """
    environment = {"PYTHONPATH": ":".join(sys.path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, env=environment, check=True
    )
    expected = numpy(small_flow.log_prob(x))
    np.testing.assert_allclose(np.load(tmp_path / "log_p.npy"), expected, rtol=1e-6)

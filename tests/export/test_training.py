"""Training, evaluation and prediction: Keras's own calls, batches that hold NaN, far rows."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rbig_keras import (
    Householder,
    MixtureOfFlows,
    Scorer,
    fine_tune,
    make_gaussianization_flow,
)

# Keras's own, for data sets and generators whose length it can't know.
pytestmark = pytest.mark.filterwarnings(
    "ignore:`shuffle=True` was passed", "ignore:Your input ran out of data"
)

N, BATCH = 640, 32
ROWS = np.random.default_rng(0).normal(size=(N, 2)).astype("float32")
HOLE = np.where(np.arange(2 * N).reshape(N, 2) == 2 * 170 + 1, np.float32(np.nan), ROWS)
WITHOUT = {"jit_compile": False}  # XLA's compilation would take most of the time


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def compiled():
    keras.utils.set_random_seed(0)
    flow = make_gaussianization_flow(2, 1, num_components=3)
    flow.compile("adam", **WITHOUT)
    return flow, flow.get_weights()


@pytest.fixture
def flow(compiled):
    flow, weights = compiled
    flow.set_weights(weights)
    return flow


def in_batches(*columns):
    return tf.data.Dataset.from_tensor_slices(columns).batch(BATCH)


def generated(rows, weights=None):
    for start in range(0, N, BATCH):
        part = slice(start, start + BATCH)
        yield (rows[part],) if weights is None else (rows[part], None, weights[part])


class Batches(keras.utils.PyDataset):
    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def __len__(self):
        return N // BATCH

    def __getitem__(self, number):
        return (self.rows[number * BATCH : (number + 1) * BATCH],)


BY_BATCHES = {
    "dataset": in_batches,
    "generator": generated,
    "PyDataset": Batches,
}


@pytest.mark.parametrize("kind", BY_BATCHES)
def test_batches_train_like_arrays(flow, kind):
    weights = flow.get_weights()
    flow.fit(BY_BATCHES[kind](ROWS), verbose=0)
    assert any((now != w).any() for now, w in zip(flow.get_weights(), weights, strict=True))
    expected = flow.evaluate(ROWS, verbose=0)
    assert flow.evaluate(BY_BATCHES[kind](ROWS), verbose=0) == pytest.approx(expected, rel=1e-6)


def unchanged(flow, weights):
    return all((now == w).all() for now, w in zip(flow.get_weights(), weights, strict=True))


@pytest.mark.parametrize("kind", BY_BATCHES)
def test_nan_in_a_batch_ends_training_and_leaves_the_weights(flow, kind):
    weights = flow.get_weights()
    with pytest.raises(ValueError, match=r"loss is NaN in batch 0 to 15 of epoch 0.*rows are not"):
        flow.fit(BY_BATCHES[kind](HOLE), verbose=0)
    assert unchanged(flow, weights)
    with pytest.raises(ValueError, match="loss is NaN: its rows are not finite"):
        flow.evaluate(BY_BATCHES[kind](HOLE), verbose=0)
    with pytest.raises(ValueError, match="validation loss is NaN in batch 0 to 15 of epoch 0"):
        flow.fit(ROWS, validation_data=BY_BATCHES[kind](HOLE), verbose=0)
    assert unchanged(flow, weights)


@pytest.mark.parametrize("wrong", [np.nan, -1.0, np.inf])
def test_wrong_weights_in_a_batch_end_training(flow, wrong):
    before, weights = flow.get_weights(), np.ones(N, "float32")
    weights[600] = wrong
    with pytest.raises(ValueError, match=r"batch 16 to .* of epoch 0.*sample weights are negative"):
        flow.fit(generated(ROWS, weights), verbose=0)
    assert unchanged(flow, before)


def test_a_batch_of_nan_has_no_gradient():
    """A step made by hand stays finite: rows that aren't count for nothing."""
    keras.utils.set_random_seed(0)
    flow = make_gaussianization_flow(2, 1, num_components=3)
    x, rest = HOLE[165:175], np.delete(HOLE[165:175], 5, axis=0)
    gradients = []
    for rows in (x, rest):
        with tf.GradientTape() as tape:
            loss = flow.compute_loss(x=tf.constant(rows), y_pred=flow(tf.constant(rows)))
        gradients.append(tape.gradient(loss, flow.trainable_variables))
    assert np.isfinite(loss)
    for mine, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(10 * numpy(mine), 9 * numpy(theirs), rtol=1e-4, atol=1e-5)


def test_weights_that_leave_the_floats_are_named_and_come_back(flow):
    flow = keras.models.clone_model(flow)
    weights = flow.get_weights()
    flow.compile(keras.optimizers.SGD(1e30), **WITHOUT)
    with pytest.raises(ValueError, match=r"householder\w*/v are not finite: lower the"):
        flow.fit(ROWS, verbose=0)
    assert unchanged(flow, weights)


def test_a_frame_is_refused_before_anything_changes(flow):
    frame, weights = pd.DataFrame(HOLE, columns=["a", "b"]), flow.get_weights()
    for call in (flow.fit, flow.evaluate, flow.predict):
        with pytest.raises(ValueError, match=r"row 170, column 1 \(b\): nan"):
            call(frame, verbose=0)
    for call in (flow.train_on_batch, flow.test_on_batch, flow.predict_on_batch):
        with pytest.raises(ValueError, match=r"row 170, column 1 \(b\): nan"):
            call(frame)
    assert unchanged(flow, weights)


def test_weights_are_checked_by_every_call(flow):
    for wrong in (np.ones(3), -np.ones(N), np.full(N, np.nan)):
        for call in (flow.fit, flow.evaluate, flow.train_on_batch, flow.test_on_batch):
            with pytest.raises(ValueError, match="sample_weight must be"):
                call(ROWS, sample_weight=wrong)
        with pytest.raises(ValueError, match="sample_weight must be"):
            flow.fit(ROWS, validation_data=(ROWS, None, wrong), verbose=0)
    with pytest.raises(ValueError, match="sample_weights` should not be passed"):
        flow.fit(in_batches(ROWS), sample_weight=np.ones(N))
    expected = flow.evaluate(ROWS, verbose=0)
    huge = flow.evaluate(ROWS, sample_weight=np.full(N, 1e290), verbose=0)
    assert huge == pytest.approx(expected, rel=1e-6)


def test_arguments_by_position_are_those_of_keras(flow):
    history = flow.fit(ROWS, None, 64, 2, 0)
    assert len(history.history["loss"]) == 2
    assert history.params["steps"] == 10
    expected = flow.evaluate(ROWS, verbose=0)
    assert flow.evaluate(ROWS, None, 64, 0) == pytest.approx(expected, rel=1e-6)
    assert flow.predict(ROWS, 64, 0).shape == (N, 2)
    with pytest.raises(TypeError, match="batch"):
        flow.fit(ROWS, batch=3)


def test_classes_weigh_rows_where_they_are_given(flow):
    classes = np.arange(N) % 2
    flow.compile(keras.optimizers.SGD(0.0), **WITHOUT)
    history = flow.fit(ROWS, classes, N, verbose=0, class_weight={0: 0.0, 1: 3.0}).history
    expected = -numpy(flow.log_prob(ROWS[1::2])).mean()
    assert history["loss"][0] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="class_weight says what classes weigh: give y"):
        flow.fit(ROWS, class_weight={0: 1.0})


def test_no_rows(flow):
    none = ROWS[:0]
    assert flow.sample(0).shape == (0, 2)
    assert flow.log_prob(none).shape == (0,)
    for call in (flow, flow.invert, flow.predict):
        assert call(none).shape == (0, 2)
    assert [state.shape for state in flow.forward_with_intermediates(none)] == [(0, 2)] * 3
    for call in (flow.fit, flow.evaluate):
        with pytest.raises(ValueError, match="received none"):
            call(none)
    for wrong in (-1, 2.5):
        with pytest.raises(ValueError, match="num_samples must be a whole number >= 0"):
            flow.sample(wrong)


def test_prediction_is_traced_once_however_many_steps_training_takes(flow, monkeypatch):
    flow.compile("adam", **WITHOUT)
    assert flow.steps_per_execution == 16
    traced, forward = [], Householder.forward_and_log_det
    monkeypatch.setattr(
        Householder,
        "forward_and_log_det",
        lambda layer, x: traced.append(x.shape) or forward(layer, x),
    )
    z = flow.predict(ROWS[:512], verbose=0)
    assert traced == [(BATCH, 2)]
    assert flow.steps_per_execution == 16
    np.testing.assert_allclose(z, flow(ROWS[:512]), rtol=1e-5, atol=1e-5)
    traced.clear()
    flow.evaluate(ROWS[:512], verbose=0)
    assert len(traced) == 1


def test_symbols(flow, tmp_path):
    inputs = keras.Input((2,))
    assert flow(inputs).shape == (None, 2)
    assert flow.compute_output_shape((None, 2)) == (None, 2)
    for layer in flow.bijector_layers:
        assert layer.compute_output_shape((7, 2)) == (7, 2)
    log_p = flow.log_prob(inputs)
    assert log_p.shape == (None,)
    model = keras.Model(inputs, 2.0 * log_p)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    expected = 2.0 * numpy(flow.log_prob(ROWS))
    np.testing.assert_allclose(again.predict(ROWS, verbose=0), expected, rtol=1e-5)


def test_graphs_with_an_unknown_number_of_rows(flow):
    rows = tf.TensorSpec((None, 2), tf.float32)
    log_prob = tf.function(flow.log_prob, input_signature=[rows])
    np.testing.assert_allclose(log_prob(ROWS), flow.log_prob(ROWS), rtol=1e-5, atol=1e-5)
    assert log_prob(ROWS[:0]).shape == (0,)
    with pytest.raises(ValueError, match="unknown rank: batch the data set"):
        tf.function(flow.log_prob, input_signature=[tf.TensorSpec(None, tf.float32)])(ROWS)


@pytest.mark.parametrize("far", [1e12, 1e30])
def test_one_row_far_out_leaves_training_to_the_others(far):
    """At 1e12 deviations a row's gradient is 1e24, its square infinite in float32."""
    rest = []
    for place in (None, far):
        rows = ROWS.copy()
        if place is not None:
            rows[100] = [place, -place]
        keras.utils.set_random_seed(0)
        flow = make_gaussianization_flow(2, 1, num_components=3)
        flow.compile(keras.optimizers.Adam(0.01))  # by XLA, whose fused products round otherwise
        flow.fit(rows, epochs=3, verbose=0)
        assert all(np.isfinite(w).all() for w in flow.get_weights())
        rest.append(-numpy(flow.log_prob(np.delete(ROWS, 100, axis=0))).mean())
    assert rest[1] == pytest.approx(rest[0], abs=0.01)


def test_an_ensemble_that_was_never_called_is_exported(tmp_path):
    flows = [make_gaussianization_flow(2, 1, num_components=2) for _ in range(2)]
    for number, model in enumerate((MixtureOfFlows(flows), Scorer(MixtureOfFlows(flows)))):
        model.export(tmp_path / str(number), verbose=False)
        loaded = tf.saved_model.load(tmp_path / str(number))
        np.testing.assert_allclose(loaded.serve(ROWS), model(ROWS), rtol=1e-5, atol=1e-5)
        assert model.compute_output_shape((None, 2)) == (None,)
    assert MixtureOfFlows(flows).sample(0).shape == (0, 2)


def test_fine_tuning_names_rows_of_the_table_given(flow):
    weights = flow.get_weights()
    for rows, given in [(HOLE, {}), (pd.DataFrame(HOLE), {}), (ROWS, {"validation_data": HOLE})]:
        with pytest.raises(ValueError, match="row 170, column 1"):
            fine_tune(flow, rows, **given)
    with pytest.raises(ValueError, match=r"is -0\.\d+ in row 0"):
        fine_tune(flow, ROWS, HOLE[:, 1])
    with pytest.raises(ValueError, match="one number for each of the 640 rows"):
        fine_tune(flow, ROWS, np.ones(3))
    assert unchanged(flow, weights)


def test_fine_tuning_by_batches_needs_rows_to_judge_by(flow):
    with pytest.raises(ValueError, match="can't be held out: give validation_data"):
        fine_tune(flow, in_batches(ROWS))
    history = fine_tune(flow, in_batches(ROWS), validation_data=ROWS, epochs=1)
    assert history.best <= history.start
    weights = flow.get_weights()
    with pytest.raises(ValueError, match="the loss is NaN in batch 0 to 15"):
        fine_tune(flow, in_batches(HOLE), validation_data=in_batches(ROWS), epochs=1)
    assert unchanged(flow, weights)

"""One backend of Keras, whichever KERAS_BACKEND names: numbers, gradients, files."""

import keras
import numpy as np
import pytest

from rbig_keras import (
    GaussianizationFlow,
    Householder,
    MixtureCDFCoupling,
    MixtureCDFGaussianization,
    export_to_keras,
    fine_tune,
    import_from_keras,
    initialize_flow_from_ig,
    make_coupling_flow,
    make_gaussianization_flow,
    parity,
)
from rbig_numba import RBIG, RBIGEnsemble

# Keras asks variables for an array in NumPy 1's way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BOUNDS = {"float32": 1e-4, "float64": 1e-9}
ROUND_TRIP = {"float32": 1e-5, "float64": 1e-10}
STEP = 1e-3


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor).astype(float)


def test_equals_the_engine(model_of_all_kinds, rows, dtype):
    report = parity(model_of_all_kinds, export_to_keras(model_of_all_kinds, dtype), rows[:500])
    assert report.finite
    assert report.dlog_p <= BOUNDS[dtype]
    assert report.dz_relative <= BOUNDS[dtype]


@pytest.mark.skipif(keras.config.backend() != "jax", reason="asks JAX for its program")
def test_products_are_of_full_precision_on_accelerators_too(model_of_all_kinds):
    """Otherwise GPUs round their float32 factors to 10 bits: |dlog p| was 1.4e-3 and more."""
    import jax

    flow = export_to_keras(model_of_all_kinds)
    for function in (flow._log_prob, flow._inverse):
        program = str(jax.make_jaxpr(function)(np.zeros((7, 4), "float32")))
        assert program.count("dot_general[") > 5
        assert program.count("Precision.HIGHEST, ") == program.count("dot_general[")


def test_classic_model_comes_back(model, moons, dtype):
    flow = export_to_keras(model, dtype)
    report = parity(model, flow, moons)
    assert report.dlog_p <= BOUNDS[dtype]
    given = report.deviations[0]
    assert given.round_trip <= ROUND_TRIP[dtype]
    x = np.array([[10.0, 10.0], [1000.0, 1000.0]])
    z = flow(x)
    assert np.abs(np.diff(numpy(z), axis=0)).max() > 0.1
    np.testing.assert_allclose(numpy(flow.invert(z)), x, rtol=100 * ROUND_TRIP[dtype])


def test_ensemble(moons, dtype):
    member = RBIG(blocks="classic", n_blocks=2, n_components=4)
    model = RBIGEnsemble(member, n_estimators=2, random_state=0).fit(moons)
    flow = export_to_keras(model, dtype)
    assert parity(model, flow, moons[:500]).dlog_p <= BOUNDS[dtype]
    assert flow.sample(20, seed=0).shape == (20, 2)


def gradients(model, x, **kwargs):
    """What a step of plain gradient descent changes, over the step."""
    before = [numpy(v) for v in model.trainable_variables]
    model.compile(optimizer=keras.optimizers.SGD(STEP))
    model.fit(x, x, batch_size=len(x), epochs=1, verbose=0, shuffle=False, **kwargs)
    after = [numpy(v) for v in model.trainable_variables]
    return [(old - new) / STEP for old, new in zip(before, after, strict=True)], before


def differences(model, start, value, n_each):
    """Central differences of a function of the weights, for a few numbers of each."""
    rng = np.random.default_rng(0)
    for v, array in zip(model.trainable_variables, start, strict=True):
        v.assign(array)
    for number, (v, array) in enumerate(zip(model.trainable_variables, start, strict=True)):
        for i in rng.permutation(array.size)[:n_each]:
            ends = []
            for step in (1e-5, -1e-5):
                moved = array.copy()
                moved.flat[i] += step
                v.assign(moved)
                ends.append(value())
            v.assign(array)
            yield number, i, (ends[0] - ends[1]) / 2e-5


@pytest.mark.parametrize("dtype", ["float64"], indirect=True)
def test_gradients_of_the_loss(model_of_all_kinds, rows, dtype):
    flow, x = export_to_keras(model_of_all_kinds, dtype), rows[:200]
    weights = np.arange(200) % 3 * 1.0
    exact, start = gradients(flow, x, sample_weight=weights)

    def loss():
        return -np.average(numpy(flow.log_prob(x)), weights=weights)

    for number, i, expected in differences(flow, start, loss, n_each=3):
        assert exact[number].flat[i] == pytest.approx(expected, rel=1e-4, abs=1e-6)


class Reversed(keras.Model):
    """Trained through the inverse: samples of a flow that shall be as given."""

    def __init__(self, flow):
        super().__init__()
        self.flow = flow

    def call(self, z):
        return self.flow._inverse(z)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        return keras.ops.sum(keras.ops.square(y_pred)) / 200


@pytest.mark.parametrize("dtype", ["float64"], indirect=True)
def test_gradients_through_samples(model, dtype):
    flow = export_to_keras(model, dtype)
    z = np.random.default_rng(0).normal(size=(200, 2))
    exact, start = gradients(Reversed(flow), z)

    def loss():
        return np.sum(numpy(flow.invert(z)) ** 2) / 200

    for number, i, expected in differences(flow, start, loss, n_each=1):
        assert exact[number].flat[i] == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_a_rotation_stays_orthogonal_for_a_thousand_steps(moons):
    layer = Householder(dtype="float32")
    mixture = MixtureCDFGaussianization(3, dtype="float32")
    rows = np.random.default_rng(0).gamma(2.0, size=(1000, 5)).astype("float32")
    flow = GaussianizationFlow([layer, mixture], 5, dtype="float32")
    flow.compile(keras.optimizers.Adam(5e-3))
    start = numpy(layer.v)
    flow.fit(rows, batch_size=10, epochs=10, verbose=0)
    assert int(flow.optimizer.iterations) == 1000
    assert np.abs(numpy(layer.v) - start).max() > 0.1
    q = numpy(layer.orthogonal())
    assert np.abs(q.T @ q - np.eye(5)).max() <= 1e-5


def test_files(model, moons, tmp_path, dtype):
    flow = export_to_keras(model, dtype)
    flow.save(tmp_path / "flow.keras")
    again = keras.models.load_model(tmp_path / "flow.keras")
    np.testing.assert_array_equal(numpy(again.log_prob(moons)), numpy(flow.log_prob(moons)))
    other = make_gaussianization_flow(2, 1, dtype=dtype)
    other.save_weights(tmp_path / "flow.weights.h5")
    fresh = make_gaussianization_flow(2, 1, dtype=dtype)
    fresh.load_weights(tmp_path / "flow.weights.h5")
    np.testing.assert_array_equal(numpy(fresh.log_prob(moons)), numpy(other.log_prob(moons)))


def test_far_rows(dtype):
    flow = make_gaussianization_flow(2, 2, num_components=3, dtype=dtype)
    distances = np.logspace(2, np.log10(np.finfo(dtype).max) - 1, 40)
    log_p = numpy(flow.log_prob(distances[:, None] * [1.0, -0.5]))
    assert not np.isnan(log_p).any()
    assert (np.diff(log_p[np.isfinite(log_p)]) < 0.0).all()
    assert np.isneginf(log_p[-1])


def test_nan_in_a_batch_ends_training_and_leaves_the_weights(moons, dtype):
    flow = make_gaussianization_flow(2, 1, num_components=3, dtype=dtype)
    rows = moons[:320].astype(dtype)
    rows[170, 1] = np.nan
    flow.compile(keras.optimizers.Adam(0.01))
    weights = flow.get_weights()
    with pytest.raises(
        ValueError, match=r"loss is NaN in batch .* of epoch 0.*rows are not finite"
    ):
        flow.fit(((rows[i : i + 32],) for i in range(0, 320, 32)), shuffle=False, verbose=0)
    assert all((w == now).all() for w, now in zip(weights, flow.get_weights(), strict=True))
    rows[170] = [1e12, -1e12]
    flow.fit(rows, verbose=0)
    assert all(np.isfinite(w).all() for w in flow.get_weights())
    assert any((w != now).any() for w, now in zip(weights, flow.get_weights(), strict=True))


def test_warm_start_training_and_the_way_back(moons):
    x = moons.astype("float32")
    flow = make_coupling_flow(2, 2, 4, (16,))
    initialize_flow_from_ig(flow, x)
    couplings = [b for b in flow.bijector_layers if isinstance(b, MixtureCDFCoupling)]
    kernels = [layer.conditioner.layers[-1].kernel for layer in couplings]
    assert [np.abs(numpy(kernel)).max() for kernel in kernels] == [0.0] * 4
    flow.compile(keras.optimizers.Adam(3e-3))
    flow.fit(x, epochs=3, verbose=0)
    assert min(np.abs(numpy(kernel)).max() for kernel in kernels) > 0.01
    diagonal = make_gaussianization_flow(2, 2, 2, 4, x, x)
    initialize_flow_from_ig(diagonal, x)
    history = fine_tune(diagonal, x, epochs=2)
    assert history.best <= history.start
    error = import_from_keras(diagonal).score_samples(x) - numpy(diagonal.log_prob(x))
    assert np.abs(error).max() <= 1e-4


def test_samples_follow_the_seed(model):
    flow = export_to_keras(model)
    one, same, other = (numpy(flow.sample(100, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1


@pytest.mark.skipif(keras.config.backend() != "jax", reason="JAX's own switch")
def test_float64_without_the_switch_is_refused(model):
    import jax

    jax.config.update("jax_enable_x64", False)  # noqa: FBT003
    try:
        with pytest.raises(ValueError, match="JAX_ENABLE_X64"):
            export_to_keras(model, "float64")
    finally:
        jax.config.update("jax_enable_x64", True)  # noqa: FBT003

"""A flow's density: its formula, its bits and its integral."""

import numpy as np
import pytest
from scipy import stats

import cases
from rbig_numba.chunks.block import Split
from rbig_numba.chunks.local import load_local
from rbig_numba.chunks.sources import ArraySource
from rbig_numba.fitting.candidates import GRID_ROWS, Plan
from rbig_numba.fitting.loop import fit_flow
from rbig_numba.flow import Flow, base_log_prob
from rbig_numba.profile import NEVER, SILENT
from rbig_numba.threads import BLOCK_ROWS

PLAN = Plan(
    n_blocks=4,
    blocks="classic",
    n_components=4,
    rotation="pca",
    n_iter_no_change=5,
    tol=0.0,
    n_jobs=1,
)


def ring(n_rows):
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, n_rows)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    return 2 * circle + 0.4 * rng.standard_normal((n_rows, 2))


@pytest.fixture(scope="module")
def fitted():
    rows = load_local(
        ArraySource(ring(4000)), None, Split(seed=0, limit=0, sample_size=GRID_ROWS), 1
    )
    return fit_flow(rows, PLAN, np.random.RandomState(0), NEVER, SILENT)


@pytest.fixture(scope="module")
def flow():
    return Flow(
        (cases.affine(), cases.mixture_with_background(), cases.pca(), cases.mixture_single())
    )


def test_log_prob_is_the_base_density_and_the_change_of_volume(flow):
    x = flow.inverse(np.random.default_rng(1).standard_normal((200, 3)))[0]
    current, expected = x, np.zeros(200)
    for bijection in flow.bijections:
        current, log_det = bijection.forward(current)
        expected += log_det
    expected += stats.norm.logpdf(current).sum(axis=1)
    np.testing.assert_allclose(flow.log_prob(x), expected, atol=1e-12)


def test_base_density_is_the_standard_normal():
    z = np.random.default_rng(2).standard_normal((50, 3)) * 20
    np.testing.assert_allclose(base_log_prob(z), stats.norm.logpdf(z).sum(axis=1), rtol=1e-13)


@pytest.mark.parametrize("method", ["forward", "inverse"])
def test_same_bits_for_any_number_of_threads(flow, method):
    rows = np.random.default_rng(3).standard_normal((20_000, 3))
    expected = [array.tobytes() for array in getattr(flow, method)(rows, n_jobs=1)]
    for n_jobs in (2, 8):
        got = [array.tobytes() for array in getattr(flow, method)(rows, n_jobs=n_jobs)]
        assert got == expected


def test_a_row_has_the_bits_of_its_batch(flow):
    rows = np.random.default_rng(4).standard_normal((9000, 3))
    log_prob = flow.log_prob(rows)
    for i in (0, BLOCK_ROWS - 1, BLOCK_ROWS, 8999):
        assert flow.log_prob(rows[i : i + 1])[0] == log_prob[i]


def test_inverse_undoes_forward(flow):
    z = np.random.default_rng(5).standard_normal((500, 3))
    x, log_det = flow.inverse(z)
    back, log_det_back = flow.forward(x)
    np.testing.assert_allclose(back, z, atol=1e-10)
    np.testing.assert_allclose(log_det_back, -log_det, atol=1e-9)


def test_float32_rows_pass_in_float64(flow):
    rows = np.random.default_rng(6).standard_normal((10, 3)).astype(np.float32)
    np.testing.assert_array_equal(flow.log_prob(rows), flow.log_prob(rows.astype(np.float64)))


def test_n_features(flow):
    assert flow.n_features == 3


def test_fitted_density_integrates_to_one(fitted):
    axis = np.linspace(-10, 10, 801)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    mass = np.exp(fitted.flow.log_prob(grid, n_jobs=2)).sum() * (axis[1] - axis[0]) ** 2
    assert mass == pytest.approx(1.0, abs=1e-3)


def test_each_block_gains_on_the_rows_it_is_fitted_to(fitted):
    flow, history, _ = fitted
    assert [record["block"] for record in history] == [1, 2, 3, 4]
    assert np.diff([record["train"] for record in history]).min() > 0.0
    assert flow.log_prob(ring(4000)).mean() == pytest.approx(history[-1]["train"], abs=1e-10)

"""Cells far out: in the rows of a fit, and in rows that are scored. Nothing hangs or overflows."""

import numpy as np
import pytest

from rbig_numba import RBIG
from rbig_numba.bijections.affine import Affine

DISTANCES = 10.0 ** np.array([1, 2, 3, 4, 6, 9, 10, 12, 20, 40, 100, 155, 200, 300, 307])


@pytest.fixture(scope="module")
def plane():
    rng = np.random.default_rng(0)
    return rng.normal(size=(5000, 2)), rng.normal(size=(5000, 2))


TRUTH = -np.log(2.0 * np.pi) - 1.0


@pytest.mark.filterwarnings("ignore::rbig_numba.DensityWarning")
@pytest.mark.parametrize("blocks", ["auto", "classic", ["joint", "coupling", "radial"]])
@pytest.mark.parametrize("far", [-9999.0, 1e15, 1e30, 9.97e36, 1.797e308])
def test_one_cell_leaves_the_others_as_they_are(plane, far, blocks):
    rows, held_out = plane
    rows = rows.copy()
    rows[17, 0] = far
    model = RBIG(blocks=blocks, random_state=0).fit(rows)
    assert model.score(held_out) > TRUTH - 0.06
    np.testing.assert_allclose(model.transform(held_out).std(axis=0), 1.0, atol=0.15)
    lowest = np.quantile(model.score_samples(held_out), 1e-3)
    assert model.score_samples(rows[17:18])[0] < lowest
    assert np.isfinite(model.sample(1000, random_state=0)).all()


@pytest.mark.filterwarnings("ignore:one value makes up:rbig_numba.DensityWarning")
@pytest.mark.parametrize("n_missing", [1, 3, 100])
def test_a_code_for_missing_in_one_column(n_missing):
    rows = np.random.default_rng(0).normal(size=(1000, 1))
    rows[:n_missing] = -9999.0
    model = RBIG(random_state=0).fit(rows)
    held_out = np.random.default_rng(1).normal(size=(5000, 1))
    share = np.log(1.0 - n_missing / 1000)
    assert model.score(held_out) > -0.5 * np.log(2.0 * np.pi) - 0.5 + share - 0.1


def test_cauchy_rows():
    rows = np.random.default_rng(0).standard_cauchy((2500, 1))
    held_out = np.random.default_rng(1).standard_cauchy((20_000, 1))
    assert RBIG(random_state=0).fit(rows).score(held_out) > -np.log(4.0 * np.pi) - 0.1


@pytest.mark.filterwarnings("ignore::rbig_numba.DensityWarning")
@pytest.mark.parametrize("seed", [101, 102, 103])
def test_zeros_and_a_few_large_numbers(seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(3000, 2))
    few = rng.uniform(size=3000) < 0.005
    rows[:, 1] = np.where(few, np.exp(8.0 + rng.normal(size=3000)), 0.0)
    log_prob = RBIG(n_blocks=6, random_state=0).fit(rows).score_samples(rows)
    assert np.isfinite(log_prob).all()
    assert np.median(log_prob[few]) < np.median(log_prob[~few])


@pytest.mark.parametrize("blocks", ["auto", "classic"])
@pytest.mark.parametrize("n_columns", [1, 3])
def test_log_densities_fall_as_rows_go_out(blocks, n_columns):
    rows = np.random.default_rng(0).normal(size=(3000, n_columns))
    model = RBIG(50 if blocks == "classic" else 10, blocks=blocks, random_state=0)
    model.set_params(validation_fraction=0.0 if blocks == "classic" else 0.1).fit(rows)
    directions = np.concatenate([np.eye(n_columns), -np.ones((1, n_columns))])
    for direction in directions:
        log_prob = model.score_samples(DISTANCES[:, None] * direction)
        assert np.isfinite(log_prob).all()
        assert (np.diff(log_prob) < 0.5).all()
        assert log_prob[0] < np.quantile(model.score_samples(rows), 0.01)
        z = model.transform(DISTANCES[:, None] * direction)
        assert np.isfinite(z).all()


def test_the_same_far_out_on_a_spiral():
    rng = np.random.default_rng(0)
    t = 3.0 * np.pi * np.sqrt(rng.uniform(size=8000))
    rows = np.c_[t * np.cos(t), t * np.sin(t)] + 0.3 * rng.normal(size=(8000, 2))
    model = RBIG(blocks="classic", random_state=0).fit(rows)
    log_prob = model.score_samples(np.array([1e9, 1e10, 1e12, 1e30, 1e300])[:, None] * [1.0, 0.5])
    assert (np.diff(log_prob) < 0.0).all()
    assert log_prob[0] < model.score_samples(rows).min()


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 2e30, 1e153, 1e300])
def test_units_change_log_densities_by_their_logarithm(unit):
    rows = np.random.default_rng(0).gamma(2.0, size=(1000, 3))
    one = RBIG(random_state=0).fit(rows).score(rows)
    other = RBIG(random_state=0).fit(rows * unit).score(rows * unit)
    assert other + 3.0 * np.log(unit) == pytest.approx(one, abs=0.15)


def test_a_fit_opens_with_a_reach():
    model = RBIG(1, random_state=0).fit(np.random.default_rng(0).normal(size=(100, 2)))
    affine = model.flow_.bijections[0]
    assert isinstance(affine, Affine)
    assert np.isfinite(affine.reach)


@pytest.mark.filterwarnings("ignore::rbig_numba.DensityWarning")
@pytest.mark.parametrize("shape", [(50, 300), (10, 40), (3, 2)])
def test_more_columns_than_rows_worth_of_choices(shape):
    rng = np.random.default_rng(0)
    model = RBIG(random_state=0).fit(rng.normal(size=shape))
    gaussian = -0.5 * shape[1] * np.log(2.0 * np.pi * np.e)
    log_prob = model.score_samples(rng.normal(size=(500, shape[1])))
    assert log_prob.mean() > gaussian - 0.3 * shape[1] - 8.0
    assert log_prob.min() > gaussian - 0.5 * shape[1] - 200.0

"""Weights: whole numbers count rows, others are importance weights of any scale."""

import warnings

import dask.array as da
import numpy as np
import pytest
from sklearn.datasets import make_moons

from rbig_numba import RBIG
from rbig_numba.checks.weighting import as_counts


def test_counts_stay_as_they_are():
    weights = np.array([0.0, 1.0, 2.0, 1e15])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert as_counts(weights) is weights


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1.0, 1e10, 1e300])
def test_others_add_up_to_kishs_effective_number(scale):
    weights = np.random.default_rng(0).exponential(size=1000)
    with pytest.warns(UserWarning, match="worth"):
        counts = as_counts(weights * scale)
    effective = weights.sum() ** 2 / np.square(weights).sum()
    assert counts.sum() == pytest.approx(effective, rel=1e-12)
    np.testing.assert_allclose(counts / counts.sum(), weights / weights.sum(), rtol=1e-12)


@pytest.mark.parametrize("weight", [1e290, 1.7e308])
def test_whole_numbers_beyond_doubles_that_count_are_no_counts(weight):
    with pytest.warns(UserWarning, match="importance weights"):
        counts = as_counts(np.full(20_000, weight))
    np.testing.assert_array_equal(counts, 1.0)


@pytest.mark.parametrize("least", [1e-40, 1e-300, 5e-324])
def test_rows_of_next_to_no_weight_change_nothing(least):
    rows = np.random.default_rng(0).normal(size=(400, 3))
    model = RBIG(random_state=0, n_blocks=2)
    expected = model.fit(rows[1:]).score_samples(rows)
    weights = np.append(least, np.ones(399))
    for table, given in ((rows, weights), (da.from_array(rows), da.from_array(weights))):
        with pytest.warns(UserWarning, match="add up to the 399 rows"):
            model.fit(table, sample_weight=given)
        np.testing.assert_array_equal(model.score_samples(rows), expected)


def test_one_row_that_outweighs_all_others_is_refused():
    rows = np.random.default_rng(0).normal(size=(3000, 3))
    with pytest.raises(ValueError, match=r"worth 1 rows .* one row outweighs"):
        RBIG(random_state=0).fit(rows, sample_weight=np.exp(200.0 * rows[:, 0]))


@pytest.mark.parametrize("weight", [1.0 / 2000, 1e290])
def test_equal_weights_of_any_scale_give_the_same_model(weight):
    rows, _ = make_moons(2000, noise=0.05, random_state=0)
    model = RBIG(random_state=0, n_blocks=2)
    expected = model.fit(rows).score_samples(rows)
    with pytest.warns(UserWarning, match="importance weights"):
        model.fit(rows, sample_weight=np.full(2000, weight))
    np.testing.assert_allclose(model.score_samples(rows), expected, rtol=1e-9)


def test_importance_weights_turn_one_density_into_another():
    """N(0, 1) rows, weighted by the ratio of N(0.5, 1) to it."""
    rng = np.random.default_rng(0)
    rows, held_out = rng.normal(size=(20_000, 2)), rng.normal(0.5, 1.0, size=(20_000, 2))
    weights = np.exp((0.5 * rows - 0.125).sum(axis=1))
    with pytest.warns(UserWarning, match="importance weights"):
        model = RBIG(random_state=0).fit(rows, sample_weight=1e-7 * weights)
    assert model.score(held_out) > -np.log(2.0 * np.pi) - 1.0 - 0.02


@pytest.mark.parametrize("scale", [1.0, 1.797e308, 1e-300])
def test_weights_of_any_scale_give_the_same_score(scale):
    rows = np.random.default_rng(0).normal(size=(400, 2))
    model = RBIG(blocks=["mixture"], random_state=0).fit(rows)
    weights = np.random.default_rng(1).uniform(0.5, 1.0, size=400)
    expected = weights @ model.score_samples(rows) / weights.sum()
    assert model.score(rows, sample_weight=scale * weights) == pytest.approx(expected, rel=1e-12)

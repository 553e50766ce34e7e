"""Which rows are held out when rows repeat, lie far out, or hold a rare value."""

import numpy as np
import pytest

from rbig_numba import RBIG, DensityWarning
from rbig_numba.estimators import inputs
from rbig_numba.fitting.splitting import split_rows

pytestmark = pytest.mark.filterwarnings("ignore:columns|one value:rbig_numba.DensityWarning")


def share_held_out(rows, seed, weights=None, fraction=0.1):
    load = inputs.loader(RBIG(), rows, weights)
    _, loaded = split_rows(load, 32_768, fraction, np.random.RandomState(seed), None)
    return loaded.summary.weights[1] / loaded.summary.weights.sum()


@pytest.mark.parametrize("seed", range(20))
def test_nine_tenths_of_equal_rows_are_shared(seed):
    rows = np.random.default_rng(0).gamma(2.0, size=(3000, 3))
    rows[:2700] = 0.0
    assert 0.08 < share_held_out(rows, seed) < 0.12


def test_shared_rows_are_counted_as_weights_are():
    rows = np.random.default_rng(0).gamma(2.0, size=(301, 3))
    weights = np.append(np.ones(300), 2700.0)
    repeated = np.vstack([rows, np.tile(rows[-1], (2699, 1))])
    one = RBIG(n_blocks=2, random_state=0).fit(rows, sample_weight=weights)
    other = RBIG(n_blocks=2, random_state=0).fit(repeated)
    np.testing.assert_allclose(one.score_samples(rows), other.score_samples(rows), rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("far", [1e4, 1e30])
def test_a_row_far_beyond_all_others_is_fitted(seed, far):
    rows = np.random.default_rng(seed).normal(size=(300, 2))
    rows[:, 1] += far * (np.arange(300) == 7)
    load = inputs.loader(RBIG(), rows, None)
    _, loaded = split_rows(load, 32_768, 0.5, np.random.RandomState(seed), None)
    assert loaded.summary.highest[1, 1] < 10.0
    assert loaded.summary.highest[0, 1] > 0.9 * far


@pytest.mark.parametrize("seed", range(21))
def test_a_rare_flag(seed):
    rows = np.random.default_rng(seed).normal(size=(3000, 3))
    rows[:, 2] = np.arange(3000) == 7 * seed
    model = RBIG(n_blocks=3, n_components=2, random_state=seed).fit(rows)
    log_prob = model.score_samples(rows)
    assert np.isfinite(log_prob).all()
    assert log_prob[7 * seed] < np.median(log_prob)


def test_a_share_that_is_far_off_is_said():
    rows = np.repeat(np.random.default_rng(0).normal(size=(12, 2)), 100, axis=0)
    with pytest.warns(DensityWarning, match=r"25\.0% of the rows are held out, not 10\.0%"):
        shares = [share_held_out(rows, seed) for seed in range(20)]
    assert max(shares) == 0.25

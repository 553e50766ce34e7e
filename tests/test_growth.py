"""Mixtures with full covariances, grown by splitting."""

from unittest.mock import patch

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, multivariate_t
from sklearn.mixture import GaussianMixture

from rbig_numba.bijections import components as mixtures
from rbig_numba.bijections import growth
from rbig_numba.bijections.components import Components, joint_sums
from rbig_numba.bijections.crowd import PART_ROWS, Crowd
from rbig_numba.fitting.latents import Side
from rbig_numba.flow import base_log_prob
from rbig_numba.profile import deadline_in


def side_of(rows, n_jobs=1):
    return Side(rows, np.ones(len(rows)), np.zeros(len(rows)), n_jobs)


def crowd_of(rows, n_jobs=1):
    return Crowd(rows, np.ones(len(rows)), n_jobs)


def gather_of(side):
    return lambda statistic: side.gather([], statistic)


def sums_of(side, components):
    return mixtures.Sums(*side.gather([], joint_sums(components)))


def log_density(components, rows):
    terms = [
        np.log(w) + multivariate_normal(mean, size**2 * covariance).logpdf(rows)
        for weights, mean, covariance, sizes in zip(*components, strict=True)
        for w, size in zip(weights, sizes, strict=True)
    ]
    return logsumexp(terms, axis=0)


def grown_of(rows, held_out, n_jobs=1):
    mean, covariance = rows.mean(axis=0), np.cov(rows.T, bias=True)
    train, judges = crowd_of(rows, n_jobs), crowd_of(held_out, n_jobs)
    draws = np.random.RandomState(0)
    ground = growth.Ground(train, judges, mean, covariance, deadline_in(None), draws, np.inf)
    return growth.grow(ground)


@pytest.fixture(scope="module")
def blobs():
    """Three well-separated components, (4000, 3) rows to fit and as many held out."""
    rng = np.random.default_rng(0)
    centres = np.array([[-2.0, 0.0, 0.0], [1.0, 1.5, 0.0], [1.0, -1.5, 1.0]])
    rows = centres[rng.integers(3, size=8000)] + 0.3 * rng.normal(size=(8000, 3))
    return rows[:4000], rows[4000:]


@pytest.fixture
def start(blobs):
    rng = np.random.default_rng(1)
    covariances = np.stack([np.diag(rng.uniform(0.5, 2.0, 3)) for _ in range(4)])
    return Components(np.full((4, 1), 0.25), rng.normal(size=(4, 3)), covariances, np.ones((4, 1)))


def test_a_step_without_prior_is_that_of_scikit_learn(blobs, start):
    sums = sums_of(side_of(blobs[0]), start)
    ours = mixtures.updated(start, sums, 0.0)
    theirs = GaussianMixture(
        4,
        max_iter=1,
        tol=0.0,
        reg_covar=mixtures.MIN_VARIANCE,
        weights_init=start.weights[:, 0],
        means_init=start.means,
        precisions_init=np.linalg.inv(start.covariances),
    )
    with pytest.warns(UserWarning, match="did not converge"):
        theirs.fit(blobs[0])
    np.testing.assert_allclose(ours.weights[:, 0], theirs.weights_, rtol=1e-9)
    np.testing.assert_allclose(ours.means, theirs.means_, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(ours.covariances, theirs.covariances_, rtol=1e-8, atol=1e-9)
    assert sums.log_likelihood == pytest.approx(log_density(start, blobs[0]).mean(), rel=1e-10)


def test_steps_with_the_near_components_are_nearly_those_with_all(blobs, start):
    start = start._replace(covariances=0.05 * start.covariances)
    crowd = crowd_of(blobs[0])
    near = crowd.near(start)
    assert [pairs.starts[-1] for pairs in near] == [len(pairs.rows) for pairs in near]
    assert sum(len(pairs.rows) for pairs in near) < 3.9 * len(blobs[0])
    some, all_ = crowd.sums(start, near), sums_of(side_of(blobs[0]), start)
    assert 0.0 < all_.log_likelihood - some.log_likelihood < 3 * mixtures.NEAR
    np.testing.assert_allclose(some.counts.sum(), len(blobs[0]))
    np.testing.assert_allclose(some.counts, all_.counts, atol=mixtures.NEAR * len(blobs[0]))
    assert crowd.log_prob(start) == pytest.approx(log_density(start, blobs[0]).mean(), rel=1e-9)


def test_halves_have_the_rows_of_their_parent(blobs, start):
    pairs = crowd_of(blobs[0][:PART_ROWS]).near(start)[0]
    halves = pairs.doubled()
    for k in range(8):
        mine = halves.rows[halves.starts[k] : halves.starts[k + 1]]
        parents = pairs.rows[pairs.starts[k % 4] : pairs.starts[k % 4 + 1]]
        np.testing.assert_array_equal(mine, parents)


def test_the_prior_averages_covariances(blobs, start):
    sums = sums_of(side_of(blobs[0]), start)
    free, tied = (mixtures.updated(start, sums, strength) for strength in (0.0, 1e9))
    assert np.abs(free.covariances - free.covariances[0]).max() > 0.1
    np.testing.assert_allclose(tied.covariances - tied.covariances[0], 0.0, atol=1e-3)


def test_a_component_without_rows_is_left_out(blobs, start):
    means = start.means.copy()
    means[2] = 1e3
    lonely = start._replace(means=means)
    sums = sums_of(side_of(blobs[0]), lonely)
    assert len(mixtures.updated(lonely, sums, 1.0).weights) == 3


def test_halves_keep_mean_and_covariance(start):
    halves = mixtures.split(start, np.random.RandomState(0))
    mean = (halves.means[:4] + halves.means[4:]) / 2
    step = (halves.means[4:] - halves.means[:4]) / 2
    np.testing.assert_allclose(mean, start.means)
    together = halves.covariances[:4] + step[:, :, None] * step[:, None, :]
    np.testing.assert_allclose(together, start.covariances, atol=1e-12)
    assert np.linalg.eigvalsh(halves.covariances).min() > 0
    other = mixtures.split(start, np.random.RandomState(1))
    assert np.abs(other.means - halves.means).max() > 0.01


def test_growth_reaches_the_density_that_rows_come_from(blobs):
    train, held_out = blobs
    grown = grown_of(train, held_out)
    centres = np.array([[-2.0, 0.0, 0.0], [1.0, 1.5, 0.0], [1.0, -1.5, 1.0]])
    covariances, ones = np.stack([0.09 * np.eye(3)] * 3), np.ones((3, 1))
    truth = Components(ones / 3, centres, covariances, ones)
    assert grown.worth == pytest.approx(log_density(grown.components, held_out).mean(), rel=1e-9)
    assert grown.worth > log_density(truth, held_out).mean() - 0.02


def test_growth_of_normal_rows_stays_single():
    rows = np.random.default_rng(3).normal(size=(4000, 4))
    assert len(grown_of(rows[:2000], rows[2000:]).components.weights) == 1


def test_same_bits_for_any_number_of_threads(blobs):
    one, two = (grown_of(*blobs, n_jobs=n_jobs) for n_jobs in (1, 2))
    for a, b in zip(one.components, two.components, strict=True):
        assert a.tobytes() == b.tobytes()


def test_ties_do_not_diverge():
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(3000, 3))
    rows[rng.random(3000) < 0.3] = [0.5, 0.5, 0.5]
    grown = grown_of(rows[:2000], rows[2000:])
    assert np.isfinite(grown.worth)
    assert np.linalg.eigvalsh(grown.components.covariances).min() >= 0.99 * mixtures.MIN_VARIANCE


def test_the_bijection_has_the_density_of_components_and_background(blobs, start):
    bijection = mixtures.joint_mixture(start, 4000.0)
    z, log_det = bijection.forward(blobs[1])
    share = mixtures.BACKGROUND_ROWS / (mixtures.BACKGROUND_ROWS + 4000.0)
    weights = start.weights[:, 0]
    spread = start.means - weights @ start.means
    wide = start.within + np.einsum("k,ki,kj->ij", weights, spread, spread)
    mean = weights @ start.means
    background = multivariate_normal(mean, mixtures.BACKGROUND_SCALE**2 * wide)
    expected = np.logaddexp(
        np.log1p(-share) + log_density(start, blobs[1]),
        np.log(share) + background.logpdf(blobs[1]),
    )
    np.testing.assert_allclose(base_log_prob(z) + log_det, expected, rtol=1e-10, atol=1e-10)


def test_no_shape_has_a_wider_scale_than_the_background(start):
    several = start.scaled(2)
    several.sizes[0] = [0.8, 6.0]
    bijection = mixtures.joint_mixture(several, 4000.0)
    narrow, wide = bijection.log_sizes[-1]
    assert wide == np.log(6.0)
    assert narrow == pytest.approx(np.log(several.sizes[:, 0]).mean())


def test_refining_does_not_depend_on_the_order_of_rows(blobs, start):
    rows = blobs[0]
    one = mixtures.refined(gather_of(side_of(rows)), start, 1.0, 3)
    other = mixtures.refined(gather_of(side_of(rows[::-1].copy())), start, 1.0, 3)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7)


def test_halves_are_refined_on_other_rows(blobs, start):
    rows, draws = blobs[0], [np.random.RandomState(0), np.random.RandomState(1)]
    same = mixtures.refined(gather_of(side_of(rows)), start, 1.0, 6)
    more = mixtures.refined(gather_of(side_of(rows)), start, 1.0, 6, draws)
    assert len(more.weights) == 4 * len(start.weights)
    assert log_density(more, blobs[1]).mean() > log_density(same, blobs[1]).mean() + 0.01


def test_halves_that_find_no_row_are_left_out(blobs, start):
    means = start.means.copy()
    means[2] = 1e3
    lonely = start._replace(means=means)
    draws = [np.random.RandomState(0)]
    refined = mixtures.refined(gather_of(side_of(blobs[0])), lonely, 1.0, 3, draws)
    assert len(refined.weights) == 6
    assert np.isfinite(log_density(refined, blobs[1])).all()


@pytest.mark.parametrize(
    ("n_components", "ratio", "expected"),
    [
        (16, 1.0, 0),
        (16, 1.9, 0),
        (16, 2.1, 1),
        (16, 7.9, 1),
        (16, 9.0, 2),
        (128, 1e4, 1),
        (250, 9, 0),
    ],
)
def test_more_rows_split_components_again(n_components, ratio, expected):
    assert growth.halvings(n_components, ratio) == expected


@pytest.fixture(scope="module")
def student():
    """Rows (4000, 10) of Student's t, nu = 3, their covariance's factor, and as many held out."""
    rng = np.random.default_rng(5)
    factor = np.linalg.cholesky(0.5 + 0.5 * np.eye(10))
    rows = rng.standard_normal((8000, 10)) @ factor.T
    return np.split(rows / np.sqrt(rng.chisquare(3, 8000) / 3)[:, None], 2)


def test_several_scales_reach_a_heavy_tailed_density(student):
    grown = grown_of(*student)
    assert grown.components.weights.shape[1] > 1
    truth = multivariate_t(shape=0.5 + 0.5 * np.eye(10), df=3).logpdf(student[1]).mean()
    assert grown.worth > truth - 0.05
    with patch.object(growth, "SCALES", (1,)):
        assert grown_of(*student).worth < grown.worth - 0.05


def test_sizes_keep_their_mean_and_their_order(student):
    start = mixtures.single(np.zeros(10), np.cov(student[0].T)).scaled(4)
    for _ in range(30):
        start = mixtures.updated(start, sums_of(side_of(student[0]), start), 1.0)
    np.testing.assert_allclose((start.weights * np.log(start.sizes)).sum(), 0.0, atol=1e-12)
    assert (np.diff(start.sizes[0]) > 0).all()
    assert start.weights.sum() == pytest.approx(1.0)


def test_a_step_never_loses_likelihood(student):
    one = mixtures.single(np.zeros(10), np.cov(student[0].T)).scaled(3)
    components = mixtures.split(one, np.random.RandomState(0))
    values = []
    for _ in range(20):
        sums = sums_of(side_of(student[0]), components)
        values.append(sums.log_likelihood)
        components = mixtures.updated(components, sums, 0.0)
    assert np.diff(values).min() > -1e-5
    assert values[-1] > values[0] + 0.1


def test_scales_that_find_no_row_are_left_out(blobs):
    start = mixtures.single(np.zeros(3), np.eye(3)).scaled(3)
    far = start._replace(sizes=np.array([[0.5, 1.0, 1e9]]))
    sums = sums_of(side_of(blobs[0]), far)
    assert mixtures.updated(far, sums, 1.0).weights.shape == (1, 2)

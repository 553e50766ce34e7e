"""Starts and mergers against plain NumPy."""

import numpy as np
import pytest

import oracles
from rbig_numba.kernels import search


def bins_of(n_bins, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.1, 1.0, n_bins)
    return np.stack(
        [p / p.sum(), np.sort(rng.standard_normal(n_bins)), 1e-3 * rng.uniform(size=n_bins)]
    )


def moments(bins):
    mean = bins[0] @ bins[1]
    return bins[0].sum(), mean, bins[0] @ ((bins[1] - mean) ** 2 + bins[2])


@pytest.mark.parametrize("n_bins", [1, 2, 7, 300])
def test_halved_bins_keep_all_moments(n_bins):
    bins = bins_of(n_bins)
    merged = search.halved(bins)
    assert merged.shape == (3, (n_bins + 1) // 2)
    np.testing.assert_allclose(moments(merged), moments(bins), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        moments(merged[:, :1] / [[merged[0, 0]], [1], [1]]),
        moments(bins[:, :2] / [[bins[0, :2].sum()], [1], [1]]),
        rtol=1e-12,
    )


KINDS = [search.EQUAL_MASSES, search.GROWING_CELLS, search.EVEN_CELLS]


@pytest.mark.parametrize("kind", KINDS)
def test_clusters_of_separate_heaps(kind):
    rng = np.random.default_rng(1)
    x = np.sort(np.concatenate([rng.normal(m, 0.1, 100) for m in (-4.0, 0.0, 4.0)]))
    bins = np.stack([np.full(300, 1 / 300), x, np.full(300, 1e-4)])
    parameters = np.empty((3, 3))
    search.clusters(bins, 1e-3, kind, parameters)
    cluster = np.abs(x[:, None] - [-4.0, 0.0, 4.0]).argmin(axis=1)
    for k in range(3):
        part = x[cluster == k]
        expected = [len(part) / 300, part.mean(), np.sqrt(part.var() + 1e-4)]
        np.testing.assert_allclose(parameters[:, k], expected, rtol=1e-12)


def test_cells():
    x = np.sort(np.append(np.random.default_rng(0).standard_normal(297), [30.0, 40.0, 50.0]))
    bins = np.stack([np.full(300, 1 / 300), x, np.zeros(300)])
    u = np.arcsinh((x - x.mean()) / x.std())
    for kind, scale in ((search.EVEN_CELLS, x), (search.GROWING_CELLS, u)):
        parameters = np.empty((3, 4))
        search.clusters(bins, 1e-3, kind, parameters)
        cells = np.minimum(((scale - scale[0]) / (scale[-1] - scale[0]) * 4).astype(int), 3)
        np.testing.assert_allclose(parameters[0], np.bincount(cells, minlength=4) / 300, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x", [[0.5], [1e6, 1e6 + 1.0], [-1e6, 0.0, 1e-3, 1e6]])
def test_clusters_of_few_bins(kind, x):
    bins = np.stack([np.full(len(x), 1 / len(x)), x, np.zeros(len(x))])
    parameters = np.empty((3, 5))
    search.clusters(bins, 1e-3, kind, parameters)
    assert np.isfinite(parameters).all()
    assert (parameters[[0, 2]] > 0.0).all()
    assert parameters[0].sum() == pytest.approx(1.0)


def test_empty_clusters_are_wide_and_weigh_nothing():
    bins = np.array([[0.5, 0.5], [0.0, 1.0], [0.0, 0.0]])
    parameters = np.empty((3, 4))
    search.clusters(bins, 1e-3, search.EQUAL_MASSES, parameters)
    filled = parameters[0] > 0.1
    np.testing.assert_allclose(np.sort(parameters[1, filled]), [0.0, 1.0])
    np.testing.assert_array_equal(parameters[2, filled], 1e-3)
    np.testing.assert_allclose(parameters[2, ~filled], 0.5)
    assert (parameters[0] > 0.0).all()
    assert np.isfinite(parameters).all()


def merged_pair(parameters, i, j):
    """Return parameters (3, K - 1) with components i < j in one of the same moments."""
    weights, means, scales = parameters[:, [i, j]]
    mean = weights @ means / weights.sum()
    variance = weights @ (scales**2 + (means - mean) ** 2) / weights.sum()
    fewer = np.delete(parameters, j, axis=1)
    fewer[:, i] = weights.sum(), mean, np.sqrt(variance)
    return fewer


def test_the_merger_that_costs_least():
    bins = bins_of(300)
    rng = np.random.default_rng(3)
    for _ in range(5):
        parameters = np.stack(
            [rng.dirichlet(np.ones(4)), rng.normal(size=4), rng.uniform(0.3, 1.5, 4)]
        )
        pairs = [merged_pair(parameters, i, j) for j in range(4) for i in range(j)]
        values = [oracles.expectation(bins, *pair)[1] for pair in pairs]
        got = search.merge_cheapest(bins, parameters)
        np.testing.assert_allclose(got, pairs[int(np.argmax(values))], rtol=1e-12)

"""Histograms against plain loops over bins."""

import numpy as np
import pytest

import oracles
from rbig_numba import statistics
from rbig_numba.kernels import histogram


@pytest.mark.parametrize("n_edges", [1, 3, 7, 63, 511])
def test_find_bins_is_searchsorted(n_edges):
    rng = np.random.default_rng(n_edges)
    edges = np.sort(rng.standard_normal(n_edges))
    x = np.concatenate([rng.standard_normal(400), edges, np.nextafter(edges, -np.inf), [-1e9, 1e9]])
    bins = np.full(len(x), -1)
    histogram.find_bins(x, edges, bins)
    np.testing.assert_array_equal(bins, np.searchsorted(edges, x, side="right"))


def test_find_bins_with_padding_and_repeats():
    edges = np.array([0.0, 0.0, 1.0, np.inf, np.inf, np.inf, np.inf])
    bins = np.empty(4, dtype=np.int64)
    histogram.find_bins(np.array([-1.0, 0.0, 0.5, 1e308]), edges, bins)
    np.testing.assert_array_equal(bins, [0, 2, 2, 3])


@pytest.mark.parametrize("offset", [0.0, 1e6], ids=["centred", "far from zero"])
def test_weights_means_and_variances(offset):
    rng = np.random.default_rng(0)
    columns = offset + rng.standard_normal((2, 1500))
    weights = rng.uniform(0.5, 2.0, 1500)
    edges = offset + np.array([[-1.5, -0.5, -0.1, 0.2, 0.9, 1.8, 9.0]] * 2)
    centres = offset + np.array([[-2.0, -1.0, -0.3, 0.0, 0.5, 1.2, 2.2, 9.0]] * 2)
    sums = np.zeros((2, 8, 3))
    for part in (slice(0, 700), slice(700, 1500)):
        own = np.ascontiguousarray(columns[:, part])
        bins = np.empty(own.shape, dtype=np.int64)
        for j in range(2):
            histogram.find_bins(own[j], edges[j], bins[j])
        histogram.accumulate(own, weights[part], bins, centres, sums)
    got = np.stack(histogram.moments(sums, centres), axis=1)
    for j in range(2):
        expected = oracles.histogram(columns[j], weights, edges[j])
        filled = expected[0] > 0
        assert not filled[-1]
        np.testing.assert_allclose(got[j, 0], expected[0], rtol=1e-13)
        np.testing.assert_allclose(got[j, 1, filled], expected[1, filled], rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(got[j, 2, filled], expected[2, filled], rtol=1e-9, atol=1e-14)
        np.testing.assert_array_equal(got[j, 1:, ~filled], [[centres[j, -1], 0.0]])


@pytest.mark.parametrize("rows", [3000, 40], ids=["more values than bins", "a bin per value"])
def test_histograms_keep_mass_mean_and_variance(rows):
    rng = np.random.default_rng(1)
    x, weights = rng.standard_t(3, (rows, 2)), rng.uniform(0.5, 2.0, rows)
    edges = statistics.bin_edges(x[: rows // 2], weights[: rows // 2])
    bins = statistics.histograms(x, weights, edges, 1)
    mean, covariance = oracles.weighted_moments(x, weights)
    share = bins[:, 0] / weights.sum()
    np.testing.assert_allclose(share.sum(axis=1), 1.0, rtol=1e-12)
    means = (share * bins[:, 1]).sum(axis=1)
    np.testing.assert_allclose(means, mean.astype(float), atol=1e-12)
    spread = ((bins[:, 1] - means[:, None]) ** 2 + bins[:, 2]) * share
    np.testing.assert_allclose(spread.sum(axis=1), np.diag(covariance).astype(float), rtol=1e-10)


def test_each_of_few_distinct_values_has_its_own_bin():
    values = np.repeat([-2.0, 0.0, 0.5, 7.0], [1, 5, 3, 2])[:, None]
    weights = np.ones(len(values))
    bins = statistics.histograms(values, weights, statistics.bin_edges(values, weights), 1)[0]
    filled = bins[:, bins[0] > 0]
    np.testing.assert_array_equal(filled, [[1, 5, 3, 2], [-2.0, 0.0, 0.5, 7.0], [0, 0, 0, 0]])


def test_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(2)
    x, weights = rng.standard_normal((150_000, 1)), rng.uniform(0.5, 2.0, 150_000)
    edges = statistics.bin_edges(x[:1000], weights[:1000])
    one, two = (statistics.histograms(x, weights, edges, n) for n in (1, 2))
    assert one.tobytes() == two.tobytes()

"""Statistics are the same however the rows were cut."""

import numpy as np
import pytest

import oracles
from rbig_numba import statistics
from rbig_numba.kernels.hashing import hash_rows


def parts_of(rows, weights, cuts):
    return zip(np.split(rows, cuts), np.split(weights, cuts), strict=True)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("cuts", [[], [1], [0, 7000, 7001, 20_000]])
def test_moments_keep_the_variance_far_from_zero(offset, cuts):
    rng = np.random.default_rng(3)
    rows = offset + rng.normal(size=(20_000, 3)) * [1.0, 0.1, 5.0]
    weights = rng.uniform(0.5, 2.0, len(rows))
    merged = statistics.merge_moments(
        [
            statistics.moments_of(np.ascontiguousarray(part.T), part_weights)
            for part, part_weights in parts_of(rows, weights, cuts)
        ]
    )
    exact_mean, exact_covariance = oracles.weighted_moments(rows, weights)
    assert merged.weight == pytest.approx(weights.sum(), rel=1e-12)
    np.testing.assert_allclose(merged.mean, exact_mean.astype(float), rtol=1e-14, atol=1e-13)
    # A mean of 1e6 is rounded to 1e-10, and the distance between two blocks' means with it.
    np.testing.assert_allclose(
        merged.covariance, exact_covariance.astype(float), rtol=1e-10, atol=1e-11
    )
    np.testing.assert_array_equal(merged.covariance, merged.covariance.T)


def sample_of(rows, weights):
    hashes = np.empty(len(rows), dtype=np.uint64)
    hash_rows(np.ascontiguousarray(rows.T), np.uint64(5), hashes)
    return statistics.Sample(hashes, rows, weights)


def test_a_sample_depends_on_neither_order_nor_blocks_nor_on_how_often_a_row_is_written():
    rng = np.random.default_rng(4)
    rows, weights = rng.normal(size=(30_000, 2)), rng.integers(1, 4, 30_000)
    once = statistics.merge_samples([sample_of(rows, weights.astype(float))], 8000)
    order = rng.permutation(weights.sum())
    repeated = np.repeat(rows, weights, axis=0)[order]
    ones = np.ones(len(repeated))
    parts = [sample_of(*p) for p in parts_of(repeated, ones, [100, 40_000])]
    cut = statistics.merge_samples(parts, 8000)
    assert len(once.rows) == 8000
    for a, b in zip(once, cut, strict=True):
        np.testing.assert_array_equal(a, b)


def test_hashes_are_uniform_and_know_the_order_of_columns_and_the_seed():
    rng = np.random.default_rng(6)
    columns = rng.normal(size=(3, 100_000))
    hashes, swapped, reseeded = (np.empty(100_000, dtype=np.uint64) for _ in range(3))
    hash_rows(columns, np.uint64(0), hashes)
    hash_rows(columns[[1, 0, 2]], np.uint64(0), swapped)
    hash_rows(columns, np.uint64(1), reseeded)
    for other in (swapped, reseeded):
        assert (hashes != other).all()
    counts = np.histogram(hashes / 2.0**64, 100, (0, 1))[0]
    assert np.abs(counts - 1000).max() < 6 * np.sqrt(1000)


def test_hashes_of_equal_rows_are_equal():
    hashes = np.empty(2, dtype=np.uint64)
    hash_rows(np.array([[0.0, -0.0], [3.0, 3.0]]), np.uint64(0), hashes)
    assert hashes[0] == hashes[1]


def test_variances_about_a_far_centre_are_never_negative():
    columns = np.random.default_rng(0).uniform(1e6, 1e6 + 1e-6, (20, 500))
    statistic = statistics.MomentSums(np.zeros(20))
    sums = statistic.zeros(20)
    statistic.add(columns, np.ones(500), sums)
    assert (np.diag(statistic.moments(sums).covariance) >= 0.0).all()

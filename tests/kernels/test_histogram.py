"""Histograms against plain loops over bins."""

import numpy as np
import pytest

import oracles
from rbig_numba.kernels import histogram

INF = np.inf
N_CELLS = 64


def padded(edges, size):
    return np.append(edges, np.full(size - len(edges), INF))


def found(x, edges, sample):
    """Return the bins of x that a table over a sample leads to; edges may move by a cell."""
    n_bins = len(edges) + 1
    table, lookup = np.empty(N_CELLS, dtype=np.int32), np.empty(3)
    mass = histogram.accumulated(np.ones(len(sample)))
    histogram.fill_table(np.sort(sample), mass, edges, table, lookup)
    bins = np.full(len(x), -1, dtype=np.int32)
    histogram.find_bins(x, padded(edges, 2 * n_bins), table, lookup, bins)
    return bins


SAMPLES = {
    "normal": lambda rng: rng.standard_normal(500),
    "cauchy": lambda rng: rng.standard_cauchy(500),
    "spike": lambda rng: np.where(rng.uniform(size=500) < 0.7, 0.25, rng.standard_normal(500)),
    "outlier": lambda rng: np.append(rng.standard_normal(499), 1e6),
    "one value": lambda rng: np.full(500, 3.0),
    "huge": lambda rng: 1e300 * rng.standard_normal(500),
}


@pytest.mark.parametrize("n_edges", [1, 3, 63, 511])
@pytest.mark.parametrize("name", SAMPLES)
def test_find_bins_is_searchsorted(name, n_edges):
    rng = np.random.default_rng(n_edges)
    sample = SAMPLES[name](rng)
    edges = np.sort(rng.choice(sample, n_edges) + 1e-3 * rng.standard_normal(n_edges))
    x = np.concatenate([SAMPLES[name](rng), edges, np.nextafter(edges, -INF), [-1e308, 1e308]])
    np.testing.assert_array_equal(found(x, edges, sample), np.searchsorted(edges, x, side="right"))


@pytest.mark.parametrize(
    ("name", "n_values", "levels"),
    [("normal", 500, 0), ("normal", 60, 1), ("spike", 500, 1)],
    ids=["smooth", "few values", "spike"],
)
def test_edges_of_smooth_columns_alone_move_and_by_a_cell_at_most(name, n_values, levels):
    sample = np.sort(SAMPLES[name](np.random.default_rng(0))[:n_values])
    edges = np.linspace(-3.0, 3.0, 63)
    moved, table, lookup = edges.copy(), np.empty(N_CELLS, dtype=np.int32), np.empty(3)
    histogram.fill_table(sample, np.arange(1.0, n_values + 1), moved, table, lookup)
    assert (lookup[2] == 0) == (levels == 0)
    assert (moved >= edges).all()
    assert (moved - edges).max() <= (1.0 / lookup[1] if levels == 0 else 0.0)


def test_find_bins_with_padding_and_repeats():
    edges = np.array([0.0, 0.0, 1.0, INF, INF, INF, INF])
    x = np.array([-1.0, 0.0, 0.5, 1e308])
    np.testing.assert_array_equal(found(x, edges, np.array([0.0, 1.0])), [0, 2, 2, 3])


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_quantile_counts_weights_as_rows(probability):
    x, weights = np.array([1.0, 2.0, 3.0, 5.0]), np.array([1, 4, 2, 3])
    rows = np.repeat(x, weights)
    expected = rows[max(int(np.ceil(probability * 10)) - 1, 0)]
    mass = histogram.accumulated(weights.astype(float))
    assert histogram.quantile(x, mass, probability) == expected


@pytest.mark.parametrize("offset", [0.0, 1e6], ids=["centred", "far from zero"])
def test_sums_are_weights_and_moments_about_the_centre(offset):
    rng = np.random.default_rng(0)
    x = offset + rng.standard_normal(1500)
    weights = rng.uniform(0.5, 2.0, 1500)
    edges = offset + np.array([-1.5, -0.5, -0.1, 0.2, 0.9, 1.8, 9.0])
    centres = offset + np.array([-2.0, -1.0, -0.3, 0.0, 0.5, 1.2, 2.2, 9.0])
    sums = np.zeros((1, 8, 3))
    for part in (slice(0, 700), slice(700, 1500)):
        bins = np.searchsorted(edges, x[part], side="right").astype(np.int32)
        histogram.accumulate(x[part], weights[part], bins, centres, sums[0])
    expected = oracles.histogram(x, weights, edges)
    filled = expected[0] > 0
    assert not filled[-1]
    np.testing.assert_allclose(sums[0, :, 0], expected[0], rtol=1e-13)
    first, second = sums[0, filled, 1:].T / sums[0, filled, 0]
    means, variances = expected[1:, filled]
    np.testing.assert_allclose(centres[filled] + first, means, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(second - first**2, variances, rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(sums[0, ~filled], 0.0)

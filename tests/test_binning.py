"""Where bins stand, whatever the column, and what they keep of it."""

import pickle

import numpy as np
import pytest

import oracles
from rbig_numba.bijections.mixture import fit_column
from rbig_numba.fitting.binning import N_BINS, Grid, Histograms, bins_of, grid_of

COLUMNS = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "outliers at 1e6": lambda rng, n: (
        rng.standard_normal(n) * np.where(rng.uniform(size=n) < 1e-3, 1e6, 1)
    ),
    "spike": lambda rng, n: np.where(rng.uniform(size=n) < 0.5, 0.3, rng.standard_normal(n)),
    "ties": lambda rng, n: rng.integers(0, 200, n).astype(float),
    "lognormal": lambda rng, n: np.exp(2.0 * rng.standard_normal(n)),
    "one value": lambda rng, n: np.full(n, 2.0),
}


def counted(x, weights, grid):
    """Return the sums of columns (D, n), counted in two runs."""
    statistic = Histograms(grid)
    sums = statistic.zeros(len(x))
    for part in (slice(0, 1000), slice(1000, None)):
        statistic.add(np.ascontiguousarray(x[:, part]), weights[part], sums)
    return sums[0]


def histogram(x, weights, grid):
    return bins_of(counted(x, weights, grid), grid)


def unrounded(x, weights, grid):
    """Return bins (D, 3, B) as they are before rounding, NaN where empty."""
    weight, first, second = np.moveaxis(counted(x, weights, grid), 2, 0)
    with np.errstate(invalid="ignore"):
        shift = first / weight
        return np.stack([weight, grid.centres + shift, second / weight - shift**2], axis=1)


@pytest.fixture(params=COLUMNS)
def columns(request):
    return COLUMNS[request.param](np.random.default_rng(0), 6000).reshape(2, 3000)


def test_grid_is_sorted_finite_and_pickles(columns):
    grid = grid_of(columns.T, np.ones(3000))
    assert all(
        np.array_equal(a, b) for a, b in zip(pickle.loads(pickle.dumps(grid)), grid, strict=True)
    )
    assert isinstance(grid, Grid)
    assert (grid.edges[:, 1:] >= grid.edges[:, :-1]).all()
    assert np.isinf(grid.edges[:, N_BINS - 1 :]).all()
    assert np.isfinite(grid.centres).all()


def test_bins_are_those_between_the_edges(columns):
    weights = np.random.default_rng(1).uniform(0.5, 2.0, 3000)
    grid = grid_of(columns[:, :1500].T, weights[:1500])
    bins = unrounded(columns, weights, grid)
    for j in range(2):
        expected = oracles.histogram(columns[j], weights, grid.edges[j, : N_BINS - 1])
        filled = expected[0] > 0
        np.testing.assert_allclose(bins[j, 0], expected[0], rtol=1e-12)
        np.testing.assert_allclose(bins[j, 1, filled], expected[1, filled], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rows", [3000, 40], ids=["more values than bins", "a bin per value"])
def test_histograms_keep_mass_mean_and_variance(rows):
    rng = np.random.default_rng(1)
    x, weights = rng.standard_t(3, (rows, 2)), rng.uniform(0.5, 2.0, rows)
    bins = unrounded(x.T, weights, grid_of(x[: rows // 2], weights[: rows // 2]))
    bins[:, 1:] = np.where(bins[:, :1] > 0, bins[:, 1:], 0.0)
    mean, covariance = oracles.weighted_moments(x, weights)
    share = bins[:, 0] / weights.sum()
    np.testing.assert_allclose(share.sum(axis=1), 1.0, rtol=1e-12)
    means = (share * bins[:, 1]).sum(axis=1)
    np.testing.assert_allclose(means, mean.astype(float), atol=1e-12)
    spread = ((bins[:, 1] - means[:, None]) ** 2 + bins[:, 2]) * share
    np.testing.assert_allclose(spread.sum(axis=1), np.diag(covariance).astype(float), rtol=1e-10)


def test_rounding_moves_means_by_less_than_1e_7_of_the_spread_of_a_bin(columns):
    weights = np.random.default_rng(1).uniform(0.5, 2.0, 3000)
    grid = grid_of(columns.T, weights)
    exact, bins = unrounded(columns, weights, grid), histogram(columns, weights, grid)
    spread = np.sqrt(exact[:, 2] + (exact[:, 1] - grid.centres) ** 2)
    filled = exact[:, 0] > 0
    for i, unit in enumerate([exact[:, 0], spread, spread**2]):
        error = np.abs(bins[:, i] - exact[:, i])[filled]
        assert (error <= 2.0**-24 * unit[filled] + 1e-15 * np.abs(exact[:, 1])[filled]).all()
    np.testing.assert_array_equal(bins[:, 1][~filled], grid.centres[~filled])


def test_order_of_rows_does_not_change_a_bit(columns):
    weights = np.random.default_rng(1).uniform(0.5, 2.0, 3000)
    grid = grid_of(columns.T, weights)
    order = np.random.default_rng(4).permutation(3000)
    one, other = (
        histogram(columns, weights, grid),
        histogram(columns[:, order], weights[order], grid),
    )
    assert one.tobytes() == other.tobytes()


def test_each_of_few_distinct_values_has_its_own_bin():
    values = np.repeat([-2.0, 0.0, 0.5, 7.0], [1, 5, 3, 2])[:, None]
    weights = np.ones(len(values))
    bins = histogram(values.T, weights, grid_of(values, weights))[0]
    filled = bins[:, bins[0] > 0]
    np.testing.assert_array_equal(filled, [[1, 5, 3, 2], [-2.0, 0.0, 0.5, 7.0], [0, 0, 0, 0]])


def test_neighbouring_numbers_and_as_many_values_as_bins():
    x = 1.0 + np.spacing(1.0) * np.arange(N_BINS)
    bins = histogram(x[None], np.ones(N_BINS), grid_of(x[:, None], np.ones(N_BINS)))[0]
    np.testing.assert_array_equal(bins[0], 1.0)
    np.testing.assert_array_equal(bins[1], x)


@pytest.mark.parametrize("name", ["cauchy", "outliers at 1e6", "spike", "lognormal"])
def test_no_bin_of_many_distinct_values_is_crowded(name):
    x = COLUMNS[name](np.random.default_rng(2), 8000)
    bins = histogram(x[None], np.ones(8000), grid_of(x[:, None], np.ones(8000)))[0]
    is_spread = bins[2] > 0
    assert bins[0, is_spread].max() < 8000 / 100
    # A bin beyond the bulk is no wider than a share of its distance from it.
    far = is_spread & (np.abs(bins[1]) > 100.0)
    assert (np.sqrt(bins[2, far]) < 0.15 * np.abs(bins[1, far])).all()


def test_weight_2_is_the_row_twice():
    rng = np.random.default_rng(3)
    x, counts = rng.standard_normal((3000, 1)), rng.integers(1, 4, 3000)
    weights, rows = counts.astype(float), np.repeat(x, counts, axis=0)
    grid = grid_of(x, weights)
    once = histogram(x.T, weights, grid)[0]
    twice = histogram(rows.T, np.ones(len(rows)), grid_of(x, weights))[0]
    np.testing.assert_allclose(once, twice, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fit_column(once, 4), fit_column(twice, 4), rtol=1e-5, atol=1e-6)


def test_same_bits_again(columns):
    weights = np.ones(3000)
    one, two = (histogram(columns, weights, grid_of(columns.T, weights)) for _ in range(2))
    assert one.tobytes() == two.tobytes()

"""Places within jumps: draws by row number, and the lattice."""

import numpy as np
import pytest
from scipy.stats import kstest

from rbig_numba.columns.draws import lattice, row_draws


def test_draws_follow_from_row_numbers_whatever_the_blocks():
    whole = row_draws(7, 2, 0, 1000)
    parts = [row_draws(7, 2, start, 250) for start in (0, 250, 500, 750)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_draws_are_uniform_and_independent_of_neighbours_columns_and_seeds():
    draws = [row_draws(seed, column, 0, 20_000) for seed in (0, 1) for column in (0, 1, 2)]
    for each in draws:
        assert kstest(each, "uniform").pvalue > 1e-3
        assert abs(np.corrcoef(each[1:], each[:-1])[0, 1]) < 0.03
    assert np.abs(np.corrcoef(draws) - np.eye(6)).max() < 0.03
    assert all(each.min() > 0.0 and each.max() < 1.0 for each in draws)


@pytest.mark.parametrize("n_points", [1, 4, 16, 100])
def test_each_column_of_a_lattice_is_the_midpoint_rule(n_points):
    middles = (np.arange(n_points) + 0.5) / n_points
    for column in lattice(n_points, 3).T:
        np.testing.assert_allclose(np.sort(column), middles)


def test_a_lattice_integrates_better_than_as_many_draws():
    def error(points):
        return abs(np.exp(points @ [1.0, -0.5, 0.7]).mean() - exact)

    exact = np.prod([np.expm1(a) / a for a in (1.0, -0.5, 0.7)])
    drawn = [error(np.random.default_rng(seed).random((64, 3))) for seed in range(20)]
    assert error(lattice(64, 3)) < 0.2 * np.median(drawn)

"""Steps of EM on rows with holes, against a twin that a reader believes."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from rbig_numba.bijections.components import Components, joint_sums, single, updated

N_ROWS, D, K, S = 60, 4, 3, 2


def components():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(K, D, D))
    covariances = factors @ np.swapaxes(factors, 1, 2) + 0.3 * np.eye(D)
    sizes = np.exp(0.5 * rng.normal(size=(K, S)))
    weights = rng.dirichlet(np.ones(K * S)).reshape(K, S)
    return Components(weights, rng.normal(size=(K, D)), covariances, sizes)


def table(share=0.3):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(N_ROWS, D))
    rows[rng.random(rows.shape) < share] = np.nan
    rows[0] = np.nan
    return rows, rng.integers(1, 3, N_ROWS).astype(float)


def density(row, mean, covariance):
    there = ~np.isnan(row)
    if not there.any():
        return 1.0
    return multivariate_normal.pdf(row[there], mean[there], covariance[np.ix_(there, there)])


def expected(row, mean, covariance):
    """Return the deviation from the mean expected of a row, and its covariance."""
    there = ~np.isnan(row)
    deviation, spread = np.where(there, row - mean, 0.0), np.zeros((D, D))
    cross = covariance[np.ix_(~there, there)]
    slopes = cross @ np.linalg.inv(covariance[np.ix_(there, there)])
    deviation[~there] = slopes @ deviation[there]
    spread[np.ix_(~there, ~there)] = covariance[np.ix_(~there, ~there)] - slopes @ cross.T
    return deviation, spread


def naive_sums(shapes, rows, row_weights):
    weights, means, covariances, sizes = shapes
    counts, distances = np.zeros((K, S)), np.zeros((K, S))
    firsts, products, value = np.zeros((K, 1 + D)), np.zeros((K, D, D)), 0.0
    for row, row_weight in zip(rows, row_weights, strict=True):
        densities = np.array(
            [
                [
                    weights[k, s] * density(row, means[k], sizes[k, s] ** 2 * covariances[k])
                    for s in range(S)
                ]
                for k in range(K)
            ]
        )
        value += row_weight * np.log(densities.sum())
        shares = row_weight * densities / densities.sum()
        for k, s in np.ndindex(K, S):
            deviation, spread = expected(row, means[k], covariances[k])
            second = np.outer(deviation, deviation) + sizes[k, s] ** 2 * spread
            precision = shares[k, s] / sizes[k, s] ** 2
            counts[k, s] += shares[k, s]
            distances[k, s] += shares[k, s] * np.trace(np.linalg.solve(covariances[k], second))
            firsts[k] += precision * np.append(1.0, deviation)
            products[k] += precision * second
    return counts, distances, firsts, np.tril(products), value


def sums_of(shapes, rows, row_weights, least):
    statistic, columns = joint_sums(shapes), np.ascontiguousarray(rows.T)
    sums = statistic.zeros(rows.shape[1])
    statistic.add_pairs(columns, row_weights, statistic.pairs(columns, least), sums)
    return sums


def test_statistics_are_those_of_the_twin():
    rows, row_weights = table()
    sums = sums_of(components(), rows, row_weights, 1e-300)
    twin = naive_sums(components(), rows, row_weights)
    for found, wanted in zip(sums, twin, strict=True):
        np.testing.assert_allclose(np.tril(found) if np.ndim(found) == 3 else found, wanted, 1e-10)
    value = joint_sums(components()).log_likelihood(np.ascontiguousarray(rows.T), row_weights)
    np.testing.assert_allclose(value, twin[-1], rtol=1e-12)


@pytest.mark.parametrize("n_scales", [1, 2])
def test_rows_without_holes_give_what_whole_rows_do(n_scales):
    rows, row_weights = table(0.0)
    rows[0] = 0.5
    shapes = components()
    shapes = shapes._replace(weights=shapes.weights[:, :n_scales], sizes=shapes.sizes[:, :n_scales])
    whole = sums_of(shapes, rows, row_weights, 1e-300)
    # A row without cells, of no weight, sends all others through the kernels of rows with holes.
    more = np.vstack([rows, np.full(D, np.nan)])
    holed = sums_of(shapes, more, np.append(row_weights, 0.0), 1e-300)
    for found, wanted in zip(holed, whole, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_steps_of_em_raise_the_density_of_the_cells():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(400, D)) @ rng.normal(size=(D, D))
    rows[rng.random(rows.shape) < 0.4] = np.nan
    shapes, last = single(np.zeros(D), np.eye(D)), -np.inf
    for _ in range(30):
        sums = sums_of(shapes, rows, np.ones(400), 1.0)
        assert sums.log_likelihood >= last - 1e-9
        shapes, last = updated(shapes, sums, 0.0), sums.log_likelihood

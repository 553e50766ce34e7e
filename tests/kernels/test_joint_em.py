"""Statistics of EM for full covariances, against SciPy's densities and plain sums."""

import numpy as np
import pytest
from scipy.linalg import solve_triangular
from scipy.special import logsumexp
from scipy.stats import norm

from rbig_numba.kernels.joint_em import RUN, add_statistics, mark_likely


def components_of(n_components, n_columns, seed=0):
    rng = np.random.default_rng(seed)
    factors = np.tril(rng.normal(size=(n_components, n_columns, n_columns)), -1)
    factors += np.eye(n_columns) * rng.uniform(0.3, 1.5, (n_components, 1, n_columns))
    weights = rng.dirichlet(np.ones(n_components))
    return weights, rng.normal(size=(n_components, n_columns)), factors


def statistics_of(rows, row_weights, weights, means, factors):
    n_components, n_columns = means.shape
    sums = np.zeros((n_components, n_columns + 2))
    products = np.zeros((n_components, n_columns, n_columns))
    columns = np.ascontiguousarray(rows.T)
    components = np.log(weights), means, np.linalg.inv(factors)
    pairs = np.tile(np.arange(len(rows)), n_components), len(rows) * np.arange(n_components + 1)
    add_statistics(columns, row_weights, components, pairs, sums, products)
    return sums, products


def log_terms(rows, weights, means, factors):
    """log w_k N(x; m_k, F_k F_k'), (K, N): SciPy's density of F F' loses digits to its squares."""
    return np.log(weights)[:, None] + [
        norm.logpdf(solve_triangular(f, (rows - m).T, lower=True)).sum(axis=0)
        - np.log(np.diag(f)).sum()
        for m, f in zip(means, factors, strict=True)
    ]


@pytest.mark.parametrize("n_columns", [1, 2, 5, 11])
@pytest.mark.parametrize("n_rows", [1, RUN, 3 * RUN + 7])
def test_sums_are_those_of_responsibilities(n_rows, n_columns):
    weights, means, factors = components_of(4, n_columns)
    rng = np.random.default_rng(1)
    rows, row_weights = 2 * rng.normal(size=(n_rows, n_columns)), rng.uniform(0.5, 2.0, n_rows)
    sums, products = statistics_of(rows, row_weights, weights, means, factors)
    terms = log_terms(rows, weights, means, factors)
    log_density = logsumexp(terms, axis=0)
    shares = row_weights * np.exp(terms - log_density)
    deviations = rows - means[:, None]
    np.testing.assert_allclose(sums[:, 0], shares.sum(axis=1), rtol=1e-9)
    expected = np.einsum("kn,kni->ki", shares, deviations)
    np.testing.assert_allclose(sums[:, 1:-1], expected, rtol=1e-9, atol=1e-11 * n_rows)
    np.testing.assert_allclose(sums[0, -1], row_weights @ log_density, rtol=1e-11)
    expected = np.tril(np.einsum("kn,kni,knj->kij", shares, deviations, deviations))
    np.testing.assert_allclose(products, expected, rtol=1e-9, atol=1e-11 * n_rows)


@pytest.mark.parametrize("distance", [10.0, 100.0, 1000.0])
def test_far_rows_belong_to_somebody(distance):
    weights, means, factors = components_of(3, 4)
    rows = distance * np.eye(4)
    sums, _ = statistics_of(rows, np.ones(4), weights, means, factors)
    np.testing.assert_allclose(sums[:, 0].sum(), 4.0, rtol=1e-12)
    assert np.isfinite(sums).all()


def test_statistics_are_added():
    weights, means, factors = components_of(3, 4)
    rows = np.random.default_rng(2).normal(size=(700, 4))
    whole = statistics_of(rows, np.ones(700), weights, means, factors)
    parts = [
        statistics_of(part, np.ones(len(part)), weights, means, factors)
        for part in np.split(rows, [100])
    ]
    for one, other, total in zip(*parts, whole, strict=True):
        np.testing.assert_allclose(one + other, total, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("least", [1e-2, 1e-6])
def test_likely_components_and_the_likelihood(least):
    weights, means, factors = components_of(4, 3)
    rows = 2 * np.random.default_rng(3).normal(size=(RUN + 50, 3))
    row_weights = np.random.default_rng(4).uniform(0.5, 2.0, RUN + 50)
    terms = log_terms(rows, weights, means, factors)
    likely = np.zeros((4, RUN + 50), bool)
    components = np.log(weights), means, np.linalg.inv(factors)
    columns = np.ascontiguousarray(rows.T)
    value = mark_likely(columns, row_weights, components, np.log(least), likely)
    np.testing.assert_array_equal(likely, terms - logsumexp(terms, axis=0) >= np.log(least))
    assert 0.2 < likely.mean() < 0.9
    assert value == pytest.approx(row_weights @ logsumexp(terms, axis=0), rel=1e-10)

"""Statistics of EM for full covariances, against SciPy's densities and plain sums."""

import numpy as np
import pytest
from scipy.linalg import solve_triangular
from scipy.special import logsumexp
from scipy.stats import norm

from rbig_numba.kernels.joint_em import RUN, add_statistics, mark_likely


def components_of(n_components, n_columns, n_scales=1, seed=0):
    rng = np.random.default_rng(seed)
    factors = np.tril(rng.normal(size=(n_components, n_columns, n_columns)), -1)
    factors += np.eye(n_columns) * rng.uniform(0.3, 1.5, (n_components, 1, n_columns))
    weights = rng.dirichlet(np.ones(n_components * n_scales)).reshape(n_components, n_scales)
    means, sizes = rng.normal(size=(n_components, n_columns)), np.ones((n_components, n_scales))
    if n_scales > 1:
        sizes = rng.uniform(0.3, 3.0, (n_components, n_scales))
    return weights, means, factors, sizes


def shapes_of(weights, means, factors, sizes):
    return np.log(weights), means, np.linalg.inv(factors), sizes


def statistics_of(rows, row_weights, weights, means, factors, sizes):
    n_components, n_columns = means.shape
    sums = (
        np.zeros(weights.shape),
        np.zeros(weights.shape),
        np.zeros((n_components, n_columns + 1)),
        np.zeros((n_components, n_columns, n_columns)),
        np.zeros(1),
    )
    columns = np.ascontiguousarray(rows.T)
    pairs = np.tile(np.arange(len(rows)), n_components), len(rows) * np.arange(n_components + 1)
    add_statistics(columns, row_weights, shapes_of(weights, means, factors, sizes), pairs, sums)
    return sums


def whitened(rows, means, factors):
    """Rows in units of each shape (K, D, N)."""
    return np.stack(
        [solve_triangular(f, (rows - m).T, lower=True) for m, f in zip(means, factors, strict=True)]
    )


def log_terms(rows, weights, means, factors, sizes):
    """log w_ks N(x; m_k, a_ks^2 F_k F_k'), (K, S, N): SciPy's density of F F' loses digits."""
    u = whitened(rows, means, factors)[:, None] / sizes[:, :, None, None]
    log_dets = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)[:, None]
    log_dets = log_dets + means.shape[1] * np.log(sizes)
    return norm.logpdf(u).sum(axis=2) + (np.log(weights) - log_dets)[:, :, None]


@pytest.mark.parametrize("n_scales", [1, 2, 5])
@pytest.mark.parametrize("n_columns", [1, 2, 5, 11])
@pytest.mark.parametrize("n_rows", [1, RUN, 3 * RUN + 7])
def test_sums_are_those_of_responsibilities(n_rows, n_columns, n_scales):
    components = _, means, factors, sizes = components_of(4, n_columns, n_scales)
    rng = np.random.default_rng(1)
    rows, row_weights = 2 * rng.normal(size=(n_rows, n_columns)), rng.uniform(0.5, 2.0, n_rows)
    counts, distances, firsts, products, value = statistics_of(rows, row_weights, *components)
    terms = log_terms(rows, *components)
    log_density = logsumexp(terms, axis=(0, 1))
    shares = row_weights * np.exp(terms - log_density)
    squares = np.square(whitened(rows, means, factors)).sum(axis=1)
    np.testing.assert_allclose(counts, shares.sum(axis=2), rtol=1e-9, atol=1e-300)
    expected = np.einsum("ksn,kn->ks", shares, squares)
    np.testing.assert_allclose(distances, expected, rtol=1e-9, atol=1e-300)
    precisions = (shares / np.square(sizes)[:, :, None]).sum(axis=1)
    deviations = rows - means[:, None]
    np.testing.assert_allclose(firsts[:, 0], precisions.sum(axis=1), rtol=1e-9)
    expected = np.einsum("kn,kni->ki", precisions, deviations)
    np.testing.assert_allclose(firsts[:, 1:], expected, rtol=1e-9, atol=1e-11 * n_rows)
    np.testing.assert_allclose(value[0], row_weights @ log_density, rtol=1e-11)
    expected = np.tril(np.einsum("kn,kni,knj->kij", precisions, deviations, deviations))
    np.testing.assert_allclose(products, expected, rtol=1e-9, atol=1e-11 * n_rows)


@pytest.mark.parametrize("n_scales", [1, 3])
@pytest.mark.parametrize("distance", [10.0, 100.0, 1000.0])
def test_far_rows_belong_to_somebody(distance, n_scales):
    rows = distance * np.eye(4)
    counts, *rest = statistics_of(rows, np.ones(4), *components_of(3, 4, n_scales))
    # Exponents of 1e6, of which two formulas differ in the last bit.
    np.testing.assert_allclose(counts.sum(), 4.0, rtol=1e-10)
    assert all(np.isfinite(sums).all() for sums in rest)


def test_statistics_are_added():
    components = components_of(3, 4, 2)
    rows = np.random.default_rng(2).normal(size=(700, 4))
    whole = statistics_of(rows, np.ones(700), *components)
    parts = [statistics_of(part, np.ones(len(part)), *components) for part in np.split(rows, [100])]
    for one, other, total in zip(*parts, whole, strict=True):
        np.testing.assert_allclose(one + other, total, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n_scales", [1, 3])
@pytest.mark.parametrize("least", [1e-2, 1e-6])
def test_likely_shapes_and_the_likelihood(least, n_scales):
    components = components_of(4, 3, n_scales)
    rows = 2 * np.random.default_rng(3).normal(size=(RUN + 50, 3))
    row_weights = np.random.default_rng(4).uniform(0.5, 2.0, RUN + 50)
    terms = logsumexp(log_terms(rows, *components), axis=1)
    likely, columns = np.zeros((4, RUN + 50), bool), np.ascontiguousarray(rows.T)
    value = mark_likely(columns, row_weights, shapes_of(*components), np.log(least), likely)
    np.testing.assert_array_equal(likely, terms - logsumexp(terms, axis=0) >= np.log(least))
    assert 0.2 < likely.mean() < 1.0
    assert value == pytest.approx(row_weights @ logsumexp(terms, axis=0), rel=1e-10)

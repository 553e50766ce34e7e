"""EM against a NumPy twin and against scikit-learn's."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import oracles
from rbig_numba.kernels import em

N_COMPONENTS = 3


def start():
    return np.array([0.2, 0.5, 0.3]), np.array([-1.5, 0.2, 2.0]), np.array([0.5, 1.0, 0.7])


def bins_of(n_bins, *, variance):
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 1.0, n_bins)
    x = np.sort(
        np.append(rng.normal(-1, 0.5, n_bins // 2), rng.normal(2, 0.8, n_bins - n_bins // 2))
    )
    return np.stack([p / p.sum(), x, variance * rng.uniform(size=n_bins)])


@pytest.fixture(params=[0.0, 0.05], ids=["rows", "wide bins"])
def bins(request):
    return bins_of(200, variance=request.param)


def expectation(bins, parameters):
    n_bins = bins.shape[1]
    responsibilities = np.empty((N_COMPONENTS, n_bins))
    value = em.expectation(bins, *parameters, responsibilities, np.empty(n_bins), np.empty(n_bins))
    return responsibilities, value


def test_expectation(bins):
    responsibilities, value = expectation(bins, start())
    expected, expected_value = oracles.expectation(bins, *start())
    np.testing.assert_allclose(responsibilities, expected, rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(responsibilities.sum(axis=0), bins[0], rtol=1e-13)
    assert value == pytest.approx(expected_value, rel=1e-13)


def test_maximisation(bins):
    responsibilities, _ = oracles.expectation(bins, *start())
    parameters = start()
    em.maximisation(bins, 1e-9, responsibilities, *parameters)
    for got, expected in zip(parameters, oracles.maximisation(bins, responsibilities), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_narrowest_scale_is_the_floor(bins):
    responsibilities, _ = oracles.expectation(bins, *start())
    parameters = start()
    em.maximisation(bins, 0.9, responsibilities, *parameters)
    expected = oracles.maximisation(bins, responsibilities)[2]
    assert (expected < 0.9).any()
    np.testing.assert_allclose(parameters[2], np.maximum(expected, 0.9), rtol=1e-12)


def test_a_component_without_rows_stays_and_keeps_a_finite_logarithm(bins):
    weights, means, scales = start()
    means[0], scales[0] = 1e6, 1e-3
    responsibilities, _ = expectation(bins, (weights, means, scales))
    em.maximisation(bins, 1e-9, responsibilities, weights, means, scales)
    assert weights[0] == pytest.approx(em.MIN_WEIGHT)
    assert (means[0], scales[0]) == (1e6, 1e-3)
    assert weights.sum() == pytest.approx(1.0, abs=1e-15)


def test_no_step_loses_likelihood(bins):
    parameters, values = start(), []
    for _ in range(60):
        responsibilities, value = expectation(bins, parameters)
        em.maximisation(bins, 1e-9, responsibilities, *parameters)
        values.append(value)
    assert np.diff(values).min() > -1e-14
    assert values[-1] > values[0] + 1e-3


def test_bins_of_one_row_each_are_scikit_learns_em():
    bins = bins_of(300, variance=0.0)
    bins[0] = 1.0 / 300
    weights, means, scales = start()
    reference = GaussianMixture(
        N_COMPONENTS,
        reg_covar=0.0,
        tol=0.0,
        max_iter=25,
        weights_init=weights,
        means_init=means[:, None],
        precisions_init=1.0 / scales[:, None, None] ** 2,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        reference.fit(bins[1][:, None])
    assert reference.n_iter_ == 25
    em.em1(bins, 1e-12, 25, -np.inf, weights, means, scales)
    np.testing.assert_allclose(weights, reference.weights_, rtol=1e-8)
    np.testing.assert_allclose(means, reference.means_[:, 0], rtol=1e-8)
    np.testing.assert_allclose(scales**2, reference.covariances_[:, 0, 0], rtol=1e-8)


def test_fit_finds_two_separate_modes():
    parameters = np.empty((3, 2))
    bins = bins_of(2000, variance=0.0)
    value = em.fit1(bins, 1e-3, 500, 1e-10, parameters)
    weights, means, scales = parameters[:, np.argsort(parameters[1])]
    np.testing.assert_allclose(weights, 0.5, atol=0.03)
    np.testing.assert_allclose(means, [-1.0, 2.0], atol=0.1)
    np.testing.assert_allclose(scales, [0.5, 0.8], atol=0.1)
    assert value == pytest.approx(oracles.expectation(bins, weights, means, scales)[1], abs=1e-8)

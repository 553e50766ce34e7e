"""EM against a NumPy twin and against scikit-learn's; its accelerated steps against plain ones."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import oracles
from rbig_numba.kernels import em

N_COMPONENTS = 3


def start():
    return np.array([[0.2, 0.5, 0.3], [-1.5, 0.2, 2.0], [0.5, 1.0, 0.7]])


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


def expectation(bins, parameters, shift=0.0):
    """Return responsibilities (K, B) times each bin's weight, and the bound."""
    terms, total = np.empty((parameters.shape[1], bins.shape[1])), np.empty(bins.shape[1])
    value = em.expectation(bins, parameters, np.full(bins.shape[1], shift), terms, total)
    return terms * total, value


def maximisation(bins, floor, responsibilities, parameters):
    image = np.empty_like(parameters)
    em.maximisation(bins, floor, responsibilities, np.ones(bins.shape[1]), parameters, image)
    return image


def plain_steps(bins, floor, n_steps, parameters):
    """Return the parameters after EM without acceleration, and the bound before each step."""
    values = []
    for _ in range(n_steps):
        responsibilities, value = expectation(bins, parameters)
        parameters = maximisation(bins, floor, responsibilities, parameters)
        values.append(value)
    return parameters, values


def test_exp2():
    x = np.append(np.linspace(-1019.0, 1019.0, 2000), [0.0, 0.5, -0.5])
    np.testing.assert_allclose([em.exp2(value) for value in x], np.exp2(x), rtol=3e-14)
    assert em.exp2(-1e300) == em.exp2(-1020.0) > 0.0
    assert em.exp2(1e300) == em.exp2(1020.0) < np.inf


@pytest.mark.parametrize("shift", [0.0, 700.0, -3000.0, 1e5, np.nan])
def test_expectation(bins, shift):
    responsibilities, value = expectation(bins, start(), shift)
    expected, expected_value = oracles.expectation(bins, *start())
    np.testing.assert_allclose(responsibilities, expected, rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(responsibilities.sum(axis=0), bins[0], rtol=1e-13)
    assert value == pytest.approx(expected_value, rel=1e-13)


def test_expectation_of_rows_a_million_scales_away():
    bins = bins_of(200, variance=0.0)
    bins[1, -1] = 1e6
    responsibilities, value = expectation(bins, start())
    expected, expected_value = oracles.expectation(bins, *start())
    np.testing.assert_allclose(responsibilities, expected, rtol=1e-12, atol=1e-18)
    assert value == pytest.approx(expected_value, rel=1e-13)


def test_maximisation(bins):
    responsibilities, _ = oracles.expectation(bins, *start())
    image = maximisation(bins, 1e-9, responsibilities, start())
    for got, expected in zip(image, oracles.maximisation(bins, responsibilities), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_narrowest_scale_is_the_floor(bins):
    responsibilities, _ = oracles.expectation(bins, *start())
    image = maximisation(bins, 0.9, responsibilities, start())
    expected = oracles.maximisation(bins, responsibilities)[2]
    assert (expected < 0.9).any()
    np.testing.assert_allclose(image[2], np.maximum(expected, 0.9), rtol=1e-12)


def test_a_component_without_rows_stays_and_keeps_a_finite_logarithm(bins):
    parameters = start()
    parameters[1:, 0] = 1e6, 1e-3
    responsibilities, _ = expectation(bins, parameters)
    image = maximisation(bins, 1e-9, responsibilities, parameters)
    assert image[0, 0] == pytest.approx(em.MIN_WEIGHT)
    assert tuple(image[1:, 0]) == (1e6, 1e-3)
    assert image[0].sum() == pytest.approx(1.0, abs=1e-15)


def test_no_plain_step_loses_likelihood(bins):
    _, values = plain_steps(bins, 1e-9, 60, start())
    assert np.diff(values).min() > -1e-14
    assert values[-1] > values[0] + 1e-3


def test_no_accelerated_step_loses_likelihood(bins):
    values = []
    for n_steps in range(1, 80):
        parameters = start()
        value, taken = em.ascend(bins, 1e-9, n_steps, -np.inf, parameters)
        assert taken == n_steps
        assert value == pytest.approx(expectation(bins, parameters)[1], abs=1e-13)
        assert parameters[0].sum() == pytest.approx(1.0, abs=1e-14)
        values.append(value)
    assert np.diff(values).min() > -1e-14


def test_acceleration_is_ahead_of_plain_steps_and_ends_where_they_do():
    bins = bins_of(200, variance=0.05)
    _, values = plain_steps(bins, 1e-9, 3000, start())
    parameters = start()
    short, _ = em.ascend(bins, 1e-9, 30, -np.inf, parameters)
    assert short > values[150]
    final, taken = em.ascend(bins, 1e-9, 1000, 1e-9, parameters)
    assert taken < 200
    assert final > values[-1] - 1e-7


def test_ends_when_little_is_left_to_gain(bins):
    best = start()
    value, _ = em.ascend(bins, 0.2, 2000, 1e-12, best)
    for tol in (1e-6, 1e-8):
        parameters = start()
        early, taken = em.ascend(bins, 0.2, 2000, tol, parameters)
        assert taken < 500
        assert value - 10.0 * tol < early <= value + 1e-12


def test_plain_steps_on_bins_of_one_row_each_are_scikit_learns_em():
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
    weights, means, scales = plain_steps(bins, 1e-12, 25, start())[0]
    np.testing.assert_allclose(weights, reference.weights_, rtol=1e-8)
    np.testing.assert_allclose(means, reference.means_[:, 0], rtol=1e-8)
    np.testing.assert_allclose(scales**2, reference.covariances_[:, 0, 0], rtol=1e-8)


def test_an_even_scale_of_weights_and_splits_of_bins_change_nothing(bins):
    twice = np.repeat(bins, 2, axis=1)
    twice[0] *= 0.5
    one, two = start(), start()
    em.ascend(bins, 1e-9, 40, -np.inf, one)
    em.ascend(twice, 1e-9, 40, -np.inf, two)
    np.testing.assert_allclose(one, two, rtol=1e-6)


def test_same_input_same_bits(bins):
    one, two = start(), start()
    em.ascend(bins, 1e-9, 100, 1e-9, one)
    em.ascend(bins, 1e-9, 100, 1e-9, two)
    assert one.tobytes() == two.tobytes()

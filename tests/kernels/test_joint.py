"""Rosenblatt's map of joint mixtures against mpmath and SciPy, near and far."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.special
import scipy.stats

import cases
import oracles
from rbig_numba.flow import base_log_prob
from rbig_numba.kernels import conditional, joint, joint_inverse

ULP = 2.0**-52
MIXTURES = {
    "single": cases.joint_single,
    "overlapping": cases.joint_overlapping,
    "far modes": cases.joint_far_modes,
    "one column": cases.joint_one_column,
    "scales": cases.joint_scales,
    "one shape of wide scales": lambda: cases.with_sizes(cases.joint_single(), [-4.0, 0.0, 4.0]),
}


@pytest.fixture(params=MIXTURES.values(), ids=list(MIXTURES))
def mixture(request):
    return request.param()


def assert_exact(mixture, rows):
    z, log_det = mixture.forward(rows)
    pairs = [oracles.joint_forward(row, *mixture.arrays().values()) for row in rows]
    exact_z = np.array([[float(value) for value in z] for z, _ in pairs])
    exact_log_det = np.array([float(log_det) for _, log_det in pairs])
    np.testing.assert_allclose(z, exact_z, rtol=1e-13, atol=1e-13)
    # log f and z^2 / 2 cancel: the error is an ulp of z^2 / 2.
    tolerance = 5e-14 + 4 * ULP * (exact_z**2).sum(axis=1)
    assert (np.abs(log_det - exact_log_det) <= tolerance).all()


@pytest.mark.parametrize("distance", [1.0, 10.0, 100.0, 1000.0])
def test_forward(mixture, distance):
    n_columns = mixture.means.shape[1]
    assert_exact(mixture, distance * np.random.default_rng(0).normal(size=(12, n_columns)))


@pytest.mark.parametrize(
    ("row", "other_means", "other_scale"),
    [
        # exp(-800) in the first column, then exp(119) times the other's density in each.
        ([0.04, *[15.0] * 9], [0.0, *[15.0] * 9], 1e-3),
        # Never in this row the likelier one, but the smaller mass of its second column is exp(-350)
        # by this component and not exp(-216), as 2^-961 over the first column's density says.
        ([30.0, -25.0], [70.0, -40.0], 1.0),
        ([30.0, -25.0, *[15.0] * 8], [70.0, -40.0, *[15.0] * 8], 1.0),
    ],
    ids=["revived", "a mass", "a mass, then revived"],
)
def test_a_component_below_the_floor_is_not_lost(row, other_means, other_scale):
    means = [[0.0] * len(row), other_means]
    mixture = cases.joint_of([1.0, 1.0], means, [[1.0], [other_scale]], slope=0.0)
    assert_exact(mixture, np.array([row]))


def random_mixture(rng):
    """Weights, means, scales and slopes over many orders of magnitude."""
    k, d = int(rng.integers(1, 25)), int(rng.integers(2, 5))
    weights = rng.dirichlet(np.full(k, rng.choice([0.1, 1.0, 5.0]))) + 1e-15
    means = rng.normal(size=(k, d)) * rng.choice([0.5, 2.0, 10.0, 1000.0])
    scales = 10.0 ** rng.uniform(-3.0, rng.choice([-2.0, 0.0, 1.0]), size=(k, d))
    mixture = cases.joint_of(weights, means, scales, slope=rng.choice([0.1, 1.0]))
    return cases.with_sizes(mixture, np.linspace(-1.0, 1.0, rng.integers(1, 5)))


def log_density(mixture, rows):
    """By SciPy, from covariances: x - m = A diag(s) u with A^-1 = I - slopes."""
    terms = []
    for log_weights, mean, log_scales, slopes, log_sizes in zip(*mixture.mixture, strict=True):
        factor = np.linalg.inv(np.eye(mean.size) - slopes) * np.exp(log_scales)
        for log_weight, log_size in zip(log_weights, log_sizes, strict=True):
            covariance = np.exp(2.0 * log_size) * factor @ factor.T
            normal = scipy.stats.multivariate_normal(mean, covariance)
            terms.append(log_weight + normal.logpdf(rows))
    return scipy.special.logsumexp(terms, axis=0)


@pytest.mark.parametrize(
    "make",
    [
        cases.joint_overlapping,
        cases.joint_many_columns,
        cases.joint_scales,
        cases.joint_scales_many_columns,
    ],
)
def test_the_density_is_the_mixtures(make):
    mixture = make()
    rows = 3.0 * np.random.default_rng(1).normal(size=(600, mixture.means.shape[1]))
    z, log_det = mixture.forward(rows)
    np.testing.assert_allclose(base_log_prob(z) + log_det, log_density(mixture, rows), rtol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_inverse_of_hard_mixtures(seed):
    rng = np.random.default_rng(seed)
    mixture = random_mixture(rng)
    z = rng.normal(size=(500, mixture.means.shape[1])) * rng.choice([1.0, 3.0, 10.0])
    x, log_det = mixture.inverse(z)
    again, forward_log_det = mixture.forward(x)
    # Either z comes back to its rounding or x can't be told any finer from the terms of its mean.
    size = np.abs(x).max(axis=1) + np.abs(mixture.means).max()
    for j in range(x.shape[1]):
        tolerance = 32 * ULP * np.maximum(1.0, np.abs(z[:, j]))
        for step in (8 * ULP * size, -8 * ULP * size):
            beside = x.copy()
            beside[:, j] += step
            tolerance += np.abs(mixture.forward(beside)[0] - again)[:, j]
        assert (np.abs(again - z)[:, j] <= tolerance).all()
    assert (log_det == -forward_log_det).all()


def test_negligible_components_do_not_widen_the_bracket():
    """Of 1e-30 at 1e6, where all the rest lies within 1."""
    z = np.linspace(-8.0, 8.0, 33)
    mixture = cases.joint_of([0.5, 0.5, 1e-30], [[-0.1], [0.1], [1e6]], [[0.1]])
    constants = conditional.conditionals(*mixture.mixture[1:])[0]
    r = np.repeat(np.exp(mixture.log_weights), z.size, axis=1)
    row, state = np.empty(z.size, np.int64), np.empty((11, z.size))
    joint_inverse.start_run(z, constants, np.zeros_like(r), r, np.ones(z.size), row, state)
    x = mixture.inverse(z[:, None])[0][:, 0]
    assert ((state[1] <= x) & (x <= state[2])).all()
    assert (state[2] - state[1] < 0.3).all()


@pytest.mark.parametrize("method", ["forward", "inverse"])
def test_a_row_has_the_same_bits_alone_and_in_runs_of_many_components(method):
    rng = np.random.default_rng(2)
    mixture = cases.joint_of(np.ones(200), rng.normal(size=(200, 9)), 0.5)
    rows = rng.normal(size=(400, 9)) * np.repeat([1.0, 300.0], 200)[:, None]
    out, log_det = getattr(mixture, method)(rows)
    for start, stop in [(0, 1), (127, 129), (250, 251), (30, 390)]:
        part, part_log_det = getattr(mixture, method)(rows[start:stop])
        assert part.tobytes(order="C") == out[start:stop].tobytes(order="C")
        assert part_log_det.tobytes() == log_det[start:stop].tobytes()


def test_people_read_how_many_components_there_are():
    assert cases.joint_overlapping().about == "7 components"
    assert cases.joint_scales().about == "7 components of 3 scales"


def test_log_det_is_added_to():
    mixture = cases.joint_overlapping()
    columns, out = np.zeros((3, 5)), np.empty((3, 5))
    for kernel in (joint.forward, joint_inverse.inverse):
        once, twice = np.zeros(5), np.full(5, 10.0)
        kernel(columns, mixture.mixture, out, once)
        kernel(columns, mixture.mixture, out, twice)
        np.testing.assert_allclose(twice, 10.0 + once, rtol=1e-14)


def test_columns_beside_a_band_stay_as_they_are():
    mixture = cases.joint_scales()
    rows = np.random.default_rng(0).normal(size=(20, 7))
    z, log_det = replace(mixture, first=np.array([2.0])).forward(rows)
    expected, expected_log_det = mixture.forward(rows[:, 2:5])
    np.testing.assert_array_equal(z, np.hstack([rows[:, :2], expected, rows[:, 5:]]))
    np.testing.assert_array_equal(log_det, expected_log_det)

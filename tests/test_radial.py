"""Radial maps against their formulas, what a fit of one gains, and the groups that it finds."""

import numpy as np
import pytest
import scipy.stats
from sklearn.datasets import load_breast_cancer

import oracles
from cases import radial_all, radial_groups, radial_of, radial_wide
from rbig_numba import RBIG
from rbig_numba.bijections.base import as_columns
from rbig_numba.bijections.energies import LogRadii, energy_groups
from rbig_numba.bijections.mixture import fit_column
from rbig_numba.bijections.radial import radial_from
from rbig_numba.fitting import binning
from rbig_numba.flow import base_log_prob
from rbig_numba.kernels import radial
from rbig_numba.kernels.coefficients import wilson_hilferty


def fitted(rows, groups, n_components=5):
    log_radii, weights = LogRadii(groups).forward(rows)[0], np.ones(len(rows))
    histograms = binning.Histograms(binning.grid_of(log_radii, weights))
    sums = histograms.zeros(log_radii.shape[1])
    histograms.add(as_columns(log_radii), weights, sums)
    bins = binning.bins_of(sums[0], histograms.grid)
    return radial_from(groups, [fit_column(column, n_components) for column in bins])


def scores(bijection, rows):
    latents, log_det = bijection.forward(rows)
    return base_log_prob(latents) + log_det


@pytest.mark.parametrize("make", [radial_all, radial_groups, radial_wide])
@pytest.mark.parametrize("sd", [1e-12, 1e-2, 1.0, 10.0, 100.0, 1000.0, 1e30])
def test_equals_the_formulas_in_50_digits(make, sd):
    bijection = make()
    rows = sd * np.random.default_rng(0).standard_normal((6, len(bijection.groups)))
    y, log_det = bijection.forward(rows)
    expected, expected_log_det = rows.copy(), np.zeros(len(rows))
    groups = range(len(bijection.means))
    for row, i, g in ((row, i, g) for i, row in enumerate(rows) for g in groups):
        members = bijection.groups == g
        mixture = bijection.log_weights[g], bijection.means[g], bijection.log_scales[g]
        image, added = oracles.radial_forward(row[members], *mixture)
        expected[i, members] = [float(value) for value in image]
        expected_log_det[i] += float(added)
    np.testing.assert_allclose(y, expected, rtol=2e-13)
    np.testing.assert_allclose(log_det, expected_log_det, rtol=1e-13, atol=2e-12)


@pytest.mark.parametrize("make", [radial_all, radial_groups])
@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-160, 1e-20, 1e20, 1e160, 1e290])
def test_any_length_comes_back(make, size):
    bijection = make()
    rows = size * np.random.default_rng(1).standard_normal((20, len(bijection.groups)))
    y, log_det = bijection.forward(rows)
    back, log_det_back = bijection.inverse(y)
    np.testing.assert_allclose(back, rows, rtol=1e-10)
    np.testing.assert_allclose(log_det_back, -log_det, rtol=1e-13)
    assert np.isfinite(log_det).all()


@pytest.mark.parametrize("make", [radial_all, radial_wide])
def test_radius_grows_with_radius(make):
    bijection = make()
    direction = np.random.default_rng(2).standard_normal(len(bijection.groups))
    lengths = np.geomspace(1e-6, 1e20, 3000)
    y = bijection.forward(lengths[:, None] * direction)[0]
    assert (np.diff(np.linalg.norm(y, axis=1)) > 0.0).all()


def test_latents_a_thousand_deviations_out_have_rows_that_float32_can_square():
    latents = 1000.0 * np.random.default_rng(3).standard_normal((50, 63))
    bijection = radial_of(np.zeros(63), 0.3)
    x, log_det = bijection.inverse(latents)
    assert 1e5 < np.abs(x).max() < 1e19
    assert np.isfinite(log_det).all()
    np.testing.assert_allclose(bijection.forward(x)[0], latents, rtol=1e-12)


@pytest.mark.parametrize(("size", "bound"), [(2, 9e-4), (3, 5e-4), (10, 7e-5), (63, 1.2e-6)])
def test_radii_of_normal_latents_are_all_but_chi(size, bound):
    """KL of the law of g(z), z normal, from chi(m): what a perfect fit of log r still loses."""
    z = np.linspace(-9.0, 9.0, 20001)
    log_g, log_rate = np.empty_like(z), np.empty_like(z)
    radial.radii(z, size, wilson_hilferty(size), log_g, log_rate)
    log_density = scipy.stats.norm.logpdf(z) - log_g - log_rate
    surplus = log_density - scipy.stats.chi.logpdf(np.exp(log_g), size)
    kl = np.trapezoid(np.exp(scipy.stats.norm.logpdf(z)) * surplus, z)
    assert 0.0 < kl < bound


@pytest.mark.parametrize("size", [2, 10])
def test_a_fit_finds_the_density_of_student_rows(size):
    """Their density depends on the radius only: one block is all it takes, outliers included."""
    rng = np.random.default_rng(4)
    law = scipy.stats.multivariate_t(shape=np.eye(size), df=4, seed=rng)
    train, held_out = law.rvs(20_000), law.rvs(20_000)
    bijection = fitted(train, np.zeros(size))
    gap = law.logpdf(held_out) - scores(bijection, held_out)
    assert 0.0 < gap.mean() < 4e-3
    assert np.abs(gap).max() < 3.0


def test_normal_rows_stay_as_they_are():
    rows = np.random.default_rng(5).standard_normal((20_000, 6))
    bijection = fitted(rows, np.array([0.0, 0.0, 1.0, 1.0, 1.0, -1.0]))
    fresh = np.random.default_rng(6).standard_normal((20_000, 6))
    assert abs((scores(bijection, fresh) - base_log_prob(fresh)).mean()) < 2e-3


def test_a_row_at_the_origin_is_worth_a_few_nats():
    """Its group's density there is finite, unlike that of a radius that only shrinks slowly."""
    rows = np.random.default_rng(7).standard_normal((20_000, 2))
    bijection = fitted(rows, np.zeros(2))
    assert abs(scores(bijection, np.zeros((1, 2)))[0] - base_log_prob(np.zeros((1, 2)))[0]) < 8.0


def scaled_groups(rng, labels, n_rows=8000):
    """Normal rows, each group of labelled columns times a random scale of its own."""
    scales = np.exp(0.6 * rng.standard_normal((n_rows, labels.max() + 1)))
    rows = rng.standard_normal((n_rows, len(labels)))
    return np.where(labels >= 0, rows * scales[:, labels], rows)


def test_groups_are_those_whose_sizes_move_together():
    labels = np.array([0, 1, 0, -1, 1, 0, 1, 0, 1])
    rows = scaled_groups(np.random.default_rng(8), labels)
    found = energy_groups(rows, np.ones(len(rows)))
    np.testing.assert_array_equal(found[0], np.where(labels >= 0, 0.0, -1.0))
    assert any(np.array_equal(groups, labels) for groups in found)
    assert len({groups.tobytes() for groups in found}) == len(found) <= 4
    assert all(np.bincount(g[g >= 0].astype(int)).min() >= 2 for g in found)
    assert all((g[labels < 0] == -1.0).all() for g in found)


def test_independent_columns_make_no_groups():
    rows = np.random.default_rng(9).standard_normal((3000, 20))
    assert energy_groups(rows, np.ones(3000)) == []
    assert energy_groups(rows[:, :1], np.ones(3000)) == []
    assert energy_groups(np.ones((3000, 3)), np.ones(3000)) == []


def test_a_row_of_weight_two_counts_as_two_rows():
    rows = scaled_groups(np.random.default_rng(10), np.array([0, 0, 1, 1, 1]), 500)
    weights = np.ones(500)
    weights[:200] = 2.0
    twice = np.concatenate([rows, rows[:200]])
    for a, b in zip(energy_groups(rows, weights), energy_groups(twice, np.ones(700)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_log_radii_are_those_of_the_groups():
    bijection = radial_of([0, -1, 0, 1, 1, 1], 0.5)
    rows = np.random.default_rng(11).standard_normal((700, 6))
    log_radii, zeros = LogRadii(bijection.groups).forward(rows)
    expected = [np.linalg.norm(rows[:, [0, 2]], axis=1), np.linalg.norm(rows[:, 3:], axis=1)]
    np.testing.assert_allclose(log_radii, np.log(expected).T, atol=1e-14)
    assert not zeros.any()


@pytest.mark.parametrize(
    ("groups", "about"),
    [
        ([1, 0, -1, 1, 0], "groups 1, 4 | 0, 3"),
        ([0] * 300, "groups 0, 1, 2, 3, 4 and 295 more"),
        (
            list(range(8)) * 2,
            "groups 0, 8 | 1, 9 | 2, 10 | 3, 11 | 4, 12 | and 3 more groups",
        ),
    ],
)
def test_about_is_short_on_wide_tables(groups, about):
    assert radial_of(groups, 0.3).about == about


def test_samples_stay_near_the_rows_behind_joint_mixtures():
    """Latents at 11 standard deviations, one in 5,000, were taken to 1e8, and by the first map to
    infinity: with the background of a column a thousandth was beyond 1e69.
    """
    rows = load_breast_cancer().data[:, :12]
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)  # which lie within 9
    blocks = ["mixture", "radial", "coupling", "joint", "mixture"]
    model = RBIG(blocks=blocks, validation_fraction=0, random_state=0).fit(rows)
    assert "radial" in [bijection.kind for bijection in model.flow_.bijections]
    drawn = model.sample(20_000, random_state=0)
    farthest = np.abs(drawn).max(axis=1)
    assert np.quantile(farthest, 0.999) < 60.0
    assert np.quantile(farthest, 0.99) < 15.0
    far = np.vstack([rows, 10.0 * rows, 1000.0 * rows])
    assert np.isfinite(model.score_samples(far)).all()
    back = model.inverse_transform(model.transform(rows))
    np.testing.assert_allclose(back, rows, atol=1e-8)

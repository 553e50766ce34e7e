"""Couplings against their formulas, and what a fit finds and leaves alone."""

import numpy as np
import pytest

import oracles
from cases import coupling, coupling_of, rows_of
from rbig_numba.bijections.regression import fit_coupling
from rbig_numba.kernels.coefficients import MAX_LOG_SCALE


def draws(seed=0):
    return np.random.RandomState(seed)


def fitted(rows, held_out, seed=0):
    return fit_coupling(rows, np.ones(len(rows)), held_out, np.ones(len(held_out)), draws(seed))


def bent(rng, n_rows):
    """Two columns, of either of which the other is a function plus noise."""
    x = rng.standard_normal(n_rows)
    return np.c_[x, np.sin(1.5 * x) + 0.3 * rng.standard_normal(n_rows)]


def spread(rng, n_rows):
    """Two columns, one of which the other's standard deviation depends on."""
    x = rng.standard_normal(n_rows)
    return np.c_[x, np.exp(np.tanh(x)) * rng.standard_normal(n_rows)]


def gain(bijection, rows):
    y, log_det = bijection.forward(rows)
    return (log_det - 0.5 * (y**2 - rows**2).sum(axis=1)).mean()


@pytest.mark.parametrize("sd", [1.0, 10.0, 100.0, 1000.0])
def test_equals_the_formulas(sd):
    bijection = coupling()
    rows = rows_of(bijection, 50, sd=sd)
    y, log_det = bijection.forward(rows)
    exact_y, exact_log_det = oracles.coupling_forward(rows, **bijection.arrays())
    np.testing.assert_allclose(y, exact_y, rtol=1e-13, atol=1e-13 * sd)
    np.testing.assert_allclose(log_det, exact_log_det, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("sd", [1e2, 1e5, 1e10, 1e100])
def test_given_columns_stay_and_scales_are_bounded(sd):
    bijection = coupling()
    rows = rows_of(bijection, 100, sd=sd)
    y, log_det = bijection.forward(rows)
    known = bijection.given == 1.0
    assert y[:, known].tobytes() == rows[:, known].tobytes()
    assert (np.abs(log_det) <= (~known).sum() * MAX_LOG_SCALE).all()
    assert np.isfinite(y).all()


def test_finds_a_mean(rng):
    rows, held_out, test = bent(rng, 8000), bent(rng, 2000), bent(rng, 20_000)
    bijection = fitted(rows, held_out)
    assert bijection.given.tolist() == [1.0, 0.0]
    truth = (0.5 * test[:, 1] ** 2).mean() - 0.5 - np.log(0.3)
    assert truth - 0.02 < gain(bijection, test) < truth + 0.02


def test_finds_a_scale(rng):
    rows, held_out, test = spread(rng, 8000), spread(rng, 2000), spread(rng, 20_000)
    bijection = fitted(rows, held_out)
    assert bijection.given.tolist() == [1.0, 0.0]
    truth = (0.5 * test[:, 1] ** 2 - 0.5 - np.tanh(test[:, 0])).mean()
    assert truth - 0.02 < gain(bijection, test) < truth + 0.02


def test_columns_that_gain_nothing_stay_as_they_are(rng):
    def rows(n_rows):
        return np.c_[bent(rng, n_rows), rng.standard_normal((n_rows, 4))]

    train, held_out, test = rows(4000), rows(1000), rows(100)
    bijection = fitted(train, held_out)
    changed = (bijection.forward(test)[0] != test).any(axis=0)
    assert changed[:2].sum() == 1
    assert not changed[2:].any()


def test_nothing_to_gain_is_no_coupling(rng):
    assert fitted(*(rng.standard_normal((n, 4)) for n in (4000, 1000))) is None


@pytest.mark.parametrize("shape", [(500, 1), (19, 3)])
def test_too_few_columns_or_rows_are_no_coupling(shape, rng):
    assert fitted(rng.standard_normal(shape), rng.standard_normal(shape)) is None


def test_weight_2_is_a_row_twice_and_weight_0_no_row(rng):
    """But for who is drawn as a centre: rows stay where they are."""
    rows, held_out = bent(rng, 3000), bent(rng, 1000)
    ones, weights = np.ones(1000), np.repeat([2.0, 0.0, 1.0], 1000)
    rows[1000:2000] = rows[:1000]
    doubled = fit_coupling(rows, np.ones(3000), held_out, ones, draws())
    weighted = fit_coupling(rows, weights, held_out, ones, draws())
    for a, b in zip(doubled.arrays().values(), weighted.arrays().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_a_fit_is_reproducible(rng):
    rows, held_out = spread(rng, 3000), spread(rng, 1000)
    first, again, other = (fitted(rows, held_out, seed) for seed in (0, 0, 1))
    for a, b in zip(first.arrays().values(), again.arrays().values(), strict=True):
        assert a.tobytes() == b.tobytes()
    assert first.projections.tobytes() != other.projections.tobytes()


def test_scales_stay_as_they_are_beyond_the_reach():
    bijection = coupling()
    rows = rows_of(bijection, 50)
    rows *= 10.0 / np.sqrt((rows[:, bijection.given == 1.0] ** 2).sum(axis=1))[:, None]
    log_det = bijection.forward(rows)[1]
    for factor in (2.0, 1e3, 1e9):
        np.testing.assert_allclose(bijection.forward(factor * rows)[1], log_det, atol=1e-13)


@pytest.mark.parametrize("make", [bent, spread])
def test_densities_fall_along_rays_beyond_the_rows(make, rng):
    """Beyond the reach, that is: nearer x_A = 0 the densities of far x_B grow with sigma."""
    bijection = fitted(make(rng, 8000), make(rng, 2000))
    slopes, distances = np.linspace(-4.0, 4.0, 97), np.geomspace(3.0, 1e4, 60)
    rays = distances[:, None, None] * np.stack([np.ones(97), slopes], axis=1)
    for side in (rays, -rays):
        y, log_det = bijection.forward(side.reshape(-1, 2))
        log_prob = (log_det - 0.5 * (y**2).sum(axis=1)).reshape(60, 97)
        assert (np.diff(log_prob, axis=0) < 0.0).all()


def test_ties_and_copies_of_columns_are_survived(rng):
    column = rng.integers(3, size=4000) - 1.0
    rows = np.c_[column, column, rng.standard_normal(4000)]
    bijection = fitted(rows[:3000], rows[3000:])
    assert all(np.isfinite(array).all() for array in bijection.arrays().values())
    # The copy is predicted to the bound of its scale.
    assert gain(bijection, rows) > 2.5


def test_about_is_short_on_wide_tables():
    assert (
        coupling_of([0, 1] * 20, 3).about
        == "columns 0, 2, 4, 6, 8 and 15 more given the other half"
    )

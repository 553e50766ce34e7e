"""Standardisation: no cell can move it far, and no number overflows behind it."""

import numpy as np
import pytest

from rbig_numba.bijections.affine import REACH, Affine, standardisation


def of(rows, weights=None):
    weights = np.ones(len(rows)) if weights is None else weights
    return standardisation(rows, weights, np.stack([rows.min(axis=0), rows.max(axis=0)]))


def test_mean_and_deviation_of_ordinary_columns(rng):
    rows = np.c_[rng.gamma(2.0, size=5000), rng.standard_t(4, 5000), rng.uniform(size=5000) < 0.1]
    weights = rng.integers(1, 4, 5000).astype(float)
    affine = of(rows, weights)
    mean = np.average(rows, axis=0, weights=weights)
    deviation = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(affine.shift, mean, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(affine.scale, deviation, rtol=1e-6)


@pytest.mark.parametrize("far", [1e4, 1e15, 1e30, 9.97e36, 1e300, -1.797e308])
def test_one_cell_moves_it_by_little(rng, far):
    rows = rng.normal(3.0, 2.0, size=(5000, 2))
    clean = of(rows)
    rows[7, 0] = far
    affine = of(rows)
    assert abs(affine.shift[0] - clean.shift[0]) < 0.1 * clean.scale[0]
    assert affine.scale[0] < 3.0 * clean.scale[0]
    np.testing.assert_array_equal(affine.shift[1], clean.shift[1])


@pytest.mark.parametrize("unit", [1e-310, 1e-200, 1e-20, 1e20, 1e153, 1e300])
def test_units_of_any_size(rng, unit):
    rows = rng.normal(size=(500, 2))
    y, _ = of(rows * unit).forward(rows * unit)
    np.testing.assert_allclose(y, of(rows).forward(rows)[0], atol=1e-6)


def test_two_values_far_from_zero():
    rows = np.array([[1e9], [np.nextafter(1e9, 2e9)]] * 4)
    y, _ = of(rows).forward(rows)
    assert np.isfinite(y).all()
    assert len(np.unique(y)) == 2


def test_a_sample_without_the_rare_value():
    affine = standardisation(np.zeros((100, 1)), np.ones(100), np.array([[0.0], [1.0]]))
    np.testing.assert_array_equal(affine.forward(np.zeros((2, 1)))[0], 0.0)
    assert 1.0 <= affine.forward(np.ones((1, 1)))[0][0, 0] <= 2.0


FAR = np.array([0.5, 1.0, 1.0 + 1e-9, 2.0, 1e3, 1e18, 1e100])[:, None] * REACH


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_logarithmic_beyond_reach(sign):
    affine = Affine(np.array([0.3]), np.array([0.7]), np.array(REACH))
    x = 0.3 + 0.7 * sign * FAR
    y, log_det = affine.forward(x)
    expected = np.where(FAR > REACH, REACH * (1.0 + np.log(FAR / REACH)), FAR)
    np.testing.assert_allclose(y, sign * expected, rtol=1e-14)
    slope = -np.log(0.7) - np.log(np.maximum(FAR / REACH, 1.0))[:, 0]
    np.testing.assert_allclose(log_det, slope, rtol=1e-13, atol=1e-13)
    back, log_det_back = affine.inverse(y)
    np.testing.assert_allclose(back, x, rtol=1e-12)
    np.testing.assert_allclose(log_det_back, -log_det, rtol=1e-12, atol=1e-12)


def test_every_double_has_its_place():
    largest = np.finfo(float).max
    x = np.array([[largest], [-largest], [1e308], [5e-324], [0.0]])
    for shift, scale in ((0.0, 1.0), (-1e308, 1e-300), (1e308, 1e300), (0.0, 5e-324)):
        affine = Affine(np.array([shift]), np.array([scale]), np.array(REACH))
        y, log_det = affine.forward(x)
        assert np.isfinite(y).all()
        assert np.isfinite(log_det).all()
        assert (np.diff(y[np.argsort(x[:, 0]), 0]) >= 0.0).all()
        assert np.isfinite(affine.inverse(y)[0]).all()


def test_beyond_all_doubles_is_the_largest():
    affine = Affine(np.zeros(1), np.ones(1), np.array(REACH))
    x, _ = affine.inverse(np.array([[1e6], [-1e300]]))
    np.testing.assert_array_equal(x, np.finfo(float).max * np.array([[1.0], [-1.0]]))


def test_no_reach_is_affine(rng):
    affine = Affine(np.array([1.0, 2.0]), np.array([3.0, 0.1]))
    rows = 1e30 * rng.normal(size=(50, 2))
    np.testing.assert_array_equal(affine.forward(rows)[0], (rows - affine.shift) / affine.scale)

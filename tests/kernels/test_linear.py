"""Rotations and sums against NumPy in extended precision."""

import numpy as np
import pytest

from rbig_numba.kernels import linear


@pytest.mark.parametrize(("n_columns", "n_rows"), [(1, 1), (2, 700), (9, 33)])
def test_rotate_multiplies_by_the_matrix(n_columns, n_rows):
    rng = np.random.default_rng(0)
    columns, matrix = rng.normal(size=(n_columns, n_rows)), rng.normal(size=(n_columns, n_columns))
    out = np.full_like(columns, np.nan)
    linear.rotate(columns, matrix, out)
    expected = matrix.T.astype(np.longdouble) @ columns.astype(np.longdouble)
    np.testing.assert_allclose(out, expected.astype(float), rtol=0, atol=1e-14)


def test_rotate_gives_a_row_the_same_bits_in_any_batch():
    rng = np.random.default_rng(1)
    columns, matrix = rng.normal(size=(7, 301)), rng.normal(size=(7, 7))
    whole = np.empty_like(columns)
    linear.rotate(columns, matrix, whole)
    for i in (0, 1, 150, 300):
        alone = np.empty((7, 1))
        linear.rotate(np.ascontiguousarray(columns[:, i : i + 1]), matrix, alone)
        assert alone[:, 0].tobytes() == whole[:, i].tobytes()


def test_sums_and_products_are_added_to_what_is_there():
    rng = np.random.default_rng(2)
    columns, weights = rng.normal(size=(4, 1500)), rng.uniform(0.5, 2.0, 1500)
    sums, products, mean = np.ones(4), np.ones((4, 4)), rng.normal(size=4)
    linear.add_sums(columns, weights, sums)
    linear.add_products(columns, weights, mean, products)
    np.testing.assert_allclose(sums, 1 + columns @ weights, rtol=1e-12)
    centred = columns - mean[:, None]
    expected = 1 + (centred * weights) @ centred.T
    np.testing.assert_allclose(np.tril(products), np.tril(expected), rtol=1e-11)
    np.testing.assert_array_equal(products[np.triu_indices(4, 1)], 1.0)

"""Linear maps of columns, and their second moments, with sums in a fixed order.

BLAS may split a product by its shape and thread count; these loops give a row the same bits in
any batch.
"""

from __future__ import annotations

from rbig_numba.kernels.jit import kernel


@kernel
def rotate(columns, matrix, out):
    """Fill out (D, N) with matrix.T @ columns, matrix (D, D)."""
    n_columns, n_rows = columns.shape
    for j in range(n_columns):
        for r in range(n_rows):
            out[j, r] = matrix[0, j] * columns[0, r]
        for i in range(1, n_columns):
            factor = matrix[i, j]
            for r in range(n_rows):
                out[j, r] += factor * columns[i, r]


@kernel
def add_moments(columns, row_weights, sums, products):
    """Add weighted sums (D,) and the lower triangle of weighted products (D, D)."""
    n_columns, n_rows = columns.shape
    for i in range(n_columns):
        total = 0.0
        for r in range(n_rows):
            total += row_weights[r] * columns[i, r]
        sums[i] += total
        for j in range(i + 1):
            total = 0.0
            for r in range(n_rows):
                total += row_weights[r] * columns[i, r] * columns[j, r]
            products[i, j] += total

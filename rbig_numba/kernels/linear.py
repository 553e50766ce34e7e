"""Linear maps of columns, and their second moments, with sums in a fixed order.

BLAS may split a product by its shape and thread count; these loops give a row the same bits in
any batch.
"""

from __future__ import annotations

from rbig_numba.kernels.jit import kernel, sum_kernel

# Rows at a time: with 20 columns a run of doubles takes 80 KiB, a sixth of a second-level cache.
RUN = 512


@kernel
def rotate(columns, matrix, out):
    """Fill out (D, N) with matrix.T @ columns, matrix (D, D)."""
    n_columns, n_rows = columns.shape
    for start in range(0, n_rows, RUN):
        rows = slice(start, min(start + RUN, n_rows))
        for j in range(n_columns):
            weighted_sum(columns, rows, matrix[:, j], out[j, rows])


@kernel
def weighted_sum(columns, rows, factors, y):
    """Fill y with the sum of as many columns as there are factors, each times its own.

    Many columns a pass: one at a time, half of the time goes into loading and storing y.
    """
    n_columns, done = factors.size, 0
    if n_columns >= 8:
        fill_eight(columns, rows, factors, y)
        done = 8
    else:
        y[:] = 0.0
    while done + 4 <= n_columns:
        a, b = columns[done, rows], columns[done + 1, rows]
        c, d = columns[done + 2, rows], columns[done + 3, rows]
        add_four(a, b, c, d, factors[done : done + 4], y)
        done += 4
    for i in range(done, n_columns):
        factor, x = factors[i], columns[i, rows]
        for r in range(y.size):
            y[r] += factor * x[r]


@kernel
def fill_eight(columns, rows, factors, y):
    """Fill y with the sum of the first eight columns, each times its factor."""
    a, b, c, d = columns[0, rows], columns[1, rows], columns[2, rows], columns[3, rows]
    e, f, g, h = columns[4, rows], columns[5, rows], columns[6, rows], columns[7, rows]
    p, q, s, t = factors[0], factors[1], factors[2], factors[3]
    u, v, w, z = factors[4], factors[5], factors[6], factors[7]
    for r in range(y.size):
        half = ((0.0 + p * a[r]) + q * b[r]) + s * c[r]
        half = ((half + t * d[r]) + u * e[r]) + v * f[r]
        y[r] = (half + w * g[r]) + z * h[r]


@kernel
def add_four(a, b, c, d, factors, y):
    """Add the sum of four columns, each times its factor, to y."""
    f, g, h, k = factors[0], factors[1], factors[2], factors[3]
    for r in range(y.size):
        # Each sum has one product: there is one way only to fuse them, in vectors and remainders.
        y[r] = (((y[r] + f * a[r]) + g * b[r]) + h * c[r]) + k * d[r]


@sum_kernel
def add_sums(columns, row_weights, sums):
    """Add weighted sums over rows of columns (D, N) to sums (D,)."""
    for i in range(columns.shape[0]):
        total = 0.0
        for r in range(columns.shape[1]):
            total += row_weights[r] * columns[i, r]
        sums[i] += total


@sum_kernel
def add_products(columns, row_weights, mean, products):
    """Add weighted products (D, D) of columns (D, N) about the mean (D,), lower triangle only."""
    n_columns, n_rows = columns.shape
    for start in range(0, n_rows, RUN):
        w = row_weights[start : start + RUN]
        for i in range(n_columns):
            x, x_mean = columns[i, start : start + RUN], mean[i]
            for j in range(i + 1):
                y, y_mean = columns[j, start : start + RUN], mean[j]
                total = 0.0
                for r in range(w.size):
                    total += w[r] * ((x[r] - x_mean) * (y[r] - y_mean))
                products[i, j] += total

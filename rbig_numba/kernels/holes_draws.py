"""Draws of the cells in holes given those that are there, under a mixture of Gaussians.

A row's draws follow from its key, not from the rows beside it: components from points spread
evenly over (0, 1), cells from a lattice shifted at random. Richtmyer (1951), "The evaluation of
definite integrals, and a quasi-Monte-Carlo method based on the properties of algebraic numbers".
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.hashing import mix
from rbig_numba.kernels.holes import expect, fill_scales, place_row, scale_constants, scratch
from rbig_numba.kernels.jit import sum_kernel
from rbig_numba.kernels.normal import quantile_of_log

# Rows at a time: their terms for 256 shapes take half a megabyte.
RUN = 256
# Of the 53 bits of a uniform number; none is 0 or 1.
_STEP, _SHIFT = 2.0**-53, np.uint64(11)


@sum_kernel
def draw(columns, shapes, precisions, keys, steps, log_prob, drawn):
    """Fill the holes of rows, several times each, and the log-densities of what is there.

    Parameters
    ----------
    columns : ndarray of shape (D, N)
        NaN in holes.
    shapes : tuple of ndarray
        Log-weights, means, whiteners, sizes, as for `joint_em`.
    precisions : ndarray of shape (K, D, D)
        Inverses of the shapes' covariances.
    keys : ndarray of shape (N,), uint64
        What a row's draws follow from.
    steps : ndarray of shape (D,)
        Of the lattice, irrational.
    log_prob : ndarray of shape (N,)
        Filled, in nats.
    drawn : ndarray of shape (D, N, M)
        Filled: M draws of each row; none if M is 0.
    """
    log_weights, means, whiteners, sizes = shapes
    n_shapes, n_columns = means.shape
    constants, work = scale_constants(log_weights, whiteners, sizes), scratch(n_columns)
    terms, scales = np.empty((RUN, n_shapes)), np.empty(sizes.shape[1])
    for start in range(0, columns.shape[1], RUN):
        n = min(RUN, columns.shape[1] - start)
        for k in range(n_shapes):
            shape, before, log_det = (means[k], whiteners[k], precisions[k]), -1, 0.0
            for r in range(n):
                row = start + r
                n_holes, square, log_det = place_row(columns, row, before, shape, work, log_det)
                n_there, before = n_columns - n_holes, row
                terms[r, k] = fill_scales(square, n_there, log_det, constants[k], scales)
        for r in range(n):
            log_prob[start + r] = to_shares(terms[r])
            if drawn.shape[2] > 0:
                draw_row(
                    columns,
                    start + r,
                    (means, whiteners, precisions, sizes, constants),
                    terms[r],
                    (keys[start + r], steps),
                    work,
                    drawn,
                )


@sum_kernel
def to_shares(terms):
    """Turn the log-densities of shapes into their shares; return the logarithm of the sum."""
    largest, total = -np.inf, 0.0
    for k in range(terms.size):
        largest = max(largest, terms[k])
    for k in range(terms.size):
        terms[k] = math.exp(terms[k] - largest)
        total += terms[k]
    for k in range(terms.size):
        terms[k] /= total
    return largest + math.log(total)


@sum_kernel
def draw_row(columns, row, mixture, shares, source, work, drawn):
    """Fill one row's draws, the shapes one after another."""
    means, whiteners, precisions, sizes, constants = mixture
    holes, deviation, inverse, v = work
    n_columns, n_draws, (key, steps) = means.shape[1], drawn.shape[2], source
    first, passed, k, placed = uniform(key, n_columns), 0.0, 0, -1
    n_holes, square, log_det, scales = 0, 0.0, 0.0, np.empty(sizes.shape[1])
    for m in range(n_draws):
        point = (m + first) / n_draws
        while k < shares.size - 1 and point >= passed + shares[k]:
            passed += shares[k]
            k += 1
        if placed != k:
            shape = means[k], whiteners[k], precisions[k]
            n_holes, square, log_det = place_row(columns, row, -1, shape, work, log_det)
            expect(deviation, holes[:n_holes], inverse, v)
            placed = k
        total = fill_scales(square, n_columns - n_holes, log_det, constants[k], scales)
        size = sizes[k, chosen(scales, total, (point - passed) / shares[k])]
        for i in range(n_holes):
            v[n_columns + i] = size * normal(uniform(key, i) + m * steps[i])
        for j in range(n_columns):
            drawn[j, row, m] = columns[j, row]
        for i in range(n_holes):
            total = means[k, holes[i]] + deviation[holes[i]]
            for h in range(i, n_holes):
                total += inverse[h, i] * v[n_columns + h]
            drawn[holes[i], row, m] = total


@sum_kernel
def chosen(terms, total, point):
    """Return the number of the scale that a point of (0, 1) falls on."""
    passed = 0.0
    for s in range(terms.size - 1):
        passed += math.exp(terms[s] - total)
        if point < passed:
            return s
    return terms.size - 1


@sum_kernel
def uniform(key, number):
    """Return the number of a key that goes by another number, uniform in (0, 1)."""
    return (np.float64(mix(key, np.uint64(number)) >> _SHIFT) + 0.5) * _STEP


@sum_kernel
def normal(u):
    """Phi^-1 of the fraction of u >= 0."""
    u -= math.floor(u)
    u = min(max(u, 0.5 * _STEP), 1.0 - _STEP)
    return quantile_of_log(math.log(u)) if u < 0.5 else -quantile_of_log(math.log(1.0 - u))

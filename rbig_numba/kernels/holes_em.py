"""Expectation-maximisation for mixtures of Gaussians on rows with holes.

Ghahramani and Jordan (1994), "Supervised learning from incomplete data via an EM approach": holes
are integrated out. As in `joint_em`, with NaN for holes in columns (D, N), shapes take only the
rows near them; precisions (K, D, D) are the inverses of their covariances.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.holes import expect, fill_scales, place_row, scale_constants, scratch
from rbig_numba.kernels.jit import sum_kernel
from rbig_numba.kernels.normal import exp_negative

# Rows at a time: their terms for 256 shapes take half a megabyte.
RUN = 256


@sum_kernel
def mark_likely(columns, row_weights, shapes, precisions, log_least, likely):
    """Mark the shapes that a row may belong to, and return the weighted log-likelihood in nats.

    As `joint_em.mark_likely`, which see, of the cells that are there.
    """
    log_weights, means, whiteners, sizes = shapes
    n_columns, work = means.shape[1], scratch(means.shape[1])
    constants = scale_constants(log_weights, whiteners, sizes)
    terms, scales, value = np.empty((means.shape[0], RUN)), np.empty(sizes.shape[1]), 0.0
    for start in range(0, columns.shape[1], RUN):
        n = min(RUN, columns.shape[1] - start)
        for k in range(means.shape[0]):
            shape, before, log_det = (means[k], whiteners[k], precisions[k]), -1, 0.0
            for r in range(n):
                row = start + r
                n_holes, square, log_det = place_row(columns, row, before, shape, work, log_det)
                n_there, before = n_columns - n_holes, row
                terms[k, r] = fill_scales(square, n_there, log_det, constants[k], scales)
        for r in range(n):
            largest, total = -np.inf, 0.0
            for k in range(means.shape[0]):
                largest = max(largest, terms[k, r])
            for k in range(means.shape[0]):
                total += exp_negative(terms[k, r] - largest)
            total = largest + math.log(total)
            value += row_weights[start + r] * total
            for k in range(likely.shape[0]):
                likely[k, start + r] = terms[k, r] >= total + log_least
    return value


@sum_kernel
def add_statistics(columns, row_weights, shapes, precisions, pairs, sums):
    """Add what a step of EM takes, from pairs of a row and a shape that are likely.

    As `joint_em.add_statistics`, which see: what is expected in the holes stands for them, and the
    covariance expected there is added to the products, for each scale that of the shape times its
    size squared.
    """
    log_weights, means, whiteners, sizes = shapes
    places, starts = pairs
    constants = scale_constants(log_weights, whiteners, sizes)
    terms, total = np.empty(places.size), np.zeros(row_weights.size)
    largest = np.full(row_weights.size, -np.inf)
    for k in range(means.shape[0]):
        pair = slice(starts[k], starts[k + 1])
        shape = means[k], whiteners[k], precisions[k], constants[k]
        fill_terms(columns, places[pair], shape, terms[pair])
        for p in range(starts[k], starts[k + 1]):
            largest[places[p]] = max(largest[places[p]], terms[p])
    for p in range(places.size):
        total[places[p]] += exp_negative(terms[p] - largest[places[p]])
    for r in range(row_weights.size):
        total[r] = largest[r] + math.log(total[r])
        sums[4][0] += row_weights[r] * total[r]
    for k in range(means.shape[0]):
        rows = places[starts[k] : starts[k + 1]]
        shape = means[k], whiteners[k], precisions[k], constants[k]
        add_shape(columns, rows, row_weights, shape, total, k, sums)


@sum_kernel
def fill_terms(columns, rows, shape, terms):
    """Fill terms (n,) with the log-densities of rows (n,) under one shape, in nats."""
    work, log_det, before = scratch(columns.shape[0]), 0.0, -1
    scales = np.empty(shape[3].shape[1])
    for r in range(rows.size):
        n_holes, square, log_det = place_row(columns, rows[r], before, shape, work, log_det)
        n_there, before = columns.shape[0] - n_holes, rows[r]
        terms[r] = fill_scales(square, n_there, log_det, shape[3], scales)


@sum_kernel
def add_shape(columns, rows, row_weights, shape, log_prob, k, sums):
    """Add what rows (n,) give to shape k, their log-densities (N,) under all shapes known."""
    counts, distances, firsts, products, _ = sums
    work, log_det, before = scratch(columns.shape[0]), 0.0, -1
    constants, (holes, deviation, inverse, v) = shape[3], work
    scales = np.empty(constants.shape[1])
    for r in range(rows.size):
        n_holes, square, log_det = place_row(columns, rows[r], before, shape, work, log_det)
        n_there, before = columns.shape[0] - n_holes, rows[r]
        fill_scales(square, n_there, log_det, constants, scales)
        precision, total = 0.0, 0.0
        for s in range(scales.size):
            inverse_variance = 2.0 * constants[2, s]
            # More than 0 by rounding, if the shape is all that the row is near.
            log_share = min(scales[s] - log_prob[rows[r]], 0.0)
            share = row_weights[rows[r]] * exp_negative(log_share)
            counts[k, s] += share
            distances[k, s] += share * (square + n_holes / inverse_variance)
            precision += share * inverse_variance
            total += share
        expect(deviation, holes[:n_holes], inverse, v)
        add_row(deviation, precision, firsts[k], products[k])
        add_spread(holes[:n_holes], inverse, total, products[k])


@sum_kernel
def add_row(deviation, weight, firsts, products):
    """Add a weight, and times it a deviation (D,) and its products (D, D), lower triangle."""
    firsts[0] += weight
    for i in range(deviation.size):
        x = weight * deviation[i]
        firsts[1 + i] += x
        for j in range(i + 1):
            products[i, j] += x * deviation[j]


@sum_kernel
def add_spread(holes, inverse, weight, products):
    """Add a weight times the covariance expected in the holes to products (D, D)."""
    for i in range(holes.size):
        for j in range(i + 1):
            total = 0.0
            for k in range(i, holes.size):
                total += inverse[k, i] * inverse[k, j]
            products[holes[i], holes[j]] += weight * total

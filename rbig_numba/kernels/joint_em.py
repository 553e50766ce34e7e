"""Expectation-maximisation for mixtures of Gaussians with full covariances, of several scales.

A row belongs to few of a hundred shapes. Those are marked, and steps of EM take no others, as in
Lücke and Forster (2019), "k-means as a variational EM approximation of Gaussian mixture models".

Shapes are log_weights (K, S), means (K, D), whiteners (K, D, D), lower triangles W with W'W the
inverse of a covariance, and sizes (K, S): component s of shape k has the covariance times its size
squared, so that W (x - m) / size is N(0, I) within it. A shape is whitened once for all its scales.
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.jit import sum_kernel
from rbig_numba.kernels.normal import LOG_SQRT_2PI, exp_negative, log_positive

# Rows at a time: 60 columns of them and their deviations stay in a second-level cache.
RUN = 256


@sum_kernel
def mark_likely(columns, row_weights, shapes, log_least, likely):
    """Mark the shapes that a row may belong to, and return the weighted log-likelihood in nats.

    Parameters
    ----------
    columns, row_weights : ndarray of shape (D, N) and (N,)
        C order.
    shapes : tuple of ndarray
        Log-weights, means, whiteners, sizes.
    log_least : float
        Log of the responsibility from which on a shape is likely; at most -log(K), so that each
        row has one.
    likely : ndarray of shape (K, N), bool
        Filled; of shape (0, N) it is not.
    """
    log_weights, means, whiteners, sizes = shapes
    constants = log_peaks(log_weights, whiteners, sizes)
    moved, terms = np.empty((means.shape[1], RUN)), np.empty((means.shape[0], RUN))
    scratch, value = np.empty((4, RUN)), 0.0
    for start in range(0, columns.shape[1], RUN):
        rows = slice(start, min(start + RUN, columns.shape[1]))
        weights = row_weights[rows]
        n = weights.size
        squares, largest, total = scratch[1, :n], scratch[2, :n], scratch[3, :n]
        for r in range(n):
            largest[r], total[r] = -np.inf, 0.0
        for k in range(means.shape[0]):
            term = terms[k, :n]
            deviations(columns, rows, means[k], moved)
            fill_squares(moved, whiteners[k], scratch[0, :n], squares)
            fill_terms(squares, constants[k], sizes[k], scratch[0, :n], term)
            for r in range(n):
                largest[r] = max(largest[r], term[r])
        for k in range(means.shape[0]):
            term = terms[k, :n]
            for r in range(n):
                total[r] += exp_negative(term[r] - largest[r])
        for r in range(n):
            total[r] = largest[r] + math.log(total[r])
            value += weights[r] * total[r]
            total[r] += log_least
        for k in range(likely.shape[0]):
            term, mark = terms[k, :n], likely[k, rows]
            for r in range(n):
                mark[r] = term[r] >= total[r]
    return value


@sum_kernel
def add_statistics(columns, row_weights, shapes, pairs, sums):
    """Add what a step of EM takes, from pairs of a row and a shape that are likely.

    Parameters
    ----------
    columns, row_weights : ndarray of shape (D, N) and (N,)
        C order.
    shapes : tuple of ndarray
        Log-weights, means, whiteners, sizes.
    pairs : tuple of ndarray
        Rows (P,), shape by shape, and where each shape's begin (K + 1,). Each row is in a pair.
    sums : tuple of ndarray
        Added to. Counts (K, S), the responsibilities; distances (K, S), the squared lengths of
        whitened rows times these; firsts (K, 1 + D), the precisions q, responsibilities over
        sizes squared, and deviations from the mean times these; products (K, D, D) of deviations
        times q, lower triangles; value (1,), the log-likelihood in nats. All times row weights.
    """
    log_weights, means, whiteners, sizes = shapes
    (places, starts), (counts, distances, firsts, products, value) = pairs, sums
    constants, moved = log_peaks(log_weights, whiteners, sizes), np.empty((means.shape[1], RUN))
    scratch, terms, squares = np.empty((2, RUN)), np.empty(places.size), np.empty(places.size)
    largest, total = np.full(row_weights.size, -np.inf), np.zeros(row_weights.size)
    for k in range(means.shape[0]):
        for start in range(starts[k], starts[k + 1], RUN):
            pair = slice(start, min(start + RUN, starts[k + 1]))
            rows, term, scrap = places[pair], terms[pair], scratch[0, : pair.stop - start]
            chosen_deviations(columns, rows, means[k], moved)
            fill_squares(moved, whiteners[k], scrap, squares[pair])
            fill_terms(squares[pair], constants[k], sizes[k], scrap, term)
            for r in range(rows.size):
                largest[rows[r]] = max(largest[rows[r]], term[r])
    for p in range(places.size):
        terms[p] -= largest[places[p]]
    for p in range(places.size):
        terms[p] = exp_negative(terms[p])
    for p in range(places.size):
        total[places[p]] += terms[p]
    for r in range(row_weights.size):
        total[r] = largest[r] + math.log(total[r])
        value[0] += row_weights[r] * total[r]
    for k in range(means.shape[0]):
        for start in range(starts[k], starts[k + 1], RUN):
            pair = slice(start, min(start + RUN, starts[k + 1]))
            rows, precisions = places[pair], terms[pair]
            log_prob, shares = scratch[0, : rows.size], scratch[1, : rows.size]
            for r in range(rows.size):
                log_prob[r], precisions[r] = total[rows[r]], 0.0
            for s in range(sizes.shape[1]):
                inverse, count, distance = 1.0 / (sizes[k, s] * sizes[k, s]), 0.0, 0.0
                fill_shares(squares[pair], constants[k, s], inverse, log_prob, shares)
                for r in range(rows.size):
                    share = row_weights[rows[r]] * shares[r]
                    count += share
                    distance += share * squares[start + r]
                    precisions[r] += share * inverse
                counts[k, s] += count
                distances[k, s] += distance
            chosen_deviations(columns, rows, means[k], moved)
            add_products(moved, precisions, log_prob, firsts[k], products[k])


@sum_kernel
def log_peaks(log_weights, whiteners, sizes):
    """Return the log of each component's weight times the density at its mean (K, S), in nats."""
    n_components, n_columns, _ = whiteners.shape
    peaks = np.empty(log_weights.shape)
    for k in range(n_components):
        peak = -n_columns * LOG_SQRT_2PI
        for j in range(n_columns):
            peak += math.log(whiteners[k, j, j])
        for s in range(sizes.shape[1]):
            peaks[k, s] = peak + log_weights[k, s] - n_columns * math.log(sizes[k, s])
    return peaks


@sum_kernel
def fill_terms(squares, constants, sizes, largest, terms):
    """Fill terms (n,) with log sum_s exp(constant_s - square / (2 size_s^2)); largest is scratch.

    One scale takes no exponential function.
    """
    factor = 0.5 / (sizes[0] * sizes[0])
    for r in range(squares.size):
        largest[r] = constants[0] - factor * squares[r]
        terms[r] = largest[r]
    if sizes.size == 1:
        return
    for s in range(1, sizes.size):
        factor = 0.5 / (sizes[s] * sizes[s])
        for r in range(squares.size):
            largest[r] = max(largest[r], constants[s] - factor * squares[r])
    for r in range(squares.size):
        terms[r] = 0.0
    for s in range(sizes.size):
        factor = 0.5 / (sizes[s] * sizes[s])
        for r in range(squares.size):
            terms[r] += exp_negative((constants[s] - factor * squares[r]) - largest[r])
    for r in range(squares.size):
        terms[r] = largest[r] + log_positive(terms[r])


@sum_kernel
def fill_shares(squares, constant, inverse, log_prob, shares):
    """Fill shares (n,) with the responsibilities of one scale; inverse is 1 / size^2."""
    for r in range(squares.size):
        shares[r] = exp_negative((constant - 0.5 * inverse * squares[r]) - log_prob[r])


@sum_kernel
def deviations(columns, rows, mean, out):
    """Fill out (D, RUN) with some rows of columns (D, N), less their mean."""
    for j in range(columns.shape[0]):
        x, y, m = columns[j, rows], out[j], mean[j]
        for r in range(x.size):
            y[r] = x[r] - m


@sum_kernel
def chosen_deviations(columns, rows, mean, out):
    """Fill out (D, RUN) with columns (D, N) at rows (n,), less their mean."""
    for j in range(columns.shape[0]):
        x, y, m = columns[j], out[j], mean[j]
        for r in range(rows.size):
            y[r] = x[rows[r]] - m


@sum_kernel
def fill_squares(columns, whitener, u, squares):
    """Fill squares (n,) with |W x|^2 of the first n rows of columns (D, RUN); u (n,) is scratch."""
    n = squares.size
    for r in range(n):
        squares[r] = 0.0
    for j in range(columns.shape[0]):
        x, factor = columns[j, :n], whitener[j, j]
        for r in range(n):
            u[r] = factor * x[r]
        done = 0
        while done + 4 <= j:
            a, b = columns[done, :n], columns[done + 1, :n]
            c, d = columns[done + 2, :n], columns[done + 3, :n]
            p, q = whitener[j, done], whitener[j, done + 1]
            s, t = whitener[j, done + 2], whitener[j, done + 3]
            for r in range(n):
                u[r] += (p * a[r] + q * b[r]) + (s * c[r] + t * d[r])
            done += 4
        for i in range(done, j):
            a, p = columns[i, :n], whitener[j, i]
            for r in range(n):
                u[r] += p * a[r]
        for r in range(n):
            squares[r] += u[r] * u[r]


@sum_kernel
def add_products(columns, weights, v, firsts, products):
    """Add weights (n,), and times them the first n rows of columns (D, RUN), to firsts (1 + D,).

    And their products to products (D, D), the lower triangle only; v (n,) is scratch.
    """
    n, mass = weights.size, 0.0
    for r in range(n):
        mass += weights[r]
    firsts[0] += mass
    for i in range(columns.shape[0]):
        x, first = columns[i, :n], 0.0
        for r in range(n):
            v[r] = weights[r] * x[r]
            first += v[r]
        firsts[i + 1] += first
        done = 0
        while done + 4 <= i + 1:
            a, b = columns[done, :n], columns[done + 1, :n]
            c, d = columns[done + 2, :n], columns[done + 3, :n]
            p, q, s, t = 0.0, 0.0, 0.0, 0.0
            for r in range(n):
                p += v[r] * a[r]
                q += v[r] * b[r]
                s += v[r] * c[r]
                t += v[r] * d[r]
            products[i, done] += p
            products[i, done + 1] += q
            products[i, done + 2] += s
            products[i, done + 3] += t
            done += 4
        for j in range(done, i + 1):
            a, p = columns[j, :n], 0.0
            for r in range(n):
                p += v[r] * a[r]
            products[i, j] += p

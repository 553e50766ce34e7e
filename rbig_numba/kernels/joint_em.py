"""Expectation-maximisation for mixtures of Gaussians with full covariances over all columns.

A row belongs to few of a hundred components. Those are marked, and steps of EM take no others, as
in Lücke and Forster (2019), "k-means as a variational EM approximation of Gaussian mixture models".

Components are log_weights (K,), means (K, D) and whiteners (K, D, D), lower triangles W with W'W
the inverse of a covariance: within a component W (x - m) is N(0, I).
"""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.kernels.jit import sum_kernel
from rbig_numba.kernels.normal import LOG_SQRT_2PI, exp_negative

# Rows at a time: 60 columns of them and their deviations stay in a second-level cache.
RUN = 256


@sum_kernel
def mark_likely(columns, row_weights, components, log_least, likely):
    """Mark the components that a row may belong to, and return the weighted log-likelihood in nats.

    Parameters
    ----------
    columns, row_weights : ndarray of shape (D, N) and (N,)
        C order.
    components : tuple of ndarray
        Log-weights, means, whiteners.
    log_least : float
        Log of the responsibility from which on a component is likely; at most -log(K), so that
        each row has one.
    likely : ndarray of shape (K, N), bool
        Filled; of shape (0, N) it is not.
    """
    log_weights, means, whiteners = components
    constants = log_peaks(log_weights, whiteners)
    moved, terms = np.empty((means.shape[1], RUN)), np.empty((means.shape[0], RUN))
    scratch, value = np.empty((3, RUN)), 0.0
    for start in range(0, columns.shape[1], RUN):
        rows = slice(start, min(start + RUN, columns.shape[1]))
        weights = row_weights[rows]
        n = weights.size
        u, largest, total = scratch[0, :n], scratch[1, :n], scratch[2, :n]
        for r in range(n):
            largest[r], total[r] = -np.inf, 0.0
        for k in range(means.shape[0]):
            term, constant = terms[k, :n], constants[k]
            deviations(columns, rows, means[k], moved)
            fill_squares(moved, whiteners[k], u, term)
            for r in range(n):
                term[r] = constant - 0.5 * term[r]
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
def add_statistics(columns, row_weights, components, pairs, sums, products):
    """Add what a step of EM takes, from pairs of a row and a component that are likely.

    Parameters
    ----------
    columns, row_weights : ndarray of shape (D, N) and (N,)
        C order.
    components : tuple of ndarray
        Log-weights, means, whiteners.
    pairs : tuple of ndarray
        Rows (P,), component by component, and where each component's begin (K + 1,). Each row is
        in a pair.
    sums : ndarray of shape (K, D + 2)
        Of each component: total responsibility; sums of deviations from its mean; the last place of
        the first component is the weighted log-likelihood, in nats.
    products : ndarray of shape (K, D, D)
        Weighted products of these deviations, lower triangles.
    """
    log_weights, means, whiteners = components
    places, starts = pairs
    constants, n_columns = log_peaks(log_weights, whiteners), means.shape[1]
    moved, scratch, terms = np.empty((n_columns, RUN)), np.empty(RUN), np.empty(places.size)
    largest, total = np.full(row_weights.size, -np.inf), np.zeros(row_weights.size)
    for k in range(means.shape[0]):
        for start in range(starts[k], starts[k + 1], RUN):
            stop = min(start + RUN, starts[k + 1])
            rows, term = places[start:stop], terms[start:stop]
            chosen_deviations(columns, rows, means[k], moved)
            fill_squares(moved, whiteners[k], scratch[: rows.size], term)
            for r in range(rows.size):
                term[r] = constants[k] - 0.5 * term[r]
                largest[rows[r]] = max(largest[rows[r]], term[r])
    for p in range(places.size):
        terms[p] -= largest[places[p]]
    for p in range(places.size):
        terms[p] = exp_negative(terms[p])
    for p in range(places.size):
        total[places[p]] += terms[p]
    value = 0.0
    for r in range(row_weights.size):
        value += row_weights[r] * (largest[r] + math.log(total[r]))
        total[r] = row_weights[r] / total[r]
    sums[0, n_columns + 1] += value
    for k in range(means.shape[0]):
        for start in range(starts[k], starts[k + 1], RUN):
            stop = min(start + RUN, starts[k + 1])
            rows, term, mass = places[start:stop], terms[start:stop], 0.0
            for r in range(rows.size):
                term[r] *= total[rows[r]]
                mass += term[r]
            sums[k, 0] += mass
            chosen_deviations(columns, rows, means[k], moved)
            add_products(moved, term, scratch[: rows.size], sums[k], products[k])


@sum_kernel
def log_peaks(log_weights, whiteners):
    """Return the log of each component's weight times the density at its mean (K,), in nats."""
    n_components, n_columns, _ = whiteners.shape
    peaks = np.empty(n_components)
    for k in range(n_components):
        peaks[k] = log_weights[k] - n_columns * LOG_SQRT_2PI
        for j in range(n_columns):
            peaks[k] += math.log(whiteners[k, j, j])
    return peaks


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
def add_products(columns, weights, v, sums, products):
    """Add weighted sums of the first n rows of columns (D, RUN) to sums[1:] and products (D, D).

    Weights are (n,); v (n,) is scratch; of products the lower triangle only.
    """
    n = weights.size
    for i in range(columns.shape[0]):
        x, first = columns[i, :n], 0.0
        for r in range(n):
            v[r] = weights[r] * x[r]
            first += v[r]
        sums[i + 1] += first
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

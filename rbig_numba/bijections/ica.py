"""Rotations onto the axes along which rows are least Gaussian: independent component analysis."""

from __future__ import annotations

import math

import numpy as np

from rbig_numba.bijections.base import as_columns
from rbig_numba.bijections.rotation import Rotation
from rbig_numba.kernels import negentropy
from rbig_numba.threads import map_threads

# Numbers that a search looks at, and the least rows; planes it visits in a sweep, which are all up
# to 100 columns: a sweep takes half a second at most on one core.
ICA_NUMBERS, ICA_MIN_ROWS = 65_536, 1024
MAX_PLANES = 5000
# Sweeps at most, and nats per column: one that gains less is the last. With three sweeps at most
# five real tables of 6 to 15 columns lose up to 0.13 nats, and nothing is gained in time.
SWEEPS, SWEEP_TOL = 6, 1e-3


def ica_rotation(
    sample: np.ndarray,
    weights: np.ndarray,
    start: Rotation,
    random_state: np.random.RandomState,
    n_jobs: int | None,
) -> Rotation:
    """Turn a rotation, plane by plane, to where the columns of the rotated rows are least Gaussian.

    What a Gaussianization of all columns gains is the sum of their negentropies (Chen and Gopinath
    2000, "Gaussianization"). In each plane of two columns the angle of the highest sum is searched
    for: Jacobi's scheme, as in Comon (1994), "Independent component analysis, a new concept?", with
    entropies for contrast, as in Learned-Miller and Fisher (2003), "ICA using spacings estimates of
    entropy".

    Parameters
    ----------
    sample : ndarray of shape (S, D)
        Rows, the first of which are looked at.
    weights : ndarray of shape (S,)
        Their weights.
    start : Rotation
        Where the search starts. Principal axes end up to 0.7 nats above the columns as they are.
    random_state : RandomState
        Draws the order of the planes.
    n_jobs : int or None
        Threads; the result has the same bits for any number.
    """
    n_features = sample.shape[1]
    n_rows = max(ICA_NUMBERS // n_features, ICA_MIN_ROWS)
    columns = as_columns(start.forward(sample[:n_rows])[0]).copy()
    weights, axes = weights[:n_rows], start.matrix.T.copy()

    def turn(pair: tuple[int, int]) -> float:
        i, j = pair
        angle, gain = negentropy.best_angle(columns[i], columns[j], weights)
        if gain > 0.0:
            cosine, sine = math.cos(angle), math.sin(angle)
            for rows in (columns, axes):
                x, y = rows[i].copy(), rows[j].copy()
                rows[i], rows[j] = cosine * x + sine * y, cosine * y - sine * x
        return gain

    rounds = disjoint_pairs(n_features)
    n_rounds = max(MAX_PLANES * 2 // n_features, 1)
    for _ in range(SWEEPS):
        order = random_state.permutation(len(rounds))[:n_rounds]
        gain = sum(sum(map_threads(turn, rounds[r], n_jobs)) for r in order)
        if gain < SWEEP_TOL * n_features:
            break
    return Rotation(np.ascontiguousarray(axes.T))


def disjoint_pairs(n: int) -> list[list[tuple[int, int]]]:
    """Return rounds of pairs of 0 ... n - 1, in which each number meets each other one once.

    Kirkman's schedule of a tournament: the first stays, the others move on by one.
    """
    ring = list(range(n + n % 2))
    half, rounds = len(ring) // 2, []
    for _ in range(len(ring) - 1):
        opposite = zip(ring[:half], reversed(ring[half:]), strict=True)
        rounds.append([(min(p), max(p)) for p in opposite if max(p) < n])
        ring = [ring[0], ring[-1], *ring[1:-1]]
    return rounds

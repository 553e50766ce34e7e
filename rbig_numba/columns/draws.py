"""Places within the jumps of atoms: drawn by row number for a fit, from a lattice for a score."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# 1 over the root of x^3 = x + 1: its multiples fill [0, 1) evenly (Roberts 2018, "The unreasonable
# effectiveness of quasirandom sequences").
SPREAD = 0.7548776662466927
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def row_draws(seed: int, column: int, start: int, n_rows: int) -> np.ndarray:
    """Return numbers (n_rows,), uniform in (0, 1), that follow from seed, column and row number.

    Those of rows `start` on; the same in whatever blocks rows come. Two rounds of SplitMix64
    (Steele, Lea and Flood 2014) on a counter.
    """
    rows = np.arange(start, start + n_rows, dtype=np.uint64)
    key = _mixed(np.array([seed], dtype=np.uint64) * _GAMMA + np.uint64(column))
    bits = _mixed(_mixed(rows * _GAMMA + key) + key)
    return ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def _mixed(h: np.ndarray) -> np.ndarray:
    h = (h ^ (h >> np.uint64(30))) * _MIX_1
    h = (h ^ (h >> np.uint64(27))) * _MIX_2
    return h ^ (h >> np.uint64(31))


@lru_cache(maxsize=64)
def lattice(n_points: int, n_columns: int) -> np.ndarray:
    """Return the points (n_points, n_columns) of a rank-1 lattice.

    Each column has all midpoints of n_points equal cells; one column alone is the midpoint rule.
    The generator is Korobov's, 1, g, g^2, ..., g being the one of least worst-case error for once
    differentiable periodic functions (Sloan and Joe 1994, "Lattice methods for multiple
    integration", chapter 4), and the baker's transformation, 1 - |2 t - 1|, makes the integrand
    periodic (Hickernell 2002). Each column is shifted by steps of its own: else the first point
    lies in a corner of all jumps, where densities over normal ones may have a pole.
    """
    steps, best, least = np.arange(n_points), np.zeros((n_points, n_columns)), np.inf
    for g in range(1, max(n_points, 2)):
        if np.gcd(g, n_points) > 1:
            continue
        generator = np.array([pow(g, j, n_points) for j in range(n_columns)])
        numbers = np.outer(steps, generator) % n_points
        places = numbers / n_points
        bernoulli = places * places - places + 1.0 / 6.0
        error = float(np.prod(1.0 + bernoulli, axis=1).mean())
        if error < least - 1e-15:
            best, least = numbers, error
    shifts = np.rint(n_points * np.mod(SPREAD * np.arange(1, n_columns + 1), 1.0))
    return 1.0 - np.abs(2.0 * ((best + shifts) % n_points + 0.75) / n_points - 1.0)

"""Made tables of columns as people have them, whose log-probabilities are known.

Columns are monotone functions of correlated normal variables (a Gaussian copula), so that the
probability of atoms given all else is that of a box under a normal distribution: exact for one
atom, and for more by Genz's transformation and a lattice of 4,096 points (Genz 1992, "Numerical
computation of multivariate normal probabilities"), good to 1e-4 nats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.special import log_ndtr, ndtr, ndtri

POINTS, GENERATOR = 4096, 1571


class Cell(NamedTuple):
    """Ends of the interval of scores that cells (n,) stand for, the same where they have a density.

    `log_slope` is log |d score / d cell| there, and 0 for atoms.
    """

    low: np.ndarray
    high: np.ndarray
    log_slope: np.ndarray


class Made(NamedTuple):
    """A kind of column: its quantile function, what its cells mean, and which are valid."""

    quantile: Callable[[np.ndarray], np.ndarray]
    cells: Callable[[np.ndarray], Cell]
    valid: Callable[[np.ndarray], np.ndarray]


def _density(score: np.ndarray, log_density: np.ndarray) -> Cell:
    return Cell(score, score, log_density - stats.norm.logpdf(score))


def _real() -> Made:
    return Made(
        lambda u: 2.0 * ndtri(u) + 1.0,
        lambda x: Cell((x - 1) / 2, (x - 1) / 2, np.full(len(x), -np.log(2.0))),
        np.isfinite,
    )


def _discrete(law: stats.rv_discrete, top: float = np.inf) -> Made:
    return Made(
        law.ppf,
        lambda x: Cell(ndtri(law.cdf(x - 1)), ndtri(law.cdf(x)), np.zeros(len(x))),
        lambda x: (x == np.rint(x)) & (x >= 0) & (x <= top),
    )


def _capped(law: stats.rv_continuous, zero: float, one: float = 0.0) -> Made:
    """Return atoms of shares `zero` at 0 and `one` at 1, and a law between or above."""
    share = 1.0 - zero - one

    def cells(x: np.ndarray) -> Cell:
        at_one = (x == 1.0) & (one > 0.0)
        atom = (x == 0.0) | at_one
        inner = np.where(atom, 0.5, x)
        score = ndtri(zero + share * law.cdf(inner))
        found = _density(score, np.log(share) + law.logpdf(inner))
        low = np.where(at_one, ndtri(1.0 - one), np.where(atom, -np.inf, score))
        high = np.where(at_one, np.inf, np.where(atom, ndtri(zero), score))
        return Cell(low, high, np.where(atom, 0.0, found.log_slope))

    def quantile(u: np.ndarray) -> np.ndarray:
        inner = law.ppf(np.clip((u - zero) / share, 0.0, 1.0))
        return np.where(u < zero, 0.0, np.where(u > 1.0 - one, 1.0, inner))

    top = 1.0 if one else np.inf
    return Made(quantile, cells, lambda x: (x >= 0.0) & (x <= top))


def _angle(concentration: float) -> Made:
    law = stats.vonmises(concentration)
    grid = np.linspace(-np.pi, np.pi, 100_001)  # SciPy's quantiles take a millisecond each
    masses = law.cdf(grid)

    def cells(x: np.ndarray) -> Cell:
        turned = np.radians((x + 180.0) % 360.0 - 180.0)
        return _density(ndtri(law.cdf(turned)), law.logpdf(turned) - np.log(180.0 / np.pi))

    return Made(
        lambda u: np.degrees(np.interp(u, masses, grid)) % 360.0,
        cells,
        lambda x: (x >= 0.0) & (x < 360.0),
    )


GRADES = stats.rv_discrete(values=([0, 1, 2], [0.2, 0.5, 0.3]))
COLUMNS = {
    "real": _real(),
    "count": _discrete(stats.poisson(3.0)),
    "rain": _capped(stats.gamma(0.8, scale=5.0), 0.7),
    "share": _capped(stats.beta(2.0, 3.0), 0.1, 0.05),
    "angle": _angle(2.0),
    "grade": _discrete(GRADES, top=2),
}


@dataclass(frozen=True)
class Table:
    """Columns by their names in COLUMNS, and the correlations of their scores."""

    kinds: tuple[str, ...]
    correlations: np.ndarray

    def draw(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return rows (n_rows, D)."""
        mean = np.zeros(len(self.kinds))
        uniform = ndtr(rng.multivariate_normal(mean, self.correlations, size=n_rows))
        pairs = zip(self.kinds, uniform.T, strict=True)
        return np.stack([COLUMNS[kind].quantile(u) for kind, u in pairs], axis=1)

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        """Return the true log-probabilities (n,) of rows, in nats."""
        pairs = zip(self.kinds, rows.T, strict=True)
        cells = [COLUMNS[kind].cells(column) for kind, column in pairs]
        low, high, log_slope = (np.stack(parts, axis=1) for parts in zip(*cells, strict=True))
        out = log_slope.sum(axis=1)
        patterns, which = np.unique(low < high, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            chosen = np.flatnonzero(which == number)
            out[chosen] += self._log_box(low[chosen], high[chosen], pattern)
        return out

    def _log_box(self, low: np.ndarray, high: np.ndarray, atoms: np.ndarray) -> np.ndarray:
        """Return log p of scores that are known, plus log P of the atoms' intervals given them."""
        known, given = low[:, ~atoms], self.correlations[np.ix_(~atoms, ~atoms)]
        log_prob = np.zeros(len(low))
        if known.shape[1]:
            law = stats.multivariate_normal(np.zeros(len(given)), given)
            log_prob += law.logpdf(known).reshape(-1)
        if not atoms.any():
            return log_prob
        across = self.correlations[np.ix_(atoms, ~atoms)]
        slopes = np.linalg.solve(given, across.T).T if known.shape[1] else across
        factor = np.linalg.cholesky(self.correlations[np.ix_(atoms, atoms)] - slopes @ across.T)
        mean = known @ slopes.T
        return log_prob + _log_normal_box(low[:, atoms] - mean, high[:, atoms] - mean, factor)


def _log_normal_box(low: np.ndarray, high: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return log P(low < L e < high) (n,) of standard normals e."""
    n_rows, n_columns = low.shape
    if n_columns == 1:
        ends = np.stack([low[:, 0], high[:, 0]]) / factor[0, 0]
        ends = np.where(ends[:1] + ends[1:] > 0.0, -ends[::-1], ends)  # the nearer tail
        upper, lower = log_ndtr(ends[1]), log_ndtr(ends[0])
        return upper + np.log1p(-np.exp(lower - upper))
    generator = np.array([pow(GENERATOR, j, POINTS) for j in range(n_columns - 1)])
    total = np.zeros(n_rows)
    for number in range(POINTS):
        places = (number * generator / POINTS + 0.5 / POINTS) % 1.0
        total += _box_at(low, high, factor, 1.0 - np.abs(2.0 * places - 1.0))
    return np.log(total / POINTS)


def _box_at(
    low: np.ndarray, high: np.ndarray, factor: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """Return what one point of the lattice contributes to the boxes' probabilities (n,)."""
    scores, weight = np.zeros(low.shape), np.ones(len(low))
    for j, scale in enumerate(np.diag(factor)):
        shift = scores[:, :j] @ factor[j, :j]
        first, last = ndtr((low[:, j] - shift) / scale), ndtr((high[:, j] - shift) / scale)
        weight *= last - first
        if j < len(places):
            inside = first + places[j] * (last - first)
            scores[:, j] = ndtri(np.clip(inside, 1e-16, 1.0 - 1e-16))
    return weight


def correlated(kinds: tuple[str, ...], seed: int) -> Table:
    """Return a table of two common factors and noise."""
    loadings = np.random.default_rng(seed).normal(size=(len(kinds), 2))
    covariance = loadings @ loadings.T + np.eye(len(kinds))
    scales = np.sqrt(np.diag(covariance))
    return Table(kinds, covariance / np.outer(scales, scales))


TABLES = {
    "counts": correlated(("real", "real", "count"), 2),
    "rain": correlated(("real", "real", "rain"), 2),
    "shares": correlated(("real", "real", "share"), 2),
    "angles": correlated(("real", "real", "angle"), 2),
    "grades": correlated(("real", "real", "grade"), 2),
    "all": correlated(("real", "count", "rain", "share", "angle", "grade"), 3),
}

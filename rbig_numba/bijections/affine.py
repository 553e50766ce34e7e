"""Standardisation of each column, which no single cell can move far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from rbig_numba.bijections.base import Bijection
from rbig_numba.rounding import rounded

# Standard deviations up to which columns are only shifted and scaled. What is farther out than rows
# of a density, fill values of 1e36 for instance, must not reach the squares of the blocks behind.
REACH = 100.0
# Half-widths of a column's middle, as wide as has two values, beyond which cells count as that far.
LONGEST = 100.0
TAILS = (0.1, 0.01, 0.001, 0.0)
# Rows whose quantiles tell the middle: sorting more of them takes longer than the rest.
MIDDLE_ROWS = 8192
LARGEST = np.finfo(float).max


def _unlimited() -> np.ndarray:
    return np.array(np.inf)


@dataclass(frozen=True, eq=False)
class Affine(Bijection):
    """y = t = (x - shift) / scale, column by column; logarithmic beyond a reach R.

    Where |t| > R, y = sign(t) R (1 + log(|t| / R)): continuous, with a continuous slope. So every
    double is within 711 R of 0, and densities of far rows fall like those of a log-normal. What
    lies beyond all doubles comes back as the largest.

    Attributes
    ----------
    shift, scale : ndarray of shape (D,)
        In the units of x; scale is positive.
    reach : ndarray of shape ()
        R, in units of scale; infinite if left out.
    """

    kind: ClassVar[str] = "affine"
    shift: np.ndarray
    scale: np.ndarray
    reach: np.ndarray = field(default_factory=_unlimited)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return y and its log-determinant."""
        with np.errstate(over="ignore"):  # what overflows is far
            y = np.asfortranarray((x - self.shift) / self.scale)
        log_det = np.full(len(x), -np.log(self.scale).sum())
        # Looked for first: a mask takes as long as all the rest.
        if max(y.max(initial=0.0), -y.min(initial=0.0)) > self.reach:
            rows, columns = np.nonzero(np.abs(y) > self.reach)
            # Halves: the difference of two doubles may be none.
            half = 0.5 * x[rows, columns] - 0.5 * self.shift[columns]
            log_limit = np.log(self.scale[columns]) + np.log(0.5 * self.reach)
            log_ratio = np.log(np.abs(half)) - log_limit
            y[rows, columns] = np.copysign(self.reach * (1.0 + log_ratio), half)
            log_det -= np.bincount(rows, log_ratio, len(x))
        return y, log_det

    def inverse(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return x and minus the log-determinant of `forward` there."""
        with np.errstate(over="ignore"):
            log_ratio = np.maximum(np.abs(y) / self.reach - 1.0, 0.0)
            # In two steps: scale may be 1e-300, and the ratio no double.
            root = np.exp(0.5 * log_ratio)
            near = np.clip(y, -self.reach, self.reach)
            x = (near * self.scale * root) * root + self.shift
        x = np.asfortranarray(np.clip(x, -LARGEST, LARGEST))
        return x, np.log(self.scale).sum() + log_ratio.sum(axis=1)


def standardisation(sample: np.ndarray, weights: np.ndarray, extent: np.ndarray) -> Affine:
    """Return the map that gives columns of a sample mean 0 and standard deviation 1.

    Both are those of cells moved to within LONGEST half-widths of the column's middle, the
    innermost 80 % of its mass, or as much more as it takes to have two values: one cell of 1e30
    among 5,000 would move the mean to 2e26, and the others all to one number.

    Parameters
    ----------
    sample : ndarray of shape (S, D)
        Rows in random order.
    weights : ndarray of shape (S,)
        Their weights.
    extent : ndarray of shape (2, D)
        Lowest and highest value of each column of the table, which are not the same.
    """
    shares = weights / weights.sum()
    middles = [
        _middle(column, weights[:MIDDLE_ROWS], ends)
        for column, ends in zip(sample[:MIDDLE_ROWS].T, extent.T, strict=True)
    ]
    centre, unit = np.array(middles).T
    with np.errstate(over="ignore"):
        steps = np.clip((sample - centre) / unit, -LONGEST, LONGEST)
    mean = shares @ steps
    deviation = np.sqrt(shares @ (steps - mean) ** 2)
    units = np.maximum(deviation, np.finfo(float).tiny)
    mean, deviation = rounded(mean, units), rounded(deviation, units)
    # Of a sample without the table's few other values: as wide as it takes to see them.
    scale = np.where(deviation > 0.0, deviation, 1.0) * unit
    return Affine(centre + mean * unit, np.maximum(scale, np.nextafter(0.0, 1.0)), np.array(REACH))


def _middle(column: np.ndarray, weights: np.ndarray, ends: np.ndarray) -> tuple[float, float]:
    """Return the median of a column, and half the width of its middle."""
    order = np.argsort(column)
    mass = np.cumsum(weights[order])
    values = column[order]

    def quantile(share: float) -> float:
        return float(values[min(np.searchsorted(mass, share * mass[-1]), len(values) - 1)])

    for tail in TAILS:
        low, high = quantile(tail), quantile(1.0 - tail)
        if high > low:
            break
    else:
        low, high = ends
    return quantile(0.5), max(0.5 * high - 0.5 * low, np.nextafter(0.0, 1.0))

"""Atoms: values that have a probability, as intervals of a uniform variable.

The distributional transform (Rueschendorf 2009, "On the distributional transform, Sklar's theorem,
and the empirical copula process"): for a variable X with jumps, U = F(X-) + V (F(X) - F(X-)), V
uniform, is uniform, and X is F^-1(U). Behind it stands y = Phi^-1(U).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from rbig_numba.columns.base import LOG_SQRT_2PI, Encoded

# Rows that a value counts as which the fit never met.
NEW_ROWS = 0.5


@dataclass(frozen=True, eq=False)
class Atoms:
    """Distinct values, ascending, and their weights in rows; the base of kinds that have no others.

    A value that the fit never met has the mass of half a row, whatever the other columns hold: its
    jump is as long as the whole column, so that the lattice averages over what others make likely.
    """

    values: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        for name in ("values", "weights"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))

    @cached_property
    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Masses below (K + 1,) and above (K + 1,) the ends of the jumps, each summed by itself."""
        shares = self.weights / self.weights.sum()
        below = np.concatenate([[0.0], np.cumsum(shares)])
        above = np.concatenate([np.cumsum(shares[::-1])[::-1], [0.0]])
        return below, above

    def encode(self, x: np.ndarray, v: np.ndarray) -> Encoded:
        """Return y, and the log of its jump's size over phi(y)."""
        places = np.clip(np.searchsorted(self.values, x), 0, len(self.values) - 1)
        known, total = self.values[places] == x, self.weights.sum()
        below, above = self.edges
        sizes = np.where(known, self.weights[places] / total, 1.0)
        lower = np.where(known, below[places], 0.0) + v * sizes
        upper = np.where(known, above[places + 1], 0.0) + (1.0 - v) * sizes
        y = scores(lower, upper)
        mass = np.where(known, self.weights[places], NEW_ROWS) / total
        missing = np.isnan(x)
        y, log_mass = np.where(missing, np.nan, y), np.where(missing, np.nan, np.log(mass))
        return Encoded(y, log_mass + 0.5 * y * y + LOG_SQRT_2PI)

    def decode(self, y: np.ndarray) -> np.ndarray:
        """Return the value in whose jump y lies."""
        below, above = self.edges
        lower = np.searchsorted(below[1:-1], ndtr(y), side="right")
        upper = len(self.values) - 1 - np.searchsorted(above[-2:0:-1], ndtr(-y), side="left")
        x = self.values[np.where(y < 0.0, lower, upper)]
        return np.where(np.isnan(y), np.nan, x)

    def plain(self) -> dict[str, list]:
        """Return values and weights as JSON values."""
        return {"values": self.values.tolist(), "weights": self.weights.tolist()}


def scores(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return Phi^-1 of masses below (n,), given those above too, by the smaller one."""
    least = np.minimum(lower, upper)
    return np.where(lower <= upper, ndtri(least), -ndtri(least))

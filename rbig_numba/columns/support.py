"""Maps of half-lines and intervals onto all numbers, with their Jacobians."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LARGEST = np.finfo(float).max


class Support(NamedTuple):
    """Where continuous values lie: above `low`, below `high`, or anywhere where both are None."""

    low: float | None = None
    high: float | None = None

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return t (n,) and log |dt/dx|: log(x - low), -log(high - x), their sum, or x."""
        below = None if self.low is None else np.log(x - self.low)
        above = None if self.high is None else np.log(self.high - x)
        if below is not None and above is not None:
            width = np.log(self.high - self.low)  # type: ignore[operator]
            return below - above, width - below - above
        if below is not None:
            return below, -below
        return (x, np.zeros(len(x))) if above is None else (-above, -above)

    def inverse(self, t: np.ndarray) -> np.ndarray:
        """Return x (n,), finite and strictly inside: next to a bound where rounding hits it."""
        low, high = self.low, self.high
        with np.errstate(over="ignore"):
            if low is not None and high is not None:
                odds = np.exp(-np.abs(t))
                near = (high - low) * (odds / (1.0 + odds))
                x = np.where(t < 0.0, low + near, high - near)
            elif low is not None:
                x = low + np.exp(t)
            else:
                x = t if high is None else high - np.exp(-t)
        least = -LARGEST if low is None else np.nextafter(low, np.inf)
        most = LARGEST if high is None else np.nextafter(high, -np.inf)
        return np.clip(x, least, most)

    def outside(self, x: np.ndarray) -> np.ndarray:
        """Return which values (n,) lie on a bound or beyond."""
        out = np.zeros(len(x), dtype=bool)
        if self.low is not None:
            out |= x <= self.low
        if self.high is not None:
            out |= x >= self.high
        return out

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            return f"between {self.low:g} and {self.high:g}"
        if self.low is not None:
            return f"above {self.low:g}"
        return "any number" if self.high is None else f"below {self.high:g}"

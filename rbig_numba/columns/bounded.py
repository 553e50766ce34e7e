"""Numbers beyond one bound, or between two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rbig_numba.columns.base import Encoded, Kind
from rbig_numba.columns.support import Support
from rbig_numba.columns.survey import Survey


class _Within(Kind):
    """What both kinds do: the map of their support."""

    @property
    def support(self) -> Support:
        """Where values lie."""
        raise NotImplementedError

    def encode(self, x: np.ndarray, v: np.ndarray) -> Encoded:
        """Return t and log |dt/dx|."""
        return Encoded(*self.support.forward(x))

    def decode(self, y: np.ndarray) -> np.ndarray:
        """Return x, strictly inside."""
        return self.support.inverse(y)

    def outside(self, x: np.ndarray) -> np.ndarray:
        """Return which values lie on a bound or beyond."""
        return self.support.outside(x)

    @property
    def about(self) -> str:
        """The support."""
        return str(self.support)

    @property
    def allowed(self) -> str:
        """The support."""
        return f"numbers {self.support} (a value that repeats on a bound is a 'spike')"


@dataclass(frozen=True, eq=False)
class Positive(_Within):
    """Numbers above `low`: y = log(x - low)."""

    kind: ClassVar[str] = "positive"
    low: float = 0.0

    @property
    def support(self) -> Support:
        """The half-line."""
        return Support(self.low)

    def learn(self, survey: Survey) -> Positive:
        """Return the kind itself."""
        return self


@dataclass(frozen=True, eq=False)
class Bounded(_Within):
    """Numbers between `low` and `high`: y = log((x - low) / (high - x)).

    Bounds that are not given are found: 0 and 1, or 0 and 100, if the numbers lie between them, or
    else the lowest and the highest number, moved out by the mean gap between neighbours.
    """

    kind: ClassVar[str] = "bounded"
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"bounded: low={self.low!r} must be below high={self.high!r}")

    @property
    def support(self) -> Support:
        """The interval."""
        return Support(self.low, self.high)

    def learn(self, survey: Survey) -> Bounded:
        """Return the kind with both bounds."""
        low, high = _bounds(survey.low, survey.high, survey.n_rows)
        return replace(
            self,
            low=low if self.low is None else self.low,
            high=high if self.high is None else self.high,
        )


def _bounds(low: float, high: float, n_rows: int) -> tuple[float, float]:
    for top in (1.0, 100.0):
        if low > 0.0 and 0.5 * top < high < top:
            return 0.0, top
    gap = (high - low) / max(n_rows, 1) or 1.0
    return low - gap, high + gap

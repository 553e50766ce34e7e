"""Directions: numbers on a circle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rbig_numba.columns.base import Encoded, Kind
from rbig_numba.columns.steps import step_of
from rbig_numba.columns.support import Support
from rbig_numba.columns.survey import Survey

TURN = 2.0 * np.pi
# Sectors of a histogram over the circle that is cut in the emptiest of them.
SECTORS = 72
_UNIT = Support(0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Angle(Kind):
    """Numbers on a circle, cut where rows are fewest: y = logit(((x - cut) mod period) / period).

    Any number of turns more is the same angle. Samples lie in [low, low + period).

    Attributes
    ----------
    period : float, default=None
        360 if numbers lie beyond 2 pi, else 2 pi, if not given.
    low : float, default=None
        Where the circle begins, 0 or minus half a period.
    step : float, default=None
        Distance of neighbouring values, if these are steps, as degrees without decimals are: they
        have probabilities then, else a density. 0 for none.
    cut : float, default=None
        Learned anew from each table.
    """

    kind: ClassVar[str] = "angle"
    period: float | None = None
    low: float | None = None
    step: float | None = None
    cut: float | None = None

    def __post_init__(self) -> None:
        if self.period is not None and not self.period > 0.0:
            raise ValueError(f"angle: period={self.period!r} must be positive")

    def learn(self, survey: Survey) -> Angle:
        """Return the kind with its circle, and the cut."""
        largest = max(abs(survey.low), abs(survey.high))
        period = self.period or (360.0 if largest > 1.001 * TURN else TURN)
        low = self.low
        if low is None:
            low = 0.0 if survey.low >= 0.0 else -0.5 * period
        values, weights = survey.distinct()
        step = self.step
        if step is None:
            step = step_of(values, survey) or 0.0
            # Steps that don't go round would set the first value and the last one at odds.
            step = step if step and abs(period / step - round(period / step)) < 1e-6 else 0.0
        return replace(
            self, period=period, low=low, step=step, cut=_cut(values, weights, period, step)
        )

    def encode(self, x: np.ndarray, v: np.ndarray) -> Encoded:
        """Return y, and log |dy/dx| or, of steps, log(step |dy/dx|)."""
        assert self.period is not None
        assert self.cut is not None
        moved = x + self.step * (v - 0.5) if self.step else x
        shares = np.mod(moved - self.cut, self.period) / self.period
        # On the cut itself, which no value is but by rounding.
        y, log_slope = _UNIT.forward(np.clip(shares, 2.0**-52, 1.0 - 2.0**-52))
        return Encoded(y, log_slope + np.log((self.step or 1.0) / self.period))

    def decode(self, y: np.ndarray) -> np.ndarray:
        """Return x in [low, low + period)."""
        assert self.period is not None
        assert self.low is not None
        assert self.cut is not None
        x = self.cut + self.period * _UNIT.inverse(y)
        if self.step:
            x = self.step * np.rint(x / self.step)
        x = self.low + np.mod(x - self.low, self.period)
        return np.where(x >= self.low + self.period, self.low, x)

    def has_jump(self, x: np.ndarray) -> np.ndarray:
        """All or none, but for missing ones."""
        return ~np.isnan(x) & bool(self.step)

    @property
    def jumps(self) -> bool:
        """Whether there are atoms, or steps."""
        return bool(self.step)

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers."""
        return (
            bool(self.step)
            and float(self.step or 0.5).is_integer()
            and float(self.low or 0.0).is_integer()
        )

    @property
    def about(self) -> str:
        """Period, steps and cut."""
        if self.period is None or self.cut is None:
            return "" if self.period is None else f"period {self.period:.6g}"
        steps = f", steps of {self.step:g}" if self.step else ""
        return f"period {self.period:.6g}{steps}, cut at {self.cut:.4g}"


def _cut(values: np.ndarray, weights: np.ndarray, period: float, step: float) -> float:
    """Return the middle of the emptiest sector, half a step beside any value."""
    width = period / SECTORS if not step else step * max(round(period / step / SECTORS), 1)
    n_sectors = max(round(period / width), 1)
    shift = 0.5 * step
    sectors = np.floor(np.mod(values + shift, period) / width).astype(int) % n_sectors
    mass = np.bincount(sectors, weights, n_sectors)
    smooth = mass + 0.5 * (np.roll(mass, 1) + np.roll(mass, -1))
    # Between steps a sector begins half a step from values; no value lies in the middle of others.
    inside = 0.0 if step else 0.5 * width * (1.0 + 1e-3)
    return float(np.argmin(smooth) * width - shift + inside)

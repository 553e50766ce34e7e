"""Numbers on a lattice: counts, and decimals of few digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rbig_numba.columns.atoms import Atoms
from rbig_numba.columns.base import Encoded, Kind
from rbig_numba.columns.survey import Survey

# Atoms for each of which the table has so many rows at least: K shares cost (K - 1) / 2N nats.
# Of Poisson and negative binomial counts of 12 to 700 values among 20,000 rows atoms lost 0.003 to
# 0.009 nats against the truth, values moved within a step 0.001 to 0.013: docs/columns.md.
ROWS_PER_ATOM = 50
# What a value may be off its step, in steps, and in parts of itself: 0.1 in float32.
SLACK, ROUNDING = 1e-6, 2.0**-22
# Multiples between the outer values, for each value that there is: classes of any numbers, three
# say, are all multiples of something small.
SPARSE = 50
# Values that are looked at first: real numbers are told by them, at a tenth of the time.
FEW = 64
STEPS = tuple(unit * 10.0**-digits for digits in range(7) for unit in (1.0, 0.5, 0.25))


@dataclass(frozen=True, eq=False)
class Steps(Kind):
    """Multiples of a step; each has a probability.

    Few of them are atoms. Many are moved within their step, y = x + step (v - 1/2); what falls
    beyond `low` or `high` is reflected there.

    Attributes
    ----------
    step : float, default=None
        Found if not given.
    low, high : float, default=None
        Ends beyond which there are no values. If not given, 0 and 100 are ends if they are the
        outermost values, and so are outermost values that hold more rows than those next to them.
    atoms : Atoms, default=None
        In steps; learned anew from each table.
    """

    kind: ClassVar[str] = "steps"
    step: float | None = None
    low: float | None = None
    high: float | None = None
    atoms: Atoms | None = None

    def __post_init__(self) -> None:
        if self.step is not None and not self.step > 0.0:
            raise ValueError(f"{self.kind}: step={self.step!r} must be positive")
        if isinstance(self.atoms, dict):
            object.__setattr__(self, "atoms", Atoms(**self.atoms))

    def learn(self, survey: Survey) -> Steps:
        """Return the kind with its step, and atoms if they are few."""
        values, weights = survey.distinct()
        if len(values) < 2:
            raise ValueError("it has no two different values: skip it")
        step = self.step or step_of(values, survey)
        if not step:
            raise ValueError("its values are no multiples of one step: give one, or take 'real'")
        low, high = self.low, self.high
        if low is None and (values[0] == 0.0 or _is_end(weights)):
            low = float(values[0])
        if high is None and (values[-1] == 100.0 or _is_end(weights[::-1])):
            high = float(values[-1])
        atoms = None
        if survey.counts is not None and len(values) * ROWS_PER_ATOM <= survey.n_rows:
            numbers, places = np.unique(np.rint(values / step), return_inverse=True)
            atoms = Atoms(numbers, np.bincount(places, weights))
        return replace(self, step=step, low=low, high=high, atoms=atoms)

    def encode(self, x: np.ndarray, v: np.ndarray) -> Encoded:
        """Return y, and the log of the jump's size over y's density, or that of the step."""
        assert self.step is not None
        if self.atoms is not None:
            return self.atoms.encode(np.rint(x / self.step), v)
        y = self.step * (np.rint(x / self.step) + (v - 0.5))
        return Encoded(y, np.where(np.isnan(x), np.nan, np.log(self.step)))

    def decode(self, y: np.ndarray) -> np.ndarray:
        """Return multiples of the step."""
        assert self.step is not None
        if self.atoms is not None:
            return _multiples(self.atoms.decode(y), self.step)
        if self.low is not None:
            least = self.low - 0.5 * self.step
            y = np.where(y < least, 2.0 * least - y, y)
        if self.high is not None:
            most = self.high + 0.5 * self.step
            y = np.where(y > most, 2.0 * most - y, y)
        return _multiples(np.rint(y / self.step), self.step)

    def has_jump(self, x: np.ndarray) -> np.ndarray:
        """All but missing ones."""
        return ~np.isnan(x)

    def outside(self, x: np.ndarray) -> np.ndarray:
        """Return which values are no multiples, or beyond an end."""
        out = ~on_lattice(x, self.step or 1.0) & ~np.isnan(x)
        if self.low is not None:
            out |= x < self.low - 0.5 * (self.step or 1.0)
        if self.high is not None:
            out |= x > self.high + 0.5 * (self.step or 1.0)
        return out

    @property
    def jumps(self) -> bool:
        """Whether there are atoms, or steps."""
        return True

    @property
    def scored(self) -> bool:
        """Whether encoded atoms are normal scores."""
        return self.atoms is not None

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers."""
        return float(self.step or 0.5).is_integer()

    @property
    def about(self) -> str:
        """The step, and how many values there are."""
        how = "moved within a step" if self.atoms is None else f"{len(self.atoms.values)} values"
        return "" if self.step is None else f"step {self.step:g}, {how}"

    @property
    def allowed(self) -> str:
        """Multiples, and from where."""
        noun = "whole numbers" if self.step == 1.0 else f"multiples of {self.step:g}"
        low = "" if self.low is None else f" from {self.low:g} on"
        return noun + low + ("" if self.high is None else f" up to {self.high:g}")


@dataclass(frozen=True, eq=False)
class Whole(Steps):
    """Whole numbers: steps of 1."""

    kind: ClassVar[str] = "whole"
    step: float | None = 1.0


def _is_end(weights: np.ndarray) -> bool:
    """Whether values end in a heap at the first of them: more than chance makes of a tail."""
    first, second = weights[:2]
    return bool(first > second + 5.0 * np.sqrt(second + 1.0))


def on_lattice(values: np.ndarray, step: float) -> np.ndarray:
    """Return which values (n,) are multiples of a step, but for rounding."""
    numbers = values / step
    with np.errstate(invalid="ignore"):
        off = np.abs(numbers - np.rint(numbers))
    return off <= SLACK + ROUNDING * np.minimum(np.abs(numbers), 2.0**19)


def step_of(values: np.ndarray, survey: Survey) -> float | None:
    """Return the widest step that distinct values, ascending, are all multiples of; None for none.

    A step is a unit, a half or a quarter of a decimal place. Values that hardly repeat tell none:
    any number is one of some digits.
    """
    if len(values) < 2:
        return None
    width = float(np.subtract(*np.quantile(values, [0.95, 0.05])))
    few = values[:: max(len(values) // FEW, 1)]
    for step in STEPS:
        if on_lattice(few, step).all() and on_lattice(values, step).all():
            if step == 1.0:
                return step
            # Of real numbers that were rounded finely steps would be as many as rows.
            fine = 2 * len(values) > min(survey.weight, len(survey.sample[0]))
            return None if fine or width > SPARSE * step * len(values) else step
    return None


def _multiples(numbers: np.ndarray, step: float) -> np.ndarray:
    """Return step times whole numbers, with the digits of a decimal step."""
    digits = next((d for d in range(9) if abs(step * 10.0**d - round(step * 10.0**d)) < 1e-9), None)
    return numbers * step if digits is None else np.round(numbers * step, digits)

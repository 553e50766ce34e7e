"""Values of a list: text, truth values, or numbers that stand for classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from rbig_numba.columns.atoms import Atoms
from rbig_numba.columns.base import Encoded, Kind
from rbig_numba.columns.cells import is_missing
from rbig_numba.columns.survey import Survey


@dataclass(frozen=True, eq=False)
class Ordered(Kind):
    """Levels in an order; each has a probability.

    Attributes
    ----------
    levels : list, default=None
        In their order; found, and sorted, if not given.
    atoms : Atoms, default=None
        Of the levels' numbers; learned anew from each table.
    """

    kind: ClassVar[str] = "ordered"
    levels: list | None = None
    atoms: Atoms | None = None

    def __post_init__(self) -> None:
        if isinstance(self.atoms, dict):
            object.__setattr__(self, "atoms", Atoms(**self.atoms))
        if self.levels is not None and len(set(self.levels)) < len(self.levels):
            raise ValueError(f"{self.kind}: levels={self.levels!r} name one twice")

    def numbers(self, cells: np.ndarray) -> np.ndarray:
        """Return the levels' numbers; -1 where a value is none of them."""
        assert self.levels is not None
        number_of = {level: float(number) for number, level in enumerate(self.levels)}
        if cells.dtype.kind not in "biuf":
            found = [np.nan if is_missing(cell) else number_of.get(cell, -1.0) for cell in cells]
            return np.array(found, dtype=np.float64)
        values, places = np.unique(cells, return_inverse=True)
        found = [np.nan if is_missing(cell) else number_of.get(cell, -1.0) for cell in values]
        return np.array(found, dtype=np.float64)[places]

    def learn(self, survey: Survey) -> Ordered:
        """Return the kind with its levels and their weights."""
        if survey.counts is None:
            raise ValueError("it has too many different values for levels: skip it")
        levels = self.levels or survey.levels or _sorted(survey)
        levels = [level.item() if isinstance(level, np.generic) else level for level in levels]
        new = [value for value in survey.counts if value not in set(levels)]
        if new:
            raise ValueError(f"{new[0]!r} is none of its levels, {levels!r:.80}")
        weights = [survey.counts.get(level, 0.0) for level in levels]
        there = np.flatnonzero(weights)
        return replace(self, levels=levels, atoms=Atoms(there, np.array(weights)[there]))

    def encode(self, x: np.ndarray, v: np.ndarray) -> Encoded:
        """Return y, and the log of its jump's size over phi(y)."""
        assert self.atoms is not None
        return self.atoms.encode(x, v)

    def decode(self, y: np.ndarray) -> np.ndarray:
        """Return levels' numbers."""
        assert self.atoms is not None
        return self.atoms.decode(y)

    def has_jump(self, x: np.ndarray) -> np.ndarray:
        """All but missing ones."""
        return ~np.isnan(x)

    def values(self, x: np.ndarray) -> np.ndarray:
        """Return the levels of their numbers (n,): an array of numbers, or of objects."""
        assert self.levels is not None
        if all(isinstance(level, (bool, int, float)) for level in self.levels):
            values = np.array([*self.levels, np.nan], dtype=np.float64)
        else:
            values = np.empty(len(self.levels) + 1, dtype=object)
            values[:-1] = self.levels
        return values[np.where(np.isnan(x), -1.0, x).astype(int)]

    @property
    def jumps(self) -> bool:
        """Whether there are atoms, or steps."""
        return True

    @property
    def scored(self) -> bool:
        """Whether encoded atoms are normal scores."""
        return True

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers."""
        return all(
            isinstance(v, (bool, int, float)) and float(v).is_integer()
            for v in self.levels or ["-"]
        )

    @property
    def about(self) -> str:
        """The levels."""
        if self.levels is None:
            return ""
        shown = ", ".join(map(str, self.levels[:6]))
        return shown + f" and {len(self.levels) - 6} more" * (len(self.levels) > 6)

    def plain(self) -> dict[str, Any]:
        """Return the kind as JSON values."""
        content = super().plain()
        return content if self.levels is None else content | {"levels": list(self.levels)}


@dataclass(frozen=True, eq=False)
class Unordered(Ordered):
    """Levels without an order of their own; see `rbig_numba.columns.ordering`.

    They are put in the order that goes best with the other columns, which is one-dimensional: what
    levels have in common in several ways at once is told less well.
    """

    kind: ClassVar[str] = "unordered"


def _sorted(survey: Survey) -> list:
    assert survey.counts is not None
    values = [bool(v) for v in survey.counts] if survey.type == "bool" else list(survey.counts)
    return sorted(values, key=lambda value: (isinstance(value, str), value))

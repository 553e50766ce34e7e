"""What every kind of column is: settings, numbers learned from a table, and a map of cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from rbig_numba.columns.cells import is_missing, is_number
from rbig_numba.columns.survey import Survey

Self = TypeVar("Self", bound="Kind")

LOG_SQRT_2PI = 0.5 * float(np.log(2.0 * np.pi))


class Encoded(NamedTuple):
    """Encoded cells y (n,), and what they add to the log-probability of their rows (n,), in nats.

    That is log |dy/dx| of a continuous cell, and the log-size of an atom's jump over the density of
    y under N(0, 1), or over that of its step.
    """

    y: np.ndarray
    log_weight: np.ndarray


@dataclass(frozen=True, eq=False)
class Kind(ABC):
    """How the cells of one column become numbers that have a density, and come back.

    A subclass is a frozen dataclass. Fields that are None are learned from a table; settings given
    by hand, and those that were found before, stay as they are. Cells are float64, NaN where
    missing; NaN passes through both ways.
    """

    kind: ClassVar[str]
    """Name in messages, files and dicts."""
    n_encoded: ClassVar[int] = 1
    """Encoded columns: 0 for one that is left out."""
    passes_through: ClassVar[bool] = False
    """Whether encoded cells are the cells themselves."""

    def numbers(self, cells: np.ndarray) -> np.ndarray:
        """Return raw cells (n,) as float64, NaN where missing.

        Raises
        ------
        BadCellError
            For text and dates: tells the first such cell.
        """
        if cells.dtype.kind in "biuf":
            return np.asarray(cells, dtype=np.float64)
        for place, cell in enumerate(cells):
            if not (is_missing(cell) or is_number(cell)):
                raise BadCellError(place, f"{str(cell)!r:.60} is no number")
        return np.array([np.nan if is_missing(cell) else float(cell) for cell in cells])

    @abstractmethod
    def learn(self: Self, survey: Survey) -> Self:
        """Return the kind with all that was left open learned from a survey of its column."""

    @abstractmethod
    def encode(self, x: np.ndarray, v: np.ndarray) -> Encoded:
        """Map cells (n,) with places (n,) in (0, 1) within the jumps of their atoms."""

    @abstractmethod
    def decode(self, y: np.ndarray) -> np.ndarray:
        """Map encoded cells (n,) back; each result is a value that the column may hold."""

    def has_jump(self, x: np.ndarray) -> np.ndarray:
        """Return which cells (n,) are atoms, so that `encode` looks at their places."""
        return np.zeros(len(x), dtype=bool)

    def outside(self, x: np.ndarray) -> np.ndarray:
        """Return which cells (n,) are values that the column can't hold."""
        return np.zeros(len(x), dtype=bool)

    def values(self, x: np.ndarray) -> np.ndarray:
        """Return decoded numbers (n,) as the values that stand for them."""
        return x

    @property
    def jumps(self) -> bool:
        """Whether there are atoms, or steps."""
        return False

    @property
    def scored(self) -> bool:
        """Whether encoded atoms are normal scores, which lie in intervals of these."""
        return False

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers."""
        return False

    @property
    def about(self) -> str:
        """What was given or found, for people."""
        return ""

    @property
    def allowed(self) -> str:
        """What the column may hold, for messages about cells that are something else."""
        return "any number"

    def plain(self) -> dict[str, Any]:
        """Return the kind as JSON values."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"kind": self.kind} | {
            name: _plain(value) for name, value in content.items() if value is not None
        }


class BadCellError(ValueError):
    """A cell that its column can't hold: `row` in its block, and why."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row, self.reason = row, reason


def _plain(value: Any) -> Any:
    if hasattr(value, "plain"):
        return value.plain()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value

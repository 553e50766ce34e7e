"""What every bijection is: frozen arrays and two exact maps.

Legend for the whole package: N rows, D columns, K components, L blocks. Densities and
log-determinants are in nats; a log-determinant is log |det dy/dx| of the map that returns it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import ClassVar, Protocol

import numpy as np


class Map(Protocol):
    """A map of rows (N, D) to rows (N, M), which a statistic is taken behind."""

    kind: ClassVar[str]

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rows (N, M), and numbers (N,): if the map is a bijection its log-determinant."""


class Bijection(ABC):
    """An invertible map of rows that keeps account of volume.

    A subclass is a frozen dataclass whose fields are all float64 arrays, in C order and writeable,
    as kernels are compiled for no others: what is stored is what is saved and exported. It
    guarantees, and the contract tests check, that

    - `forward` and `inverse` take finite float64 rows (N, D), N >= 1, in any memory order and
      leave them as they are;
    - both return new rows (N, D), in Fortran order since kernels run down columns, and the
      log-determinant (N,) of the map just applied: `inverse` returns minus that of `forward`;
    - a row's result does not depend on the rows beside it, not in one bit;
    - both are finite for rows to 1,000 standard deviations and beyond, and inverse to each other;
    - both may be called from several threads at once.
    """

    kind: ClassVar[str]
    """Name in files, histories and error messages."""

    def __post_init__(self) -> None:
        for name, array in self.arrays().items():
            object.__setattr__(self, name, _for_kernels(array))

    def __reduce__(self) -> tuple[type[Bijection], tuple[np.ndarray, ...]]:
        """Pickle what makes it anew: arrays that come over a network may be read-only."""
        return type(self), tuple(self.arrays().values())

    @abstractmethod
    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Map rows towards the latent space."""

    @abstractmethod
    def inverse(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Map rows back towards the data."""

    @property
    def about(self) -> str:
        """The columns or groups involved, for people; empty if all are alike."""
        return ""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the stored arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]


def as_columns(x: np.ndarray) -> np.ndarray:
    """Return rows (N, D) as C-ordered float64 columns (D, N), copied only where needed."""
    return _for_kernels(np.asarray(x, dtype=np.float64).T)


def _for_kernels(array: np.ndarray) -> np.ndarray:
    """Return an array of the one type that kernels are compiled for: a copy if it is read-only."""
    return np.require(array, np.float64, ("C", "A", "W"))

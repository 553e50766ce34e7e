"""Shift and scale of each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rbig_numba.bijections.base import Bijection


@dataclass(frozen=True, eq=False)
class Affine(Bijection):
    """y = (x - shift) / scale, column by column.

    Attributes
    ----------
    shift, scale : ndarray of shape (D,)
        In the units of x; scale is positive.
    """

    kind: ClassVar[str] = "affine"
    shift: np.ndarray
    scale: np.ndarray

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (x - shift) / scale and its log-determinant."""
        y = np.asfortranarray((x - self.shift) / self.scale)
        return y, np.full(len(x), -np.log(self.scale).sum())

    def inverse(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return y * scale + shift and its log-determinant."""
        x = np.asfortranarray(y * self.scale + self.shift)
        return x, np.full(len(y), np.log(self.scale).sum())

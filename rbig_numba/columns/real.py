"""Numbers with a density, as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rbig_numba.columns.base import Encoded, Kind
from rbig_numba.columns.survey import Survey


@dataclass(frozen=True, eq=False)
class Real(Kind):
    """Any finite number.

    Nothing is done to it: the standardisation that opens every flow is robust, and logarithmic
    beyond 100 standard deviations, so that a cell of 1e30 flattens no others (docs/tails.md).
    """

    kind: ClassVar[str] = "real"
    passes_through: ClassVar[bool] = True

    def learn(self, survey: Survey) -> Real:
        """Return the kind itself."""
        return self

    def encode(self, x: np.ndarray, v: np.ndarray) -> Encoded:
        """Return the cells."""
        return Encoded(x, np.zeros(len(x)))

    def decode(self, y: np.ndarray) -> np.ndarray:
        """Return the cells."""
        return y

"""Columns that are left out of the density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rbig_numba.columns.base import Encoded, Kind
from rbig_numba.columns.survey import Survey


@dataclass(frozen=True, eq=False)
class Skip(Kind):
    """Left out of density, latent rows and samples. Tables that are scored may lack it."""

    kind: ClassVar[str] = "skip"
    n_encoded: ClassVar[int] = 0

    def learn(self, survey: Survey) -> Skip:
        """Return the kind itself."""
        return self

    def encode(self, x: np.ndarray, v: np.ndarray) -> Encoded:
        """Is never called."""
        raise NotImplementedError

    def decode(self, y: np.ndarray) -> np.ndarray:
        """Is never called."""
        raise NotImplementedError

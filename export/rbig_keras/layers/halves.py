"""The columns that a coupling leaves alone, and those that it maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from keras import ops

from rbig_keras.special import Tensor


class Halves:
    """Columns A, of which mask is 1, and B, of which it is 0.

    Attributes
    ----------
    known, other : ndarray
        Numbers of the columns A and of the columns B.
    """

    def __init__(self, mask: Sequence[int]) -> None:
        given = np.array(mask) == 1
        self.known, self.other = np.flatnonzero(given), np.flatnonzero(~given)
        self._order = np.argsort(np.concatenate([self.known, self.other]))

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the columns A and the columns B of rows (N, D)."""
        return ops.take(rows, self.known, axis=-1), ops.take(rows, self.other, axis=-1)

    def join(self, known: Tensor, other: Tensor) -> Tensor:
        """Return rows (N, D) of both."""
        return ops.take(ops.concatenate([known, other], axis=-1), self._order, axis=-1)


def checked_halves(name: str, mask: Sequence[int], n_columns: int | None) -> Halves:
    """Return the halves of a layer's mask.

    Raises
    ------
    ValueError
        If the rows have another number of columns, or either half is empty; names the layer.
    """
    if n_columns != len(mask):
        raise ValueError(f"{name}: the mask has {len(mask)} columns, the rows have {n_columns}")
    halves = Halves(mask)
    if not len(halves.known) or not len(halves.other):
        raise ValueError(f"{name}: the mask must have a 0 and a 1, got {[*mask]}")
    return halves

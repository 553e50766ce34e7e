"""The columns that a coupling leaves alone, and those that it maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from keras import ops

from rbig_keras.special import Tensor


class Halves:
    """Columns A, where a mask (D,) is true, and B, where it is false.

    Attributes
    ----------
    known, other : ndarray
        Numbers of the columns A and of the columns B.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self.known, self.other = np.flatnonzero(mask), np.flatnonzero(~mask)
        self._order = np.argsort(np.concatenate([self.known, self.other]))

    def check_columns(self, name: str, n_columns: int | None) -> None:
        """Raise ValueError, which names the layer, if rows have another number of columns."""
        if n_columns != len(self._order):
            raise ValueError(
                f"{name}: the mask has {len(self._order)} columns, the rows have {n_columns}"
            )

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the columns A and the columns B of rows (N, D)."""
        return ops.take(rows, self.known, axis=-1), ops.take(rows, self.other, axis=-1)

    def join(self, known: Tensor, other: Tensor) -> Tensor:
        """Return rows (N, D) of both."""
        return ops.take(ops.concatenate([known, other], axis=-1), self._order, axis=-1)


def checked_halves(name: str, mask: Sequence[int] | np.ndarray) -> Halves:
    """Return the halves of a mask.

    Raises
    ------
    ValueError
        If the mask isn't (D,), or either half is empty; names the layer.
    """
    given = np.asarray(mask)
    if given.ndim != 1 or not np.isin(given, (0, 1)).all():
        raise ValueError(f"{name}: the mask must be 0 or 1 for each column, got {mask}")
    halves = Halves(given.astype(bool))
    if not len(halves.known) or not len(halves.other):
        raise ValueError(
            f"{name}: the mask must have a 0 and a 1, got {given.astype(int).tolist()}"
        )
    return halves

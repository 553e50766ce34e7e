"""What all kinds of table files have in common: blocks of rows, from a file that stays the same."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rbig_numba.files import AnyPath, check_readable


class TableFile(ABC):
    """A table of real numbers in a file, of which only blocks of rows are held in memory.

    A subclass checks the file and sets the attributes when it is made, and reads rows in `_blocks`.

    Attributes
    ----------
    path : Path
        The file.
    names : list of n_features str, or None
        The columns' names; None for .npy, which has none.
    n_features : int
        Columns.
    n_rows : int or None
        Rows; None for CSV, which tells only at its end.
    dtype : dtype
        float32 if every column is, else float64.
    """

    path: Path
    names: list[str] | None
    n_features: int
    n_rows: int | None
    dtype: np.dtype

    def __init__(self, path: AnyPath) -> None:
        self.path = check_readable(path)
        self._state = self._current_state()

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Read the table once, from its first row on.

        Parameters
        ----------
        n_rows : int
            Rows of a block, whatever the parts are in which the file stores them.

        Yields
        ------
        ndarray of shape (n_rows, n_features)
            Rows in C or Fortran order, the caller's to keep; the last block may have fewer. Empty
            cells are NaN.

        Raises
        ------
        ValueError
            If a cell is no number, or the file is damaged, or it was changed since it was opened.
        """
        if n_rows < 1:
            raise ValueError(f"n_rows={n_rows!r} must be at least 1")
        self._check_unchanged()
        for block in self._blocks(n_rows):
            self._check_unchanged()
            yield block
        self._check_unchanged()

    @abstractmethod
    def _blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield blocks as `blocks` does, and see `_check_unchanged` before any complaint."""

    def _check_unchanged(self) -> None:
        """Raise if the file is another than at the start: its rows would not fit together."""
        if self._current_state() != self._state:
            raise ValueError(f"{self.path}: changed while it was read: nothing may write to it")

    def _current_state(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        return found.st_size, found.st_mtime_ns

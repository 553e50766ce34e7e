"""What all tables in files have in common: names, columns chosen by them, and blocks of rows."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from rbig_numba.files import AnyPath, check_readable
from rbig_numba.tables.checks import check_size, chosen_names


class TableFile(ABC):
    """A table of real numbers in files, of which only blocks of rows are held in memory.

    Attributes
    ----------
    label : str
        What messages call it.
    names : list of n_features str, or None
        The columns' names; None for .npy, which has none.
    n_features : int
        Columns.
    n_rows : int or None
        Rows; None for CSV and Arrow's own formats, which have some and tell only at their end.
    dtype : dtype
        float32 if every column is, else float64.
    """

    label: str
    names: list[str] | None
    n_features: int
    n_rows: int | None
    dtype: np.dtype

    @abstractmethod
    def select(self, columns: Sequence[str] | None = None, drop: Sequence[str] = ()) -> TableFile:
        """Return the table with some of its columns; others may hold text.

        Parameters
        ----------
        columns : sequence of str, default=None
            Their names, in the order wanted; None for all but `drop`, in the file's order.
        drop : sequence of str, default=()
            Names of columns to leave out.

        Raises
        ------
        ValueError
            If a name is unknown, or what is left is no table of real numbers.
        """

    @abstractmethod
    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Read the table once, from its first row on.

        Parameters
        ----------
        n_rows : int
            Rows of a block, whatever the parts are in which files store them.

        Yields
        ------
        ndarray of shape (n_rows, n_features)
            Rows in C or Fortran order, the caller's to keep; the last block may have fewer. Empty
            cells are NaN.

        Raises
        ------
        ValueError
            If a cell is no number, or a file is damaged, or it was changed since it was opened.
        """

    def place(self, row: int) -> str:
        """Return what messages call a row that was read: its number, and in which of many files."""
        return str(row)


class OneFile(TableFile):
    """A table in one file, that stays the same.

    A subclass looks at the file when it is made, chooses columns in `take`, and reads rows in
    `_blocks`.

    Attributes
    ----------
    path : Path
        The file.
    """

    path: Path

    def __init__(self, path: AnyPath) -> None:
        self.path = check_readable(path)
        self.label = str(self.path)
        self._state = self._current_state()

    def select(self, columns: Sequence[str] | None = None, drop: Sequence[str] = ()) -> OneFile:
        """Return the table with some of its columns; see `TableFile.select`."""
        chosen = self.take(chosen_names(self.label, self.names, columns, drop))
        check_size(self.label, (self.n_rows, chosen.n_features))
        return chosen

    def take(self, names: list[str] | None) -> Self:
        """Return the table with columns that it has, whether or not it has rows."""
        chosen = copy.copy(self)
        chosen._take(names)
        return chosen

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Read the file once; see `TableFile.blocks`."""
        if n_rows < 1:
            raise ValueError(f"n_rows={n_rows!r} must be at least 1")
        self._check_unchanged()
        for block in self._blocks(n_rows):
            self._check_unchanged()
            yield block
        self._check_unchanged()

    @abstractmethod
    def _take(self, names: list[str] | None) -> None:
        """Check columns of the file, all for None, and set `names`, `n_features` and `dtype`."""

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


def refilled(
    parts: Iterable[np.ndarray], n_rows: int, n_features: int, dtype: np.dtype
) -> Iterator[np.ndarray]:
    """Yield the rows of parts (any, n_features) as blocks of n_rows, the last one shorter."""
    block, filled = np.empty((n_rows, n_features), dtype, order="F"), 0
    for rows in parts:
        start = 0
        while start < len(rows):
            count = min(n_rows - filled, len(rows) - start)
            block[filled : filled + count] = rows[start : start + count]
            start, filled = start + count, filled + count
            if filled == n_rows:
                yield block
                block, filled = np.empty_like(block), 0
    if filled:
        yield np.asfortranarray(block[:filled])

"""Tables to be walked over in blocks of cells: from memory, a mapped array or a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rbig_numba.checks.containers import frame_of, is_lazy, is_stored, unwrapped
from rbig_numba.columns.cells import Cells, cells_of
from rbig_numba.tables import TableFile, open_table


class Opened:
    """A table of any kind that holds its rows on this machine.

    Attributes
    ----------
    label : str
        What messages call it.
    names : list or None
        Of its columns.
    in_memory : bool
        Whether rows are held in memory.
    """

    def __init__(self, X: Any) -> None:
        if is_stored(X):
            X = open_table(X)
        frame, X = frame_of(X), unwrapped(X)
        if is_lazy(X):
            raise TypeError("columns: a Dask collection can't be encoded yet; pass its files")
        self._file: TableFile | None = None
        self._cells: Cells | None = None
        self.in_memory, self.label = True, "Input X"
        if isinstance(X, TableFile):
            self._file, self.in_memory, self.label = X, False, X.label
            self.names, self.frame, self.n_rows = X.names, None, X.n_rows
        else:
            self._cells = cells_of(X, frame)
            self.in_memory = not (isinstance(X, np.memmap) and X.filename)
            self.names, self.frame = self._cells.names, self._cells.frame
            self.n_rows = self._cells.n_rows

    def blocks(self, size: int) -> Iterator[Cells]:
        """Yield blocks of `size` rows, the last one shorter."""
        if self._file is None:
            assert self._cells is not None
            yield from self._cells.blocks(size)
            return
        for rows in self._file.blocks(size):
            yield cells_of(rows)._replace(names=self.names)

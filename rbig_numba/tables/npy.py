"""Tables in .npy files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from rbig_numba.files import AnyPath
from rbig_numba.tables.checks import one_line
from rbig_numba.tables.file import OneFile


class NpyFile(OneFile):
    """A two-dimensional array in C or Fortran order.

    It is read by position and not mapped, for mapped pages count as memory of the process.
    """

    def __init__(self, path: AnyPath) -> None:
        super().__init__(path)
        try:
            with open(self.path, "rb") as file:
                shape, self._by_column, self._stored = _read_header(file)
                self._start = file.tell()
        # NumPy parses the header as Python: of a damaged one SyntaxError and TokenError come too.
        except Exception as error:
            raise ValueError(
                f"{self.path}: not a readable .npy file of numbers: {one_line(error)}"
            ) from error
        if len(shape) != 2:
            raise ValueError(
                f"{self.path}: needs rows and columns, but the array has shape {shape}"
            )
        if self._stored.kind not in "biuf":
            raise ValueError(f"{self.path}: needs real numbers, but the array holds {self._stored}")
        single = self._stored.kind == "f" and self._stored.itemsize == 4
        self.names, self.dtype = None, np.dtype(np.float32 if single else np.float64)
        self._n_rows, self.n_features = shape
        self.n_rows = self._n_rows
        self._check_length()

    def _take(self, names: list[str] | None) -> None:
        """There are no names to take columns by."""

    def _check_length(self) -> None:
        needed = self._start + self._n_rows * self.n_features * self._stored.itemsize
        found = self.path.stat().st_size
        if found < needed:
            raise ValueError(
                f"{self.path}: cut short: {self._n_rows} rows and {self.n_features} columns of "
                f"{self._stored} take {needed} bytes, but the file has {found}"
            )

    def _blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        read = self._read_columns if self._by_column else self._read_rows
        with open(self.path, "rb") as file:
            for start in range(0, self._n_rows, n_rows):
                yield read(file, start, min(n_rows, self._n_rows - start))

    def _read_rows(self, file: BinaryIO, start: int, n_rows: int) -> np.ndarray:
        numbers = self._read(file, start * self.n_features, n_rows * self.n_features)
        return numbers.reshape(n_rows, self.n_features)

    def _read_columns(self, file: BinaryIO, start: int, n_rows: int) -> np.ndarray:
        block = np.empty((n_rows, self.n_features), dtype=self.dtype, order="F")
        for j in range(self.n_features):
            block[:, j] = self._read(file, j * self._n_rows + start, n_rows)
        return block

    def _read(self, file: BinaryIO, start: int, count: int) -> np.ndarray:
        """Return `count` numbers from the one at position `start` on."""
        file.seek(self._start + start * self._stored.itemsize)
        numbers = np.fromfile(file, dtype=self._stored, count=count)
        if len(numbers) < count:
            self._check_unchanged()
            raise ValueError(f"{self.path}: ends in mid-row although its size says otherwise")
        return numbers.astype(self.dtype, copy=False)


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return the shape, whether columns are stored one after another, and the type."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    # Version 3 differs from 2 only in letters of field names, which a table of numbers has none of.
    return np.lib.format.read_array_header_2_0(file)

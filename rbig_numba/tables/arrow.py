"""Tables that pyarrow reads in batches of named columns."""

from __future__ import annotations

import copy
import json
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from rbig_numba.files import AnyPath
from rbig_numba.tables.checks import check_numbers, check_suffix, check_twice, one_line
from rbig_numba.tables.file import OneFile, refilled

UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, json.JSONDecodeError)
EXAMPLE_ROWS, EXAMPLE_LENGTH = 1024, 60


def arrow_rows(table: pa.Table | pa.RecordBatch) -> np.ndarray:
    """Return a table of numbers as rows (N, D), float32 if every column is, else float64."""
    rows = np.empty((table.num_rows, table.num_columns), dtype=_float_type(table.schema), order="F")
    kind = pa.from_numpy_dtype(rows.dtype)
    for j, column in enumerate(table.columns):
        # Unchecked, for whole numbers above 2**53 take the nearest double, as NumPy does.
        rows[:, j] = column.cast(kind, safe=False)
    return rows


def _float_type(schema: pa.Schema) -> np.dtype:
    single = all(field.type == pa.float32() for field in schema)
    return np.dtype(np.float32 if single else np.float64)


class ArrowFile(OneFile):
    """A table of named columns that comes in batches of any number of rows.

    What pandas wrote as the index of a frame is no column of it.
    A subclass looks at the file in `_inspect` and reads it in `_open`.

    Attributes
    ----------
    schema : Schema
        All columns of the file, text and dates too.
    """

    names: list[str]
    schema: pa.Schema

    def __init__(self, path: AnyPath) -> None:
        super().__init__(path)
        try:
            schema, self.n_rows = self._inspect()
            index = (schema.pandas_metadata or {}).get("index_columns", [])
            self.schema = pa.schema([field for field in schema if field.name not in index])
            self.names = self.schema.names  # decoded, and found broken, only here
        except UNREADABLE as error:
            raise ValueError(self._unreadable(error)) from error
        self.n_features, self.dtype = len(self.names), _float_type(self.schema)

    @abstractmethod
    def _inspect(self) -> tuple[pa.Schema, int | None]:
        """Return all columns and the number of rows, None for some but how many is not known."""

    @abstractmethod
    def _open(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        """Yield batches of the columns `names`, of n_rows rows at most if that can be chosen."""

    def _take(self, names: list[str] | None) -> None:
        self.names = self.names if names is None else names
        check_twice(self.label, [name for name in self.schema.names if name in set(self.names)])
        chosen = pa.schema([self.schema.field(name) for name in self.names])
        check_numbers(self.label, chosen, self._example)
        self.n_features, self.dtype = len(self.names), _float_type(chosen)

    def _example(self, name: str) -> str:
        """Return, for a message, a cell that makes a column none of numbers, and its place."""
        column = copy.copy(self)
        column.names = [name]
        for batch in column._batches(EXAMPLE_ROWS):
            for row, cell in enumerate(batch.column(0).to_pylist()):
                if isinstance(cell, bytes):
                    cell = cell.decode("utf-8", "replace")
                if self._is_odd(cell):
                    text = repr(cell) if isinstance(cell, str) else str(cell)
                    return f" ({text[:EXAMPLE_LENGTH]} in {self._place(row)})"
            break
        return ""

    def _is_odd(self, cell: Any) -> bool:
        return cell is not None

    def _place(self, row: int) -> str:
        return f"row {row}"

    def _blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        rows = map(arrow_rows, self._batches(n_rows))
        return refilled(rows, n_rows, self.n_features, self.dtype)

    def _batches(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        done = 0
        try:
            for batch in self._open(n_rows):
                done += len(batch)
                yield batch
        except UNREADABLE as error:
            self._check_unchanged()
            raise ValueError(self._unreadable(error, done)) from error
        if self.n_rows not in (None, done):
            self._check_unchanged()
            raise ValueError(f"{self.path}: has {done} rows, but says that it has {self.n_rows}")

    def _unreadable(self, error: Exception, done: int = 0) -> str:
        where = f" after {done} rows" if done else ""
        suffix = check_suffix(self.path)
        return f"{self.path}: not a readable {suffix} table{where}: {one_line(error)}"

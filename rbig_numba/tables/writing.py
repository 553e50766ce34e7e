"""Writing tables, whole or block by block."""

from __future__ import annotations

import gzip
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from rbig_numba.checks.columns import as_floats, check_shape
from rbig_numba.files import AnyPath, replacing
from rbig_numba.tables.checks import check_suffix


@contextmanager
def table_writer(
    path: AnyPath | None, names: Sequence[str] | None = None
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends rows (n, D) to a new table; none of them stays in memory.

    The first call sets the columns and the type of the table and must come, if only with no rows.
    An old file is replaced in one step at the end, and stays as it was if anything goes wrong.

    Parameters
    ----------
    path : path-like or None
        The file, its format named by the suffix; None writes CSV to standard output.
    names : sequence of D str or None, default=None
        The columns' names; None for x0, x1, ... They are not kept in .npy.

    Raises
    ------
    ValueError, TypeError
        If the suffix is unknown, or if rows are no real numbers in as many columns as before.
    OSError
        If the file can't be written.
    """
    if path is None:
        yield _CsvWriter(sys.stdout.buffer, names).append
        return
    kind = KINDS[check_suffix(path)]
    with (
        replacing(path) as fresh,
        open(fresh, "wb") as file,
        closing(kind(file, names)) as writer,
    ):
        yield writer.append


def write_table(path: AnyPath, rows: np.ndarray, names: Sequence[str] | None = None) -> None:
    """Write rows (N, D) in the format that the suffix names; see `table_writer`."""
    with table_writer(path, names) as append:
        append(rows)


def as_arrow(rows: np.ndarray, names: Sequence[str] | None = None) -> pa.Table:
    """Return rows (N, D) as an Arrow table; columns without a name are called x0, x1, ..."""
    names = names or [f"x{j}" for j in range(rows.shape[1])]
    return pa.Table.from_arrays([pa.array(column) for column in rows.T], list(map(str, names)))


class _Writer(ABC):
    """Appends rows to an open file; `close` completes the table and leaves the file open."""

    def __init__(self, file: BinaryIO, names: Sequence[str] | None) -> None:
        self._file = file
        self._names = names
        self._width: int | None = None

    def append(self, rows: np.ndarray) -> None:
        """Check and write rows (n, D)."""
        rows = as_floats(rows, "The table")
        check_shape(rows.shape, "The table")
        if self._width not in (None, rows.shape[1]):
            raise ValueError(f"{rows.shape[1]} columns can't follow {self._width}")
        self._width = rows.shape[1]
        self._write(rows)

    @abstractmethod
    def _write(self, rows: np.ndarray) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class _CsvWriter(_Writer):
    """Writes each number with as many digits as it takes."""

    def __init__(self, file: BinaryIO, names: Sequence[str] | None, separator: str = ",") -> None:
        super().__init__(file, names)
        self._options = pa.csv.WriteOptions(include_header=True, delimiter=separator)

    def _write(self, rows: np.ndarray) -> None:
        pa.csv.write_csv(as_arrow(rows, self._names), self._file, self._options)
        self._options.include_header = False
        self._file.flush()  # so that a reader that is gone is noticed here, where it can be told

    def close(self) -> None:
        pass


class _GzipWriter(_CsvWriter):
    """Compresses a CSV file; without a date or a name in it, so that equal rows are equal files."""

    def __init__(self, file: BinaryIO, names: Sequence[str] | None, separator: str = ",") -> None:
        packed = gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0)
        super().__init__(cast(BinaryIO, packed), names, separator)

    def close(self) -> None:
        self._file.close()


class _IpcWriter(_Writer):
    """Writes a record batch for each call, uncompressed, for floats hardly shrink."""

    _writer: pa.ipc.RecordBatchFileWriter | None = None

    def _write(self, rows: np.ndarray) -> None:
        table = as_arrow(rows, self._names)
        if self._writer is None:
            self._writer = pa.ipc.new_file(self._file, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _ParquetWriter(_Writer):
    """Writes a row group for each call."""

    _writer: pa.parquet.ParquetWriter | None = None

    def _write(self, rows: np.ndarray) -> None:
        table = as_arrow(rows, self._names)
        if self._writer is None:
            # Floats of a density hardly repeat: a dictionary would be built and thrown away.
            self._writer = pa.parquet.ParquetWriter(
                self._file, table.schema, use_dictionary=False, write_page_checksum=True
            )
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _NpyWriter(_Writer):
    """Writes a header, rows, and at the end the header once more, with the number of rows.

    NumPy pads headers so that the first axis can grow to any number without moving the rows.
    """

    _shape: tuple[int, int] | None = None

    def _write(self, rows: np.ndarray) -> None:
        if self._shape is None:
            self._shape, self._dtype = (0, rows.shape[1]), rows.dtype
            self._write_header(self._shape)
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self._shape = (self._shape[0] + len(rows), rows.shape[1])

    def close(self) -> None:
        if self._shape is not None:
            self._file.seek(0)
            self._write_header(self._shape)

    def _write_header(self, shape: tuple[int, int]) -> None:
        descr = np.lib.format.dtype_to_descr(self._dtype)
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


KINDS: dict[str, Callable[[BinaryIO, Sequence[str] | None], _Writer]] = {
    ".csv": _CsvWriter,
    ".csv.gz": _GzipWriter,
    ".tsv": partial(_CsvWriter, separator="\t"),
    ".tsv.gz": partial(_GzipWriter, separator="\t"),
    ".parquet": _ParquetWriter,
    ".feather": _IpcWriter,
    ".arrow": _IpcWriter,
    ".npy": _NpyWriter,
}

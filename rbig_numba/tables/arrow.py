"""Tables that pyarrow reads: CSV and Parquet."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from rbig_numba.files import AnyPath
from rbig_numba.tables.checks import check_columns, check_header, one_line
from rbig_numba.tables.file import TableFile

# A line must fit into a block. Arrow reads 32 of them ahead, which takes 64 MB of memory: blocks of
# 4 MB take 200 MB, and are no faster.
CSV_BLOCK_BYTES = 1 << 20
# Small, for each column has its own: a table of 20 columns in one row group of 300 MB takes 90 MB.
PARQUET_BUFFER_BYTES = 1 << 18
PARQUET_BATCH_ROWS = 1 << 14

UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, json.JSONDecodeError)


def arrow_rows(table: pa.Table) -> np.ndarray:
    """Return a table of numbers as rows (N, D), float32 if every column is, else float64."""
    rows = np.empty(table.shape, dtype=_float_type(table.schema), order="F")
    _fill(rows, table)
    return rows


def _float_type(schema: pa.Schema) -> np.dtype:
    single = all(field.type == pa.float32() for field in schema)
    return np.dtype(np.float32 if single else np.float64)


def _fill(rows: np.ndarray, table: pa.Table | pa.RecordBatch) -> None:
    kind = pa.from_numpy_dtype(rows.dtype)
    for j, column in enumerate(table.columns):
        # Unchecked, for whole numbers above 2**53 take the nearest double, as NumPy does.
        rows[:, j] = column.cast(kind, safe=False)


class ArrowFile(TableFile):
    """A table of named columns that comes in batches of any number of rows.

    A subclass checks the file in `_inspect` and reads it in `_open`.
    """

    names: list[str]

    def __init__(self, path: AnyPath) -> None:
        super().__init__(path)
        try:
            schema, self.n_rows = self._inspect()
            self.names = schema.names  # decoded, and found broken, only here
        except UNREADABLE as error:
            raise ValueError(self._unreadable(error)) from error
        self.dtype = _float_type(schema)
        self.n_features = len(self.names)

    @abstractmethod
    def _inspect(self) -> tuple[pa.Schema, int | None]:
        """Return the columns that were checked and the number of rows, if the file tells it."""

    @abstractmethod
    def _open(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        """Yield batches, of n_rows rows at most if that can be chosen."""

    def _blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        block, filled = self._empty(n_rows), 0
        for batch in self._batches(n_rows):
            start = 0
            while start < len(batch):
                part = batch.slice(start, n_rows - filled)
                _fill(block[filled : filled + len(part)], part)
                start, filled = start + len(part), filled + len(part)
                if filled == n_rows:
                    yield block
                    block, filled = self._empty(n_rows), 0
        if filled:
            yield np.asfortranarray(block[:filled])

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
        suffix = self.path.suffix.lower()
        return f"{self.path}: not a readable {suffix} table{where}: {one_line(error)}"

    def _empty(self, n_rows: int) -> np.ndarray:
        return np.empty((n_rows, self.n_features), dtype=self.dtype, order="F")


class CsvFile(ArrowFile):
    """A CSV file with a line of names.

    The first block shows what the columns hold; then all are read as float64, for a column may
    begin with whole numbers or empty cells and go on otherwise. Only true and false stay so.
    """

    _types: dict[str, pa.DataType]

    def _inspect(self) -> tuple[pa.Schema, None]:
        with self._reader() as reader:
            schema = reader.schema
            self.names = schema.names  # an error of a later block names its column
            check_header(self.path, schema)
            check_columns(self.path, schema, n_rows=int(any(len(batch) for batch in reader)))
        self._types = {
            field.name: field.type if pa.types.is_boolean(field.type) else pa.float64()
            for field in schema
        }
        return pa.schema(self._types), None

    def _open(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        with self._reader(column_types=self._types) as reader:
            yield from reader

    def _reader(self, **conversion: Any) -> pa.csv.CSVStreamingReader:
        # With threads it is no faster, and its errors don't say the line.
        return pa.csv.open_csv(
            self.path,
            read_options=pa.csv.ReadOptions(block_size=CSV_BLOCK_BYTES, use_threads=False),
            convert_options=pa.csv.ConvertOptions(**conversion),
        )

    def _unreadable(self, error: Exception, done: int = 0) -> str:
        bad = re.search(r"CSV column #(\d+): Row #(\d+): .* invalid value '(.*)'", one_line(error))
        if "straddling" in str(error):
            return f"{self.path}: there is a line of more than {CSV_BLOCK_BYTES} bytes"
        if bad is None:
            return super()._unreadable(error, done).replace("Row #", "line ")
        column, line, value = bad.groups()
        return f"{self.path}: line {line}, column {self.names[int(column)]!r}: no number: {value!r}"


class ParquetFile(ArrowFile):
    """A Parquet file, its row groups read through small buffers, for they may be of any size.

    What pandas wrote as the index of a frame is no column of it.
    """

    def _inspect(self) -> tuple[pa.Schema, int]:
        with self._file() as file:
            schema, n_rows = file.schema_arrow, file.metadata.num_rows
        index = (schema.pandas_metadata or {}).get("index_columns", [])
        schema = pa.schema([field for field in schema if field.name not in index])
        check_columns(self.path, schema, n_rows)
        return schema, n_rows

    def _open(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        with self._file() as file:
            for batch in file.iter_batches(min(n_rows, PARQUET_BATCH_ROWS)):
                yield batch.select(self.names)

    def _file(self) -> pa.parquet.ParquetFile:
        return pa.parquet.ParquetFile(
            self.path,
            pre_buffer=False,
            buffer_size=PARQUET_BUFFER_BYTES,
            page_checksum_verification=True,
        )

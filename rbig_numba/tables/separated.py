"""CSV: cells between commas, semicolons or tabs, also compressed."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.csv

from rbig_numba.tables.arrow import ArrowFile
from rbig_numba.tables.checks import check_header, drop_hint, is_real, one_line
from rbig_numba.tables.dialect import Dialect, dialect_of, is_number, other_separator

# A line must fit into a block. Arrow reads 32 of them ahead, which takes 64 MB of memory: blocks of
# 4 MB take 200 MB, and are no faster.
CSV_BLOCK_BYTES = 1 << 20
# Those of Arrow, and what Python and pandas write.
RAGGED = r"Row #(\d+): (Expected (\d+) columns, got \d+): (.*?)( \.\.\.)?$"
MISSING = [*pa.csv.ConvertOptions().null_values, "None", "<NA>"]


class CsvFile(ArrowFile):
    """A CSV file with a line of names.

    The first block shows how it is written and what the columns hold; then those taken are read as
    float64, for a column may begin with whole numbers or empty cells and go on otherwise. Only true
    and false stay so.
    """

    _dialect = Dialect(",", ".")

    def _inspect(self) -> tuple[pa.Schema, int | None]:
        with self._stream() as stream:
            head = stream.read(CSV_BLOCK_BYTES)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise pa.ArrowInvalid("written in UTF-16: save it in UTF-8")
        self._dialect = dialect_of(head)
        with self._reader() as reader:
            self.schema = reader.schema  # an error of a later block names its column
            self.names = self.schema.names
            check_header(self.label, self.schema)
            return self.schema, None if any(map(len, reader)) else 0

    def _open(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        types = {name: _kind(self.schema.field(name).type) for name in self.names}
        with self._reader(include_columns=self.names, column_types=types) as reader:
            yield from reader

    @contextmanager
    def _reader(self, **conversion: Any) -> Iterator[pa.csv.CSVStreamingReader]:
        # With threads it is no faster, and its errors don't say the line.
        options = {
            "read_options": pa.csv.ReadOptions(block_size=CSV_BLOCK_BYTES, use_threads=False),
            "parse_options": pa.csv.ParseOptions(
                delimiter=self._dialect.separator, newlines_in_values=True
            ),
            "convert_options": pa.csv.ConvertOptions(
                decimal_point=self._dialect.decimal, null_values=MISSING, **conversion
            ),
        }
        with self._stream() as stream, pa.csv.open_csv(stream, **options) as reader:
            yield reader

    def _stream(self) -> pa.NativeFile:
        packed = self.path.suffix.lower() == ".gz"
        return pa.input_stream(str(self.path), compression="gzip" if packed else None)

    def _is_odd(self, cell: Any) -> bool:
        return cell not in MISSING and not is_number(cell, self._dialect.decimal)

    def _place(self, row: int) -> str:
        return f"line {row + 2}"

    def _unreadable(self, error: Exception, done: int = 0) -> str:
        text = one_line(error)
        if isinstance(error, UnicodeDecodeError):
            return f"{self.path}: names of columns are not in UTF-8: save it in UTF-8"
        if "straddling" in text:
            return f"{self.path}: there is a line of more than {CSV_BLOCK_BYTES} bytes"
        cell = re.search(r"CSV column #(\d+): Row #(\d+): .* invalid value '(.*)'", text)
        if cell is not None:
            column, line, value = cell.groups()
            name = self.schema.names[int(column)]
            return (
                f"{self.path}: line {line}, column {name!r}: no number{self._why(value)}: "
                f"{value!r}: correct it, or {drop_hint([name])}"
            )
        ragged = re.search(RAGGED, str(error), re.DOTALL)
        if ragged is None:
            return super()._unreadable(error, done).replace("Row #", "line ")
        line, what, n_cells, cells, cut = ragged.groups()
        separator = self._dialect.separator
        other = other_separator(cells, separator, None if cut else int(n_cells))
        mixed = f"mixes separators, {separator!r} and here {other!r}: " if other else ""
        return f"{self.path}: {mixed}line {line}: {what}: {cells!r}"

    def _why(self, value: str) -> str:
        decimal = self._dialect.decimal
        other = "." if decimal == "," else ","
        return f" with decimals after {decimal!r}" if value.count(other) == 1 else ""


def _kind(found: pa.DataType) -> pa.DataType:
    """Return as what a column is read, text only to show an example of it."""
    if pa.types.is_boolean(found):
        return found
    return pa.float64() if is_real(found) else pa.binary()

"""Parquet files, alone or as one of a folder with Hive's partitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from rbig_numba.files import AnyPath
from rbig_numba.tables.arrow import ArrowFile

# Small, for each column has its own: a table of 20 columns in one row group of 300 MB takes 90 MB.
PARQUET_BUFFER_BYTES = 1 << 18
PARQUET_BATCH_ROWS = 1 << 14


class ParquetFile(ArrowFile):
    """A Parquet file, its row groups read through small buffers, for they may be of any size.

    `keys` are further columns, with one value for all rows.
    """

    def __init__(self, path: AnyPath, keys: Mapping[str, Any] | None = None) -> None:
        self._keys = {name: pa.scalar(value) for name, value in (keys or {}).items()}
        super().__init__(path)

    def _inspect(self) -> tuple[pa.Schema, int]:
        with self._file() as file:
            schema, n_rows = file.schema_arrow, file.metadata.num_rows
        for name, value in self._keys.items():
            schema = schema.append(pa.field(name, value.type))
        return schema, n_rows

    def _open(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        stored = [name for name in self.names if name not in self._keys]
        with self._file() as file:
            for batch in file.iter_batches(min(n_rows, PARQUET_BATCH_ROWS), columns=stored):
                for name in self._keys:
                    batch = batch.append_column(name, pa.repeat(self._keys[name], len(batch)))
                yield batch.select(self.names)

    def _file(self) -> pa.parquet.ParquetFile:
        return pa.parquet.ParquetFile(
            self.path,
            pre_buffer=False,
            buffer_size=PARQUET_BUFFER_BYTES,
            page_checksum_verification=True,
        )

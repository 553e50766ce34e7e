"""Arrow's own formats: files (Feather) and streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.ipc

from rbig_numba.tables.arrow import ArrowFile

MAGIC, MAGIC_OF_VERSION_1 = b"ARROW1", b"FEA1"


class IpcFile(ArrowFile):
    """A Feather file of version 2, or a stream of record batches, of which one is in memory."""

    def _inspect(self) -> tuple[pa.Schema, int | None]:
        with self._batches_of([]) as (schema, batches):
            self._stored = schema
            return schema, None if any(map(len, batches)) else 0

    def _open(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        chosen = sorted(map(self._stored.get_field_index, self.names))
        with self._batches_of(chosen) as (_, batches):
            for batch in batches:
                yield batch.select(self.names)

    @contextmanager
    def _batches_of(
        self, columns: list[int]
    ) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """Give the schema and the batches of some columns, all for an empty list."""
        options = pa.ipc.IpcReadOptions(included_fields=columns)
        with pa.OSFile(str(self.path)) as file:
            magic = file.read(len(MAGIC))
            file.seek(0)
            if magic.startswith(MAGIC_OF_VERSION_1):
                raise pa.ArrowInvalid("Feather of version 1: write it again as version 2")
            if magic != MAGIC:
                with pa.ipc.open_stream(file, options=options) as reader:
                    yield reader.schema, iter(reader)
                return
            with pa.ipc.open_file(file, options=options) as reader:
                numbers = range(reader.num_record_batches)
                yield reader.schema, map(reader.get_batch, numbers)

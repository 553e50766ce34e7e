"""Raw rows on this machine, in blocks of one size: from memory, a mapped file or a table file."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from rbig_numba.checks.validation import check_finite
from rbig_numba.tables import TableFile
from rbig_numba.threads import BLOCK_ROWS, row_blocks


class Source(Protocol):
    """Finite rows that can be walked over more than once."""

    in_memory: bool
    """Whether the rows are held in memory, so that a copy of them may be."""

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield (BLOCK_ROWS, D) arrays in order, the last one shorter, float32 or float64.

        ValueError names the place of the first NaN or infinity.
        """


class ArraySource:
    """An array (N, D) that was checked at the door."""

    in_memory = True

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield views of the rows; one without rows, should there be none."""
        for block in row_blocks(max(len(self.rows), 1)):
            yield self.rows[block]


class MappedSource:
    """A memory-mapped array (N, D), whose pages are given back soon after they are read.

    They would count as the process's own memory until the system wants them back.
    """

    in_memory = False

    def __init__(self, rows: np.memmap) -> None:
        self.rows = rows

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield copies of the rows."""
        return finite(self._copies(), str(self.rows.filename))

    def _copies(self) -> Iterator[np.ndarray]:
        dtype = np.float32 if self.rows.dtype == np.float32 else np.float64
        # A private mapping ("c") holds changes in its pages only: they would be lost.
        mapping = None if self.rows.mode == "c" else getattr(self.rows, "_mmap", None)
        for number, block in enumerate(row_blocks(len(self.rows))):
            yield np.array(self.rows[block], dtype=dtype)
            if mapping is not None and number % 64 == 63 and hasattr(mmap, "MADV_DONTNEED"):
                mapping.madvise(mmap.MADV_DONTNEED)


class FileSource:
    """A table in files."""

    in_memory = False

    def __init__(self, table: TableFile) -> None:
        self.table = table

    def blocks(self) -> Iterator[np.ndarray]:
        """Read the files once."""
        table = self.table
        return finite(table.blocks(BLOCK_ROWS), table.label, table.names, table.place)


def finite(
    blocks: Iterator[np.ndarray],
    label: str,
    names: Sequence[str] | None = None,
    place: Callable[[int], str] = str,
) -> Iterator[np.ndarray]:
    """Yield blocks of rows as they are; ValueError says where NaN or infinity stand."""
    start = 0
    for rows in blocks:
        check_finite(rows, names, label, start, place)
        start += len(rows)
        yield rows

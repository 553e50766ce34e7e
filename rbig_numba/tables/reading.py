"""Reading tables, told apart by the suffix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rbig_numba.tables.checks import check_suffix
from rbig_numba.tables.file import OneFile, TableFile
from rbig_numba.tables.ipc import IpcFile
from rbig_numba.tables.npy import NpyFile
from rbig_numba.tables.parquet import ParquetFile
from rbig_numba.tables.parts import Parts
from rbig_numba.tables.paths import Part, Source, find_parts, label_of
from rbig_numba.tables.separated import CsvFile

# Rows to hold at a time: 0.5 MB for each column, and enough work for many threads.
BLOCK_ROWS = 65_536

KINDS: dict[str, type[OneFile]] = {
    ".csv": CsvFile,
    ".csv.gz": CsvFile,
    ".tsv": CsvFile,
    ".tsv.gz": CsvFile,
    ".parquet": ParquetFile,
    ".feather": IpcFile,
    ".arrow": IpcFile,
    ".npy": NpyFile,
}


def open_table(
    source: Source, *, columns: Sequence[str] | None = None, drop: Sequence[str] = ()
) -> TableFile:
    """Look at a table without reading it; `TableFile.blocks` then reads it in blocks of rows.

    Parameters
    ----------
    source : path-like or list of path-like
        A file; a folder, for the Parquet files in it (year=2020 in a folder's name is a column); a
        glob such as "data/*.csv", for files sorted by name; or a list of these, in its order. The
        files' columns are put together by name.
    columns : sequence of str, default=None
        Names of the columns to take, in this order; None for all but `drop`.
    drop : sequence of str, default=()
        Names of columns to leave out: of text, dates, numbers of rows.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a suffix is unknown, a file can't be read or lacks a column, or what is left is no table
        of real numbers.
    """
    return find_table(source).select(columns, drop)


def find_table(source: Source) -> TableFile:
    """Return a table of which `TableFile.select` is still to take columns of numbers.

    Raises
    ------
    FileNotFoundError, ValueError
        As `open_table` does, for files that can't be read.
    """
    parts = [_open(part) for part in find_parts(source)]
    return parts[0] if len(parts) == 1 else Parts(label_of(source), parts)


def read_table(source: Source) -> tuple[np.ndarray, list[str] | None]:
    """Read a table of numbers as a whole.

    Returns
    -------
    rows : ndarray of shape (N, D)
        float32 if every column is, else float64; empty cells are NaN.
    names : list of D str, or None
        The columns' names; None for .npy, which has none.

    Raises
    ------
    FileNotFoundError, ValueError
        As `open_table` and `TableFile.blocks` do.
    """
    table = open_table(source)
    blocks = list(table.blocks(table.n_rows or BLOCK_ROWS))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), table.names


def _open(part: Part) -> OneFile:
    suffix = check_suffix(part.path)
    return ParquetFile(part.path, part.keys) if part.keys else KINDS[suffix](part.path)

"""Reading tables, told apart by the suffix."""

from __future__ import annotations

import numpy as np

from rbig_numba.files import AnyPath
from rbig_numba.tables.arrow import CsvFile, ParquetFile
from rbig_numba.tables.checks import check_suffix
from rbig_numba.tables.file import TableFile
from rbig_numba.tables.npy import NpyFile

# Rows to hold at a time: 0.5 MB for each column, and enough work for many threads.
BLOCK_ROWS = 65_536

KINDS: dict[str, type[TableFile]] = {".csv": CsvFile, ".parquet": ParquetFile, ".npy": NpyFile}


def open_table(path: AnyPath) -> TableFile:
    """Look at a table without reading it; `TableFile.blocks` then reads it in blocks of rows.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the suffix is unknown, or the file can't be read or is no table of real numbers.
    """
    return KINDS[check_suffix(path)](path)


def read_table(path: AnyPath) -> tuple[np.ndarray, list[str] | None]:
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
    table = open_table(path)
    blocks = list(table.blocks(table.n_rows or BLOCK_ROWS))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), table.names

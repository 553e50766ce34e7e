"""Tables of numbers in files, read and written block by block: CSV, Parquet, Arrow and .npy."""

from rbig_numba.tables.arrow import arrow_rows
from rbig_numba.tables.checks import SUFFIXES, check_columns, check_suffix
from rbig_numba.tables.file import TableFile
from rbig_numba.tables.paths import find_parts
from rbig_numba.tables.reading import BLOCK_ROWS, find_table, open_table, read_table
from rbig_numba.tables.writing import as_arrow, table_writer, write_table

__all__ = [
    "BLOCK_ROWS",
    "SUFFIXES",
    "TableFile",
    "arrow_rows",
    "as_arrow",
    "check_columns",
    "check_suffix",
    "find_parts",
    "find_table",
    "open_table",
    "read_table",
    "table_writer",
    "write_table",
]

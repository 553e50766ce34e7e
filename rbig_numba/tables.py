"""Tables of numbers in files: CSV, Parquet and .npy, told apart by the suffix."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from rbig_numba.files import replacing

SUFFIXES = (".csv", ".parquet", ".npy")


def check_suffix(path: str | os.PathLike[str], suffixes: Sequence[str] = SUFFIXES) -> str:
    """Return the suffix of `path` in lower case; `ValueError` if it is none of `suffixes`."""
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise ValueError(f"{path}: the name must end in {' or '.join(suffixes)}")
    return suffix


def read_table(path: str | os.PathLike[str]) -> tuple[np.ndarray, list[str] | None]:
    """Read a table of numbers.

    Returns
    -------
    rows : ndarray of shape (N, D)
        float32 if every column is, else float64; empty cells are NaN.
    names : list of D str, or None
        The columns' names; None for .npy, which has none.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the suffix is unknown, or the file can't be read or is no table of real numbers.
    """
    suffix = check_suffix(path)
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such file")
    if suffix == ".npy":
        return _read_npy(path), None
    table = _read_arrow(path, suffix)
    _check_arrow(path, table)
    return _as_rows(table), table.column_names


def write_table(
    path: str | os.PathLike[str], rows: np.ndarray, names: Sequence[str] | None = None
) -> None:
    """Write rows (N, D) in the format that the suffix names; an old file is replaced in one step.

    Raises
    ------
    ValueError
        If the suffix is unknown.
    OSError
        If the file can't be written.
    """
    suffix = check_suffix(path)
    with replacing(path) as fresh:
        if suffix == ".npy":
            np.save(fresh, rows, allow_pickle=False)
        elif suffix == ".parquet":
            pa.parquet.write_table(as_arrow(rows, names), fresh)
        else:
            with open(fresh, "wb") as file:
                print_table(file, rows, names)


def print_table(file: BinaryIO, rows: np.ndarray, names: Sequence[str] | None = None) -> None:
    """Write rows (N, D) to an open file as CSV, each number with as many digits as it takes."""
    pa.csv.write_csv(as_arrow(rows, names), file)


def as_arrow(rows: np.ndarray, names: Sequence[str] | None = None) -> pa.Table:
    """Return rows (N, D) as an Arrow table; columns without a name are called x0, x1, ..."""
    names = names or [f"x{j}" for j in range(rows.shape[1])]
    return pa.Table.from_arrays([pa.array(column) for column in rows.T], names=list(names))


def _read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    try:
        with open(path, "rb") as file:
            rows = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: not a readable .npy file of numbers: {_line(error)}") from error
    if rows.ndim != 2:
        raise ValueError(f"{path}: needs rows and columns, but the array has shape {rows.shape}")
    if rows.dtype.kind not in "iuf":
        raise ValueError(f"{path}: needs real numbers, but the array holds {rows.dtype}")
    _check_size(path, rows.shape)
    return rows if rows.dtype == np.float32 else rows.astype(np.float64, copy=False)


def _read_arrow(path: str | os.PathLike[str], suffix: str) -> pa.Table:
    read = pa.csv.read_csv if suffix == ".csv" else pa.parquet.read_table
    try:
        table = read(path)
        table.column_names  # noqa: B018  names are decoded, and found broken, only here
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a readable {suffix} table: {_line(error)}") from error
    return table


def _check_arrow(path: str | os.PathLike[str], table: pa.Table) -> None:
    if Path(path).suffix.lower() == ".csv" and all(map(_is_number, table.column_names)):
        raise ValueError(f"{path}: the first line holds numbers: add a line of column names")
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise ValueError(f"{path}: several columns are called {_quoted(twice)}: rename them")
    _check_size(path, table.shape)
    other = [field for field in table.schema if not _is_real(field.type)]
    if other:
        kinds = ", ".join(dict.fromkeys(str(field.type) for field in other))
        raise ValueError(
            f"{path}: no numbers but {kinds} in column {_quoted([field.name for field in other])}: "
            "drop it or encode it as numbers"
        )


def _check_size(path: str | os.PathLike[str], shape: tuple[int, ...]) -> None:
    if 0 in shape:
        raise ValueError(f"{path}: the table is empty: {shape[0]} rows, {shape[1]} columns")


def _as_rows(table: pa.Table) -> np.ndarray:
    single = all(field.type == pa.float32() for field in table.schema)
    kind = pa.float32() if single else pa.float64()
    rows = np.empty(table.shape, dtype=kind.to_pandas_dtype(), order="F")
    for j, column in enumerate(table.columns):
        # Unchecked, for whole numbers above 2**53 take the nearest double, as NumPy does.
        rows[:, j] = column.cast(kind, safe=False).to_numpy()
    return rows


def _is_real(kind: pa.DataType) -> bool:
    types = pa.types
    checks = (types.is_integer, types.is_floating, types.is_decimal, types.is_null)
    return any(check(kind) for check in checks)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _quoted(names: Sequence[str], most: int = 8) -> str:
    """Return names for a message, cut where there are very many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def _line(error: Exception) -> str:
    return " ".join(str(error).split())

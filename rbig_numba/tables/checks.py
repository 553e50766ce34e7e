"""What makes a file a table of real numbers, and the messages for those that are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from rbig_numba.files import AnyPath, as_path

SUFFIXES = (".csv", ".parquet", ".npy")


def check_suffix(path: AnyPath, suffixes: Sequence[str] = SUFFIXES) -> str:
    """Return the suffix of `path` in lower case; `ValueError` if it is none of `suffixes`."""
    path = as_path(path)
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise ValueError(f"{path}: the name must end in {' or '.join(suffixes)}")
    return suffix


def check_header(path: Path, schema: pa.Schema) -> None:
    """Raise if the line that should name the columns of a CSV file doesn't, or not all of them."""
    names = schema.names
    if len(names) == 1 and not _is_real(schema.types[0]) and any(c in names[0] for c in ";\t|"):
        raise ValueError(f"{path}: a single column, {names[0]!r}: columns must end in commas")
    if all(map(_is_number, names)):
        raise ValueError(f"{path}: the first line holds numbers: add a line of column names")
    if "" in names:
        raise ValueError(
            f"{path}: column {names.index('')} has no name: drop it if it numbers the rows, as "
            "pandas' index does (to_csv(index=False) leaves it out), or else name it"
        )


def check_columns(label: object, schema: pa.Schema, n_rows: int) -> None:
    """Raise unless the columns have names of their own, rows, and real numbers."""
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise ValueError(f"{label}: several columns are called {_quoted(twice)}: rename them")
    check_size(label, (n_rows, len(schema)))
    other = [field for field in schema if not _is_real(field.type)]
    if other:
        kinds = ", ".join(dict.fromkeys(str(field.type) for field in other))
        names = _quoted([field.name for field in other])
        raise ValueError(
            f"{label}: no numbers but {kinds} in column {names}: drop it or encode it as numbers"
        )


def check_size(label: object, shape: tuple[int, int]) -> None:
    """Raise for a table without rows or columns."""
    if min(shape) < 1:
        raise ValueError(f"{label}: the table is empty: {shape[0]} rows, {shape[1]} columns")


def one_line(error: Exception, most: int = 300) -> str:
    """Return an error's text on one line, cut where it quotes a long row."""
    text = " ".join(str(error).split())
    return text if len(text) <= most else f"{text[:most]} ..."


def _is_real(kind: pa.DataType) -> bool:
    types = pa.types
    checks = (
        types.is_boolean,
        types.is_integer,
        types.is_floating,
        types.is_decimal,
        types.is_null,
    )
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

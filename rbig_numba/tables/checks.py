"""What makes a file a table of real numbers, and the messages for those that are none."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from rbig_numba.files import AnyPath, as_path
from rbig_numba.tables.dialect import is_number

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".feather", ".arrow", ".npy")
TOLD = 3  # columns of text that a message shows cells of


def check_suffix(path: AnyPath, suffixes: Sequence[str] = SUFFIXES) -> str:
    """Return the suffix of `path` in lower case; `ValueError` if it is none of `suffixes`."""
    path = as_path(path)
    suffix = path.suffix.lower()
    if suffix == ".gz":
        suffix = Path(path.stem).suffix.lower() + suffix
    if suffix not in suffixes:
        known = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
        raise ValueError(f"{path}: the name must end in {known}")
    return suffix


def check_header(label: str, schema: pa.Schema) -> None:
    """Raise if the line that should name the columns of a CSV file holds numbers."""
    if all(is_number(name) for name in schema.names):
        raise ValueError(f"{label}: the first line holds numbers: add a line of column names")


def chosen_names(
    label: str,
    names: list[str] | None,
    columns: Sequence[str] | None,
    drop: Sequence[str],
) -> list[str] | None:
    """Return `columns`, or for None all names but `drop`; raise if there are no such columns."""
    for given in (columns, drop):
        if isinstance(given, str):
            raise TypeError(f"{given!r} is one name: give a list of names")
    if names is None:
        if columns is not None or drop:
            raise ValueError(f"{label}: has no names to choose columns by")
        return None
    _check_known(label, drop, names)
    left = [name for name in names if name not in set(drop)]
    if columns is None:
        return left
    _check_known(label, columns, left)
    if len(set(columns)) < len(columns):
        raise ValueError(f"{label}: one of the columns is asked for twice: {quoted(columns)}")
    return list(columns)


def _check_known(label: str, wanted: Sequence[str], names: list[str]) -> None:
    unknown = [name for name in wanted if name not in set(names)]
    if unknown:
        raise ValueError(f"{label}: no column {quoted(unknown)} among {quoted(names)}")


def check_columns(label: str, schema: pa.Schema, n_rows: int) -> None:
    """Raise unless the columns have names of their own, rows, and real numbers."""
    check_twice(label, schema.names)
    check_size(label, (n_rows, len(schema)))
    other = [field for field in schema if not is_real(field.type)]
    if other:
        kinds = ", ".join(dict.fromkeys(str(field.type) for field in other))
        names = quoted([field.name for field in other])
        raise ValueError(
            f"{label}: no numbers but {kinds} in column {names}: drop it or encode it as numbers"
        )


def check_twice(label: str, names: Sequence[str]) -> None:
    """Raise if two columns have one name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{label}: several columns are called {quoted(twice)}: rename them")


def check_numbers(label: str, schema: pa.Schema, example: Callable[[str], str]) -> None:
    """Raise unless columns of a file have names and hold numbers; `example` shows what else."""
    if "" in schema.names:
        raise ValueError(
            f"{label}: column {schema.names.index('')} has no name: name it, or if it numbers the "
            f"rows, as pandas' index does (to_csv(index=False) leaves it out), {drop_hint([''])}"
        )
    other = [field for field in schema if not is_real(field.type)]
    if not other:
        return
    told = [
        f"{field.name!r} holds {_called(field.type)}{example(field.name)}" for field in other[:TOLD]
    ]
    more = f" and {len(other) - TOLD} more hold no numbers" if len(other) > TOLD else ""
    hint = drop_hint([field.name for field in other])
    raise ValueError(f"{label}: column {', column '.join(told)}{more}: {hint}")


def drop_hint(names: Sequence[str]) -> str:
    """Return how to leave columns out, on the command line and in Python."""
    cells = ",".join(f'"{n.replace(chr(34), chr(34) * 2)}"' if _is_special(n) else n for n in names)
    which = "it" if len(names) == 1 else "them"
    return f"leave {which} out with --drop {shlex.quote(cells)} (drop= of open_table in Python)"


def check_size(label: str, shape: tuple[int | None, int]) -> None:
    """Raise for a table without rows or columns; None stands for some rows."""
    if 0 in shape:
        n_rows = "some" if shape[0] is None else shape[0]
        raise ValueError(f"{label}: the table is empty: {n_rows} rows, {shape[1]} columns")


def one_line(error: Exception, most: int = 300) -> str:
    """Return an error's text on one line, cut where it quotes a long row."""
    text = " ".join(str(error).split())
    return text if len(text) <= most else f"{text[:most]} ..."


def is_real(kind: pa.DataType) -> bool:
    """Whether cells of this type are real numbers, flags included."""
    types = pa.types
    checks = (
        types.is_boolean,
        types.is_integer,
        types.is_floating,
        types.is_decimal,
        types.is_null,
    )
    return any(check(kind) for check in checks)


def _is_special(name: str) -> bool:
    """Whether a list with commas needs quotes around a name."""
    return not name or any(sign in name for sign in ',"\n\r')


def _called(kind: pa.DataType) -> str:
    types = pa.types
    # Binary is what Arrow takes text of CSV for that isn't in UTF-8.
    text = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary)
    return "text" if any(check(kind) for check in (*text, types.is_dictionary)) else str(kind)


def quoted(names: Sequence[str], most: int = 8) -> str:
    """Return names for a message, cut where there are very many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more

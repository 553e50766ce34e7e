"""Tables as they come, column by column: numbers, truth values, text, categories, dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from rbig_numba.checks.columns import check_kind, check_shape, is_frame
from rbig_numba.listing import listed


class Column(NamedTuple):
    """Cells (n,) of one column, numbers with NaN or objects with None where missing.

    `type` is "number", "bool", "text", "category" or "date", `dtype` what the table calls it;
    `levels` are those that a category states, `ordered` whether in an order.
    """

    cells: np.ndarray
    type: str
    dtype: str
    levels: list | None = None
    ordered: bool = False


class Cells(NamedTuple):
    """A table, or rows of one; `frame` is "pandas", "polars", "arrow" or None for an array."""

    columns: list[Column]
    names: list | None
    frame: str | None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0].cells) if self.columns else 0

    def blocks(self, size: int) -> Iterator[Cells]:
        """Yield views of `size` rows, the last one shorter; an empty table is one without rows."""
        for start in range(0, max(self.n_rows, 1), size):
            rows = slice(start, start + size)
            yield self._replace(columns=[c._replace(cells=c.cells[rows]) for c in self.columns])


def cells_of(X: Any, frame: str | None = None, label: str = "Input X") -> Cells:
    """Return the cells of an array-like, a pandas frame or an Arrow table; `frame` names its kind.

    Raises
    ------
    ValueError, TypeError
        For duplicate names, other shapes than rows and columns, sparse and complex columns.
    """
    if isinstance(X, pa.Table):
        _check_names(X.column_names)
        columns = [_of_arrow(X.column(j)) for j in range(X.num_columns)]
        return Cells(columns, list(X.column_names), frame or "arrow")
    if is_frame(X):
        _check_names(list(X.columns))
        columns = [_of_series(X.iloc[:, j], name) for j, name in enumerate(X.columns)]
        return Cells(columns, list(X.columns), "pandas")
    if hasattr(X, "toarray"):
        raise TypeError(f"{label} is sparse: pass its toarray()")
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError(f"{label} must have rows of equal length: {error}") from error
    if isinstance(X, np.ma.MaskedArray):
        array = np.ma.filled(X.astype(float), np.nan)
    check_shape(array.shape, label)
    if array.dtype.kind not in "OUSMm":
        check_kind(array.dtype, label)
    return Cells(
        [_of_array(array[:, j], str(array.dtype)) for j in range(array.shape[1])], None, None
    )


def _check_names(names: Sequence) -> None:
    twice = [repr(name) for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"several columns are called {listed(twice)}: rename them")


def _of_array(cells: np.ndarray, dtype: str) -> Column:
    kind = cells.dtype.kind
    if kind == "O":
        return _of_objects(cells, dtype)
    if kind in "US":
        return Column(cells.astype(object), "text", dtype)
    if kind in "Mm":
        return Column(cells, "date", dtype)
    if kind == "f" and cells.dtype.itemsize not in (4, 8):
        cells = cells.astype(np.float64)
    return Column(cells, "bool" if kind == "b" else "number", dtype)


def _of_objects(cells: np.ndarray, dtype: str) -> Column:
    """Tell by its cells what a column of objects holds, None left out."""
    missing = np.fromiter(map(is_missing, cells), dtype=bool, count=len(cells))
    there = cells[~missing]
    if all(isinstance(cell, (bool, np.bool_)) for cell in there):
        kind = "bool" if len(there) else "number"
    elif all(is_number(cell) for cell in there):
        kind = "number"
    else:
        dates = all(hasattr(cell, "isoformat") or _is_date(cell) for cell in there)
        kind = "date" if dates else "text"
    if kind in ("number", "bool"):
        numbers = np.full(len(cells), np.nan)
        numbers[~missing] = [float(cell) for cell in there]
        return Column(numbers, kind, dtype)
    cells = cells.copy()
    cells[missing] = None
    return Column(cells, kind, dtype)


def _of_series(series: Any, name: Any) -> Column:
    dtype, text = series.dtype, str(series.dtype)
    if hasattr(dtype, "fill_value"):
        raise TypeError(f"columns that are sparse: {name}; pass X.sparse.to_dense()")
    if hasattr(dtype, "categories"):
        levels = [_plain(level) for level in dtype.categories]
        return Column(_objects(series), "category", "category", levels, bool(dtype.ordered))
    if dtype.kind == "c":
        check_kind(dtype, f"column {name!r}")
    if dtype.kind in "Mm":
        return Column(_objects(series), "date", text)
    if dtype.kind in "OU":
        return _of_objects(_objects(series), text)
    if isinstance(dtype, np.dtype):
        return _of_array(series.to_numpy(), text)
    numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return Column(numbers, "bool" if dtype.kind == "b" else "number", text)


def _objects(series: Any) -> np.ndarray:
    cells = series.astype(object)
    return cells.where(cells.notna(), None).to_numpy()


def _of_arrow(column: pa.ChunkedArray) -> Column:
    kind, types, text = column.type, pa.types, str(column.type)
    if types.is_dictionary(kind):
        chunks = [chunk.dictionary.to_pylist() for chunk in column.chunks]
        levels = list(dict.fromkeys(level for chunk in chunks for level in chunk))
        return Column(_listed(column), "category", text, levels, bool(kind.ordered))
    if types.is_floating(kind) and kind == pa.float32():
        return Column(column.to_numpy(), "number", text)
    if types.is_boolean(kind):
        return Column(column.cast(pa.int8()).cast(pa.float64()).to_numpy(), "bool", text)
    checks = (types.is_integer, types.is_floating, types.is_decimal, types.is_null)
    if any(check(kind) for check in checks):
        return Column(column.cast(pa.float64(), safe=False).to_numpy(), "number", text)
    return Column(_listed(column), "date" if types.is_temporal(kind) else "text", text)


def _listed(column: pa.ChunkedArray) -> np.ndarray:
    cells = np.empty(len(column), dtype=object)
    cells[:] = column.to_pylist()
    return cells


def is_missing(cell: Any) -> bool:
    """Whether a cell is None, NaN, NaT or pandas' NA."""
    return cell is None or type(cell).__name__ == "NAType" or bool(cell != cell)


def is_number(cell: Any) -> bool:
    """Whether a cell is a real number, and no text that looks like one."""
    if isinstance(cell, (str, bytes, np.datetime64, np.timedelta64, complex)):
        return False
    try:
        float(cell)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _is_date(cell: Any) -> bool:
    return isinstance(cell, (np.datetime64, np.timedelta64))


def _plain(level: Any) -> Any:
    return level.item() if isinstance(level, np.generic) else level

"""Decoded numbers as the table that the fit got: its names, order and types."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pyarrow as pa

from rbig_numba.columns.entry import Entry
from rbig_numba.columns.schema import Columns


def table_of(columns: Columns, x: np.ndarray) -> Any:
    """Return numbers (n, K) as a frame of the kind that was fitted, or as an array.

    Columns that are left out are missing. An array is of objects if a column holds text.
    """
    kept = columns.kept
    values = [entry.kind.values(column) for entry, column in zip(kept, x.T, strict=True)]
    if columns.frame is None:
        if all(column.dtype.kind == "f" for column in values):
            return np.stack(values, axis=1)
        return np.stack([column.astype(object) for column in values], axis=1)
    if columns.frame == "pandas":
        pandas = importlib.import_module("pandas")
        pairs = zip(kept, values, strict=True)
        return pandas.DataFrame({entry.name: _series(pandas, entry, v) for entry, v in pairs})
    arrays = [_array(entry, column) for entry, column in zip(kept, values, strict=True)]
    table = pa.table(arrays, [entry.name for entry in kept])
    if columns.frame == "polars":
        polars = importlib.import_module("polars")
        enums = {
            entry.name: polars.Enum(entry.categories)
            for entry in kept
            if entry.type == "category" and entry.ordered
        }
        return polars.from_arrow(table).cast(enums)
    return table


def _series(pandas: Any, entry: Entry, values: np.ndarray) -> Any:
    if entry.type == "category":
        return pandas.Categorical(values, categories=entry.categories, ordered=entry.ordered)
    return pandas.Series(_typed(entry, values)).astype(entry.dtype if _keeps(entry) else "float64")


def _array(entry: Entry, values: np.ndarray) -> pa.Array:
    if entry.type == "category":
        return pa.array(values.tolist()).dictionary_encode()
    if entry.type == "text":
        return pa.array(values.tolist(), pa.type_for_alias(entry.dtype))
    kind = pa.type_for_alias(entry.dtype) if _keeps(entry) else pa.float64()
    return pa.array(_typed(entry, values)).cast(kind)


def _keeps(entry: Entry) -> bool:
    """Whether values fit the column's type: those of a density are no whole numbers."""
    floating = entry.dtype.lower() in ("float64", "float32", "double", "float", "object")
    return floating or entry.type != "number" or entry.kind.whole


def _typed(entry: Entry, values: np.ndarray) -> np.ndarray:
    """Return values as whole numbers or truth values, if the column has such ones."""
    if entry.type == "bool":
        return values.astype(bool)
    return (
        np.rint(values).astype(np.int64)
        if "int" in entry.dtype.lower() and entry.kind.whole
        else values
    )

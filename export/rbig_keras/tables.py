"""What callers hand over: rows and their weights, in whatever holds a table."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

# What NumPy would make a number of though it is none.
NO_NUMBERS = (str, bytes, np.datetime64, np.timedelta64, np.complexfloating)


def is_table(given: Any) -> bool:
    """Return whether something holds all rows at once; data sets and generators give batches.

    Raises
    ------
    ValueError
        For None, for a dict of columns, and for a frame that isn't read yet.
    """
    if given is None:
        raise ValueError("rows are a table (N, D), not None")
    if isinstance(given, dict):
        raise ValueError(
            f"rows are a table (N, D), not a dict of columns: stack {[*given]} side by side"
        )
    if hasattr(type(given), "collect_schema") and hasattr(type(given), "collect"):
        raise ValueError(f"rows are a table (N, D), not a {type(given).__name__}: collect() it")
    listed = isinstance(given, (np.ndarray, list, tuple)) or ops.is_tensor(given)
    return listed or hasattr(given, "__array__") or hasattr(given, "to_numpy")


def numbers(name: str, table: Any) -> np.ndarray:
    """Return what a table holds as an array of numbers; what is missing or masked is NaN.

    Raises
    ------
    ValueError
        For anything else than real numbers. Starts with the name given.
    """
    if isinstance(table, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(table), np.nan, numbers(name, table.data))
    if not is_table(table):
        raise ValueError(f"{name} takes rows (N, D), got {type(table).__name__}")
    array = ops.convert_to_numpy(table) if ops.is_tensor(table) else _array(name, table)
    if array.dtype == object:
        array = _unpacked(name, array)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} takes rows of real numbers, got {array.dtype}")
    return array


def finite_rows(name: str, array: np.ndarray, dtype: str, columns: Any = None) -> np.ndarray:
    """Return an array in a dtype.

    Raises
    ------
    ValueError
        For NaN, infinity, and what the dtype can't hold. Names row, column and value.
    """
    with np.errstate(over="ignore"):
        rows = array.astype(dtype, copy=False)
    finite = np.isfinite(rows)
    if finite.all():
        return rows
    first = tuple(np.argwhere(~finite)[0])
    count = int((~finite).reshape(len(rows), -1).any(axis=1).sum())
    column = first[1] if len(first) > 1 else 0
    named = "" if columns is None else f" ({columns[column]})"
    limit = f", which {dtype} can't hold" if np.isfinite(array[first]) else ""
    raise ValueError(
        f"{name}: {count} row(s) are not finite, the first in row {first[0]}, column {column}"
        f"{named}: {array[first]}{limit}"
    )


def row_weights(name: str, given: Any, n_rows: int) -> np.ndarray:
    """Return the weights (N,) of rows over a power of two, so that their sums stay in range.

    Raises
    ------
    ValueError
        For another number of them, for negative ones, NaN and infinity, and if all are 0.
    """
    weights = numbers(f"{name}: sample_weight", given)
    if weights.shape not in ((n_rows,), (n_rows, 1)):
        raise ValueError(
            f"{name}: sample_weight must be one number for each of the {n_rows} rows, got shape "
            f"{weights.shape}"
        )
    weights = weights.reshape(-1).astype(float)
    wrong = np.flatnonzero(~((weights >= 0.0) & (weights < np.inf)))
    if len(wrong):
        raise ValueError(
            f"{name}: sample_weight must be finite and at least 0, is {weights[wrong[0]]} in row "
            f"{wrong[0]}"
        )
    if n_rows and not weights.any():
        raise ValueError(f"{name}: sample_weight is 0 in every row")
    return np.ldexp(weights, -np.frexp(weights.max(initial=1e-300))[1])


def column_names(table: Any) -> list[Any] | None:
    """Return the names of a frame's columns."""
    columns = getattr(table, "columns", None)
    return None if columns is None else [*columns]


def is_symbolic(given: Any) -> bool:
    """Return whether something is a tensor, of numbers or of a graph, or a variable."""
    return ops.is_tensor(given) or isinstance(given, (keras.Variable, keras.KerasTensor))


def _array(name: str, table: Any) -> np.ndarray:
    try:
        return table.to_numpy() if hasattr(table, "to_numpy") else np.asarray(table)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} takes rows of numbers: {error}") from error


def _unpacked(name: str, array: np.ndarray) -> np.ndarray:
    """Return the numbers of an array of objects: of frames whose columns are of several kinds."""
    floats = np.full(array.shape, np.nan)
    for place, value in np.ndenumerate(array):
        if value is None or type(value).__name__ == "NAType":  # pandas' own, which has no float
            continue
        try:
            if isinstance(value, NO_NUMBERS):
                raise TypeError
            floats[place] = value
        except (TypeError, ValueError, OverflowError) as error:
            where = ", ".join(
                f"{axis} {i}" for axis, i in zip(("row", "column"), place, strict=False)
            )
            message = f"{name} takes rows of numbers, {where} holds {str(value)!r:.60}"
            raise ValueError(message) from error
    return floats

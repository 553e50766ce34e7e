"""Columns of numbers: which types are taken, and what messages call the columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rbig_numba.listing import listed

# NumPy's kinds of types that stand for real numbers.
REAL = "biuf"
# What float() or NumPy would make a number of though it is none: "1_0" would be 10.
TEXT = (str, bytes)
NO_NUMBERS = (*TEXT, np.datetime64, np.timedelta64, np.complexfloating)


def column_names(indices: np.ndarray, names: Sequence[str] | None) -> list[str]:
    """Return what messages call columns: their names, or their numbers."""
    return [str(i) if names is None else repr(str(names[i])) for i in indices]


def float_type(dtype: np.dtype) -> np.dtype:
    """Return the type that numbers are computed in: float32 stays, all others become float64."""
    single = dtype.kind == "f" and dtype.itemsize == 4
    return np.dtype(np.float32 if single else np.float64)


def check_shape(shape: tuple[int, ...], label: str = "Input X") -> None:
    """Raise ValueError unless an array has two axes."""
    if len(shape) != 2:
        hint = "; reshape(-1, 1) makes it one column, reshape(1, -1) one row" * (len(shape) == 1)
        raise ValueError(
            f"{label} must be 2D, rows and columns, but has shape {shape}. Reshape your data{hint}"
        )


def check_kind(dtype: np.dtype, label: str = "Input X") -> None:
    """Raise ValueError unless a type stands for real numbers, or for objects that may be some."""
    if dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {label} holds {dtype}")
    if dtype.kind == "V":
        raise ValueError(f"{label} holds records of type {dtype}: give numbers in rows and columns")
    if dtype.kind not in REAL + "O":
        raise ValueError(f"{label} holds {dtype}, not numbers: convert it first")


def is_frame(X: Any) -> bool:
    """Whether X is a pandas frame."""
    return hasattr(type(X), "iloc") and hasattr(type(X), "columns")


def check_frame(X: Any) -> None:
    """Raise unless a pandas frame has columns of numbers with names of their own; names them."""
    twice = [repr(name) for name, count in Counter(X.columns).items() if count > 1]
    if twice:
        raise ValueError(f"several columns are called {listed(twice)}: rename them")
    other, sparse = [], []
    for j, (name, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
        if hasattr(dtype, "fill_value"):
            sparse.append(str(name))
        elif dtype.kind not in REAL and not (dtype.kind in "OU" and _is_numeric(X.iloc[:, j])):
            other.append(f"{name} ({dtype})")
    if other:
        raise ValueError(f"columns that are not numbers: {listed(other)}; drop or encode them")
    if sparse:
        raise TypeError(f"columns that are sparse: {listed(sparse)}; pass X.sparse.to_dense()")


def _is_numeric(column: Any) -> bool:
    try:
        _numbers(np.asarray(column), "")
    except (TypeError, ValueError):
        return False
    return True


def as_floats(X: Any, label: str = "Input X") -> np.ndarray:
    """Return an array-like of any shape as float32, if it is, or float64.

    Raises
    ------
    ValueError, TypeError
        For what holds no real numbers, is no array, or has masked cells; says which and where.
    """
    if hasattr(X, "__dask_graph__"):
        X = X.compute()
    if hasattr(X, "toarray"):
        raise TypeError(f"{label} is sparse: pass its toarray()")
    if is_frame(X):
        check_frame(X)
        return _frame_floats(X)
    try:
        if isinstance(X, (list, tuple)) and any(isinstance(row, np.ma.MaskedArray) for row in X):
            X = np.ma.stack(X)  # np.asarray would drop the masks
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError(f"{label} must have rows of equal length: {error}") from error
    if array.ndim == 0 and array.dtype.kind == "O":
        raise TypeError(f"{label} can't be of type {type(X).__name__}: give an array of numbers")
    check_kind(array.dtype, label)
    if isinstance(X, np.ma.MaskedArray):
        refuse_cells(np.ma.getmaskarray(X), "masked cells", None, label)
    return _numbers(array, label)


def _frame_floats(X: Any) -> np.ndarray:
    kinds = {float_type(dtype) for dtype in X.dtypes}
    kind = kinds.pop() if len(kinds) == 1 else np.dtype(np.float64)
    missing = {} if all(isinstance(dtype, np.dtype) for dtype in X.dtypes) else {"na_value": np.nan}
    with np.errstate(over="ignore"):
        return X.to_numpy(dtype=kind, **missing)


def _numbers(array: np.ndarray, label: str) -> np.ndarray:
    """Return an array as floats; the first object that is no number is named with its place."""
    try:
        if array.dtype.kind == "O" and any(isinstance(cell, NO_NUMBERS) for cell in array.flat):
            raise TypeError
        with np.errstate(over="ignore"):  # infinity, from a longdouble: told by its place
            return array.astype(float_type(array.dtype), copy=False)
    except (TypeError, ValueError, OverflowError):
        for place, cell in np.ndenumerate(array):
            where = ", ".join(f"{a} {i}" for a, i in zip(("row", "column"), place, strict=False))
            try:
                if isinstance(cell, NO_NUMBERS):
                    kind = ValueError if isinstance(cell, TEXT) else TypeError
                    raise kind(f"no number but {cell!r:.60}")
                float(cell)
            except (TypeError, ValueError, OverflowError) as reason:
                kind = TypeError if isinstance(reason, TypeError) else ValueError
                raise kind(f"{label} at {where}: {reason}") from reason
        raise


def refuse_cells(
    bad: np.ndarray,
    what: str,
    names: Sequence[str] | None,
    label: str,
    start: int | None = None,
    place: Callable[[int], str] = str,
) -> None:
    """Raise ValueError if any cell of (n, D) or (n,) is bad; tells rows and columns.

    They are all rows there are, or those of a longer table from number `start` on. `place` says
    what a row of it is called.
    """
    if not bad.any():
        return
    rows = np.flatnonzero(bad.any(axis=tuple(range(1, bad.ndim))))
    among = " rows" if start is None else f" of rows {start} to {start + len(bad) - 1}"
    columns = ""
    if bad.ndim == 2:
        where = column_names(np.flatnonzero(bad.any(axis=0)), names)
        columns = f", columns {listed(where)}"
    raise ValueError(
        f"{label} contains {what} in {len(rows)}{among} "
        f"(the first is row {place((start or 0) + int(rows[0]))}){columns}; drop or impute them"
    )

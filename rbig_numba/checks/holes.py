"""Missing cells at the door: whatever stands for one becomes NaN."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from rbig_numba.checks.callers import user_level
from rbig_numba.checks.columns import column_names, is_frame
from rbig_numba.checks.validation import check_finite
from rbig_numba.listing import listed


def as_nan(X: Any) -> Any:
    """Return a table in which None, pandas' NA and masked cells are NaN; others as they are."""
    if isinstance(X, np.ma.MaskedArray):
        kind = np.float32 if X.dtype == np.float32 else np.float64
        return np.ma.filled(X.astype(kind), np.nan)
    if is_frame(X):
        objects = [j for j, dtype in enumerate(X.dtypes) if dtype.kind == "O"]
        if not any(X.iloc[:, j].isna().any() for j in objects):
            return X
        X = X.copy()
        for j in objects:
            column = X.iloc[:, j]
            X.isetitem(j, column.where(column.notna(), np.nan))
        return X
    if not isinstance(X, (list, tuple, np.ndarray)):
        return X
    if isinstance(X, np.ndarray) and X.dtype.kind != "O":
        return X
    cells = np.array(X, dtype=object)
    gaps = np.array([cell is None or type(cell).__name__ == "NAType" for cell in cells.flat], bool)
    if not gaps.any():
        return X
    cells[gaps.reshape(cells.shape)] = np.nan
    return cells


def check_not_infinite(rows: np.ndarray, names: Sequence[str] | None) -> np.ndarray:
    """Return rows (N, D) with one NaN of all, as hashes take bits; ValueError for infinity."""
    holes = np.isnan(rows)
    if not holes.any():
        check_finite(rows, names)
        return rows
    check_finite(np.where(holes, 0.0, rows), names)
    return np.where(holes, rows.dtype.type(np.nan), rows)


def check_columns_there(rows: np.ndarray, names: Sequence[str] | None) -> None:
    """Raise ValueError, naming the columns, where no cell is there."""
    empty = np.flatnonzero(np.isnan(rows).all(axis=0))
    if len(empty):
        raise ValueError(
            f"columns missing in every row: {listed(column_names(empty, names))}; drop them"
        )


def whole_rows(rows: np.ndarray) -> np.ndarray:
    """Return which rows (N,) have no holes, warning of those that are left out.

    Raises
    ------
    ValueError
        If all have one.
    """
    whole = ~np.isnan(rows).any(axis=1)
    if not whole.any():
        raise ValueError(
            f'missing="drop" leaves no row of {len(rows)}: each has a missing cell; '
            'missing="model" fits them'
        )
    if not whole.all():
        warnings.warn(
            f"{(~whole).sum():,} of {len(rows):,} rows have missing cells and are left out",
            stacklevel=user_level(),
        )
    return whole

"""Rows that layers and flows are started from, checked once."""

from __future__ import annotations

from typing import Any

import numpy as np


def checked_rows(name: str, data: Any, n_columns: int | None = None) -> np.ndarray:
    """Return rows as an array (N, D) of floats, in their own precision.

    Raises
    ------
    ValueError
        If they aren't (n, d) with n >= 2, of another d than `n_columns`, or not finite. Names the
        layer or function that asked for them, and the first cell that isn't finite.
    """
    rows = np.asarray(data)
    if rows.dtype not in (np.float32, np.float64):
        rows = rows.astype(np.float64)
    if rows.ndim != 2 or (n_columns is not None and rows.shape[1] != n_columns):
        wanted = "" if n_columns is None else f", with d = input_dim = {n_columns}"
        raise ValueError(f"{name}: rows must be (n, d){wanted}; got shape {rows.shape}")
    if len(rows) < 2:
        raise ValueError(f"{name}: at least two rows are needed, got {len(rows)}")
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise ValueError(
            f"{name}: row {row}, column {column} is {rows[row, column]}: all numbers must be finite"
        )
    return rows

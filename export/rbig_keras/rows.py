"""Rows that layers and flows are started from, checked once."""

from __future__ import annotations

from typing import Any

import numpy as np

from rbig_keras.tables import column_names, finite_rows, numbers


def checked_rows(
    name: str, data: Any, n_columns: int | None = None, dtype: str | None = None
) -> np.ndarray:
    """Return rows as an array (N, D) of floats, in a dtype or in their own precision.

    Raises
    ------
    ValueError
        If they aren't (n, d) with n >= 2, of another d than `n_columns`, or not finite. Names the
        layer or argument that they are for, and the first cell that isn't finite.
    """
    rows = numbers(name, data)
    if rows.ndim != 2 or (n_columns is not None and rows.shape[1] != n_columns):
        wanted = "" if n_columns is None else f", with d = input_dim = {n_columns}"
        raise ValueError(f"{name}: rows must be (n, d){wanted}; got shape {rows.shape}")
    if len(rows) < 2:
        raise ValueError(f"{name}: at least two rows are needed, got {len(rows)}")
    own = "float32" if rows.dtype == np.float32 else "float64"
    return finite_rows(name, rows, dtype or own, column_names(data))

"""Rows that a new flow starts from: finite, enough, and none of them far from all others."""

from __future__ import annotations

from typing import Any

import numpy as np

from rbig_keras.tables import column_names, finite_rows, numbers

# Interquartile ranges from the median, 54 deviations of normal rows. One row at 1e12 among 640
# makes the deviation 4e10, and no component reaches the others; at 40 it makes it 1.9.
FARTHEST = 40.0


def start_rows(data: Any, input_dim: int, dtype: str) -> np.ndarray:
    """Return rows (N, D) in a dtype, those far out moved to `FARTHEST` in each column.

    Raises
    ------
    ValueError
        For rows that aren't (N, D), two at least, and finite. Names row and column.
    """
    name = "rows to start from"
    array = numbers(name, data)
    if array.ndim != 2 or array.shape[1] != input_dim or len(array) < 2:
        raise ValueError(f"{name} must be (N, {input_dim}), N >= 2, got shape {array.shape}")
    rows = finite_rows(name, array, dtype, column_names(data))
    low, median, high = np.quantile(rows.astype(float), [0.25, 0.5, 0.75], axis=0)
    reach = np.where(high > low, FARTHEST * (high - low), np.inf)
    return np.clip(rows, median - reach, median + reach)


def varying(rows: np.ndarray) -> np.ndarray:
    """Return rows (N, D) whose columns all vary.

    Raises
    ------
    ValueError
        If some don't. Names them.
    """
    constant = np.flatnonzero(rows.min(axis=0) == rows.max(axis=0))
    if len(constant):
        raise ValueError(f"rows to start from: column(s) {constant.tolist()} are constant")
    return rows

"""Rows that a new flow starts from: none of them far from all others."""

from __future__ import annotations

from typing import Any

import numpy as np

from rbig_keras.rows import checked_rows

# Interquartile ranges from the median, 54 deviations of normal rows. One row at 1e12 among 640
# makes the deviation 4e10, and no component reaches the others; at 40 it makes it 1.9.
FARTHEST = 40.0


def start_rows(name: str, data: Any, input_dim: int, dtype: str) -> np.ndarray:
    """Return rows (N, D) in a dtype, those far out moved to `FARTHEST` in each column.

    Raises
    ------
    ValueError
        As `checked_rows` does.
    """
    rows = checked_rows(name, data, input_dim, dtype)
    low, median, high = np.quantile(rows.astype(float), [0.25, 0.5, 0.75], axis=0)
    reach = np.where(high > low, FARTHEST * (high - low), np.inf)
    return np.clip(rows, median - reach, median + reach)

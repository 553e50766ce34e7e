"""Checks at the door: what comes in is right, or the error says what is wrong and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rbig_numba.checks.columns import as_floats, check_shape, column_names, refuse_cells
from rbig_numba.checks.containers import unwrapped
from rbig_numba.listing import listed


def check_latent(z: Any, n_features: int) -> np.ndarray:
    """Return latent rows (N, D) as floats, finite and of the width of the fit."""
    rows = as_floats(unwrapped(z), "Z")
    check_shape(rows.shape, "Z")
    if not len(rows):
        raise ValueError("Z has no rows")
    if rows.shape[1] != n_features:
        raise ValueError(
            f"Z has {rows.shape[1]} columns, but the model was fitted with {n_features}"
        )
    check_finite(rows, None, "Z")
    return rows


def check_weights(sample_weight: Any, n_rows: int | None) -> np.ndarray | None:
    """Return weights (N,) in float64, or None for None.

    Raises
    ------
    ValueError
        If they are negative, not finite or nowhere positive, or not as many as `n_rows`, which is
        None where only reading tells.
    """
    if sample_weight is None:
        return None
    weights = as_floats(unwrapped(sample_weight), "sample_weight").astype(np.float64, copy=False)
    check_finite(weights, None, "sample_weight")
    if weights.ndim != 1 or n_rows not in (None, len(weights)):
        expected = "one number for each row" if n_rows is None else f"{(n_rows,)}"
        raise ValueError(f"sample_weight has shape {weights.shape}, expected {expected}")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    if weights.min() < 0:
        where = int(weights.argmin())
        raise ValueError(
            f"sample_weight has {(weights < 0).sum()} negative values, the lowest in row {where}"
        )
    return weights


def check_finite(
    rows: np.ndarray,
    names: Sequence[str] | None,
    label: str = "Input X",
    start: int | None = None,
    place: Callable[[int], str] = str,
) -> None:
    """Raise ValueError for NaN or infinity in rows (n, D) or numbers (n,).

    The message names what holds them, how many rows, the first of them and the columns; rows are
    those of a longer table from number `start` on, if it is given, and called what `place` says.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # inf - inf
        if np.isfinite(rows.sum(dtype=np.float64)):  # one pass without a mask, when all is well
            return
    bad = ~np.isfinite(rows)
    what = "NaN" if np.isnan(rows).any() else "infinity (inf)"
    if what == "NaN" and np.isinf(rows).any():
        what = "NaN and infinity (inf)"
    refuse_cells(bad, what, names, label, start, place)


def check_varies(lowest: np.ndarray, highest: np.ndarray, names: Sequence[str] | None) -> None:
    """Raise ValueError, naming the columns, where lowest and highest value (D,) are the same."""
    constant = np.flatnonzero(lowest == highest)
    if len(constant):
        raise ValueError(
            f"constant columns have no density: {listed(column_names(constant, names))}; drop them"
        )

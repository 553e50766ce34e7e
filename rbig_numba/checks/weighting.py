"""What row weights mean: whole numbers count rows, others are importance weights of any scale."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rbig_numba.checks.callers import user_level

# Up to here every whole number is a double of its own, and counts add up exactly.
MOST_ROWS = 2.0**53
# Of a row; less is lost in any sum and counts as none. 399 rows of weight 1 and one of 1e-320 had
# histograms that were NaN, for there is no double to round that to, and -log p 36 nats too low.
LEAST_COUNT = 1e-30


def as_counts(weights: np.ndarray) -> np.ndarray:
    """Return weights (N,), checked at the door, as numbers of rows.

    Whole numbers are: a weight of 2 is a row twice. Any others are known but for a factor, as
    importance weights are, and are scaled to add up to Kish's effective number of rows,
    (sum w)^2 / sum w^2 (Kish 1965, "Survey sampling", section 11.7), so that what is estimated from
    few rows in truth is not taken for sure.

    Raises
    ------
    ValueError
        If importance weights are worth less than two rows.
    """
    largest = weights.max()
    whole = bool((weights == np.rint(weights)).all())
    shares = weights / largest
    factor = count_factor(shares.sum(), (shares * shares).sum(), largest, whole=whole)
    return weights if factor is None else scaled(shares, factor)


def scaled(shares: Any, factor: float) -> Any:
    """Return shares (N,), of NumPy or of Dask, times a factor: numbers of rows, or none."""
    counts = shares * factor
    return counts * (counts >= LEAST_COUNT)


def count_factor(total: float, squares: float, largest: float, *, whole: bool) -> float | None:
    """Return what turns weights, over the largest of them, into numbers of rows; warn of it.

    Parameters
    ----------
    total, squares : float
        Sums of the weights, and of their squares, over the largest.
    largest : float
        The largest weight.
    whole : bool
        Whether all weights are whole numbers.

    Returns
    -------
    float or None
        None if they are numbers of rows as they are.
    """
    if whole and total <= MOST_ROWS / largest:  # their sum may overflow
        return None
    n_effective = total * total / squares
    if n_effective < 2.0:
        raise ValueError(
            f"sample_weight: the weights are worth {n_effective:.3g} rows (Kish's effective "
            "number), for one row outweighs all others; a fit needs at least 2"
        )
    warnings.warn(
        "sample_weight holds other numbers than counts of rows: they are taken for importance "
        f"weights, and scaled to add up to the {n_effective:,.0f} rows that they are worth (Kish's "
        "effective number); give whole numbers to count rows",
        stacklevel=user_level(),
    )
    return total / squares

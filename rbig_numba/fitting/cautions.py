"""Warnings about tables that have no density in the strict sense, though a fit gives numbers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from rbig_numba.checks.callers import user_level
from rbig_numba.checks.columns import column_names
from rbig_numba.listing import listed
from rbig_numba.statistics import Moments, Sample

# Share of rows that one value may have in a continuous column, and the fewest rows that tell.
SPIKE, FEWEST_ROWS = 0.05, 100
# From here on every float32 is a whole number, and says nothing of what the column holds.
LEAST_WHOLE = 2.0**24
# Condition number of the correlations from which on a direction is a thousandth as wide as another.
MAX_CONDITION = 1e6


class DensityWarning(UserWarning):
    """Part of a table has no density: it lies on a point, a lattice or a plane."""


def warn_of_ties(sample: Sample, names: Sequence[str] | None) -> None:
    """Warn of columns (of a sample of training rows) that are integers or repeat a value.

    Cells that are NaN don't count.
    """
    if sample.weights.sum() < FEWEST_ROWS:  # rows of a sample are distinct
        return
    columns = sample.rows.T
    whole = np.array([_holds_whole_numbers(column) for column in columns])
    shares = np.array([_largest_share(column, sample.weights) for column in columns])
    spikes = np.flatnonzero(~whole & (shares > SPIKE))
    if whole.any():
        _warn(
            f"columns {listed(column_names(np.flatnonzero(whole), names))} hold whole numbers: "
            "they have probabilities, not a density, and log-densities there depend on the least "
            'width of a component; RBIG(columns="auto") gives them probabilities'
        )
    if len(spikes):
        _warn(
            f"one value makes up {shares[spikes].max():.0%} of the rows in column "
            f"{listed(column_names(spikes, names))}: log-densities near it are as high as the "
            'least width of a component lets them be; RBIG(columns="auto") gives it a probability'
        )


def _holds_whole_numbers(column: np.ndarray) -> bool:
    column = column[~np.isnan(column)]
    sizes = np.abs(column[column != 0.0])
    told = (sizes < LEAST_WHOLE).sum()
    return bool((column == np.rint(column)).all() and 2 * told >= len(sizes))


def _largest_share(column: np.ndarray, weights: np.ndarray) -> float:
    there = ~np.isnan(column)
    _, places = np.unique(column[there], return_inverse=True)
    return float(np.bincount(places, weights=weights[there]).max() / weights[there].sum())


def warn_of_collinearity(moments: Moments, names: Sequence[str] | None) -> None:
    """Warn, naming the condition number, of columns that are nearly linear functions of others."""
    covariance = moments.covariance
    varying = np.flatnonzero(np.diag(covariance) > 0.0)  # a sample may miss a column's rare value
    if len(varying) < 2:
        return
    scale = np.sqrt(np.diag(covariance)[varying])
    correlation = covariance[np.ix_(varying, varying)] / np.outer(scale, scale)
    if _is_wide(correlation, len(varying) / MAX_CONDITION):
        return
    variances, axes = np.linalg.eigh(correlation)
    condition = variances[-1] / max(variances[0], np.finfo(float).eps)
    if condition > MAX_CONDITION:
        involved = varying[np.abs(axes[:, 0]) > 0.1 * np.abs(axes[:, 0]).max()]
        _warn(
            f"columns {listed(column_names(involved, names))} are nearly collinear (condition "
            f"number {condition:.0e}): rows lie near a plane, across which log-densities are as "
            "high as the least width of a component lets them be; drop one of the columns"
        )


def _is_wide(correlation: np.ndarray, least: float) -> bool:
    """Whether all eigenvalues are above some number, in a tenth of the time that it takes them."""
    with suppress(np.linalg.LinAlgError):
        np.linalg.cholesky(correlation - least * np.eye(len(correlation)))
        return True
    return False


def _warn(message: str) -> None:
    warnings.warn(message, DensityWarning, stacklevel=user_level())

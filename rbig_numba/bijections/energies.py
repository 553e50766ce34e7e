"""Which columns' sizes move together, and the sizes of groups of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rbig_numba.bijections.base import as_columns
from rbig_numba.kernels import linear, radial
from rbig_numba.kernels.coefficients import LOG_RADIUS_MAX

# Rows that correlations are taken of at most, and multiply-adds, which bind from 247 columns on.
ENERGY_ROWS, ENERGY_WORK = 8192, 5e8
# Added to squares of columns of variance 1: logarithms of small numbers are no outliers then.
ENERGY_FLOOR = 0.1
# Standard errors of a correlation, above which it is one.
SIGNIFICANCE = 4.0
# Columns in a group, on the average, and how many of these are tried: on image patches of 63
# columns four to eight groups won most often, and pairs never.
GROUP_SIZES, MAX_LEVELS = (16, 8, 4, 2), 3


@dataclass(frozen=True, eq=False)
class LogRadii:
    """Log of the Euclidean norm of each group's columns: what mixtures of `Radial` are fitted to.

    Attributes
    ----------
    groups : ndarray of shape (D,)
        As in `Radial`.
    """

    kind: ClassVar[str] = "log radii"
    groups: np.ndarray

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log-radii (N, G), and zeros."""
        columns, members = as_columns(x), members_of(self.groups)
        out = np.empty((len(members), len(x)))
        for log_r, group in zip(out, members, strict=True):
            radial.log_radii(columns, group, (-LOG_RADIUS_MAX, LOG_RADIUS_MAX), log_r)
        return out.T, np.zeros(len(x))


def members_of(groups: np.ndarray) -> list[np.ndarray]:
    """Return the numbers of each group's columns."""
    return [np.flatnonzero(groups == group) for group in range(int(groups.max(initial=-1.0)) + 1)]


def energy_groups(sample: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Return groupings of columns whose log-energies correlate, the coarsest first.

    Columns that correlate with no other beyond the sampling error are left alone, as are groups of
    one column. All others together come first, then what average linkage makes of them.

    Parameters
    ----------
    sample : ndarray of shape (S, D)
        Rows of about unit variance, the first of which are looked at.
    weights : ndarray of shape (S,)
        Their weights.

    Returns
    -------
    list of ndarray of shape (D,)
        Each as in `Radial`; empty if nothing correlates.
    """
    n_rows = min(ENERGY_ROWS, int(ENERGY_WORK / sample.shape[1] ** 2))
    weights = weights[:n_rows]
    correlation = _energy_correlation(as_columns(sample[:n_rows]), weights)
    np.fill_diagonal(correlation, 0.0)
    standard_error = np.sqrt(np.square(weights).sum()) / weights.sum()
    active = np.flatnonzero(correlation.max(axis=1, initial=0.0) > SIGNIFICANCE * standard_error)
    if len(active) < 2:
        return []
    distances = 1.0 - correlation[np.ix_(active, active)]
    labels = [np.zeros(len(active), dtype=int)]
    for size in [size for size in GROUP_SIZES if len(active) >= 2 * size][:MAX_LEVELS]:
        labels.append(_clusters(distances, -(-len(active) // size)))
    found: list[np.ndarray] = []
    for label in labels:
        groups = np.full(len(correlation), -1.0)
        groups[active] = _renumbered(label)
        if groups.max() >= 0.0 and not any(np.array_equal(groups, other) for other in found):
            found.append(groups)
    return found


def _energy_correlation(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the correlations (D, D) of log(x^2 + floor)."""
    energies = np.log(np.square(columns) + ENERGY_FLOOR)
    mean, products = np.zeros(len(columns)), np.zeros((len(columns), len(columns)))
    linear.add_sums(energies, weights, mean)
    linear.add_products(energies, weights, mean / weights.sum(), products)
    products += np.tril(products, -1).T
    # A constant column has the rounding of its mean for deviation, and correlates with nothing.
    deviations = np.sqrt(np.maximum(np.diag(products), 1e-12 * weights.sum()))
    return products / np.outer(deviations, deviations)


def _clusters(distances: np.ndarray, n_clusters: int) -> np.ndarray:
    from sklearn.cluster import AgglomerativeClustering

    linkage = AgglomerativeClustering(n_clusters, metric="precomputed", linkage="average")
    return linkage.fit_predict(distances)


def _renumbered(labels: np.ndarray) -> np.ndarray:
    """Return clusters numbered by their first column, -1 those of one column."""
    counts = np.bincount(labels)
    numbers: dict[int, int] = {}
    for label in labels:
        if counts[label] > 1:
            numbers.setdefault(int(label), len(numbers))
    return np.array([numbers.get(int(label), -1) for label in labels], dtype=float)

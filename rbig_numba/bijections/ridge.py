"""Ridge regression of many targets at many penalties from one decomposition."""

from __future__ import annotations

import numpy as np

from rbig_numba.profile import current_deadline
from rbig_numba.rounding import rounded
from rbig_numba.threads import row_blocks

# In units of a feature's variance; the last leaves the constant only.
PENALTIES = np.array([*10.0 ** np.arange(-5.0, 2.0), np.inf])
# A feature that varies less counts as one that varies so much: coefficients stay bounded.
MIN_DEVIATION = 0.01


class Ridge:
    """Regression on features (S, 1 + F), the first 1 in all rows, with row weights (S,) of sum 1.

    Sums are rounded: a fit does not depend on the order in which they were added up. Coefficients
    are (1 + F, P, B) for P penalties and B targets.
    """

    def __init__(self, features: np.ndarray, shares: np.ndarray) -> None:
        blocks = [(features[rows], shares[rows, None]) for rows in row_blocks(len(features))]
        products = sum(block.T @ (block * weights) for block, weights in blocks)
        self._decompose(features, shares, rounded(products, np.ones(())))

    def _decompose(self, features: np.ndarray, shares: np.ndarray, products: np.ndarray) -> None:
        self.features, self.shares, self.products = features, shares, products
        self.centre = products[0, 1:]
        covariance = products[1:, 1:] - np.outer(self.centre, self.centre)
        self.deviation = np.sqrt(np.maximum(np.diag(covariance), MIN_DEVIATION**2))
        correlation = covariance / np.outer(self.deviation, self.deviation)
        self.variances, self.axes = np.linalg.eigh(correlation)

    def first(self, n_features: int) -> Ridge:
        """Return the regression on the constant and as many features."""
        ridge, first = object.__new__(Ridge), slice(0, 1 + n_features)
        ridge._decompose(self.features[:, first], self.shares, self.products[first, first])
        return ridge

    def fit(self, targets: np.ndarray) -> np.ndarray:
        """Return coefficients for targets (S, B), or for one of each penalty, (S, P, B)."""
        current_deadline().check()
        targets = targets.reshape(len(targets), -1, targets.shape[-1])
        weighted = targets * self.shares[:, None, None]
        squares = np.einsum("spb,spb->pb", weighted, targets)
        units = np.maximum(np.sqrt(squares), np.finfo(float).tiny)
        means, *products = rounded(np.tensordot(self.features.T, weighted, 1), units)
        covariances = np.array(products) - self.centre[:, None, None] * means
        return self._solve(covariances / self.deviation[:, None, None], means)

    def _solve(self, covariances: np.ndarray, means: np.ndarray) -> np.ndarray:
        shrunk = 1.0 / (self.variances[:, None] + PENALTIES)
        along_axes = np.tensordot(self.axes.T, covariances, 1) * shrunk[:, :, None]
        slopes = np.tensordot(self.axes, along_axes, 1) / self.deviation[:, None, None]
        return np.concatenate([(means - np.tensordot(self.centre, slopes, 1))[None], slopes])


def values_of(features: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return what coefficients (1 + F, ...) say of rows of features (S, 1 + F)."""
    current_deadline().check()
    return np.tensordot(features, coefficients, 1)


def best_of(coefficients: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Return for each target the coefficients (1 + F, B) whose loss, of (P, B), is least."""
    return coefficients[:, losses.argmin(axis=0), np.arange(losses.shape[1])]

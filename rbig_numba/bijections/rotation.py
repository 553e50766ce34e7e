"""Orthogonal maps of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rbig_numba.bijections.base import Bijection, as_columns
from rbig_numba.kernels import linear

# Standard errors of a variance within which neighbouring principal axes count as undetermined.
DEGENERATE = 4.0


@dataclass(frozen=True, eq=False)
class Rotation(Bijection):
    """y = x @ matrix, log-determinant 0.

    Attributes
    ----------
    matrix : ndarray of shape (D, D)
        Orthogonal; its determinant may be -1.
    """

    kind: ClassVar[str] = "rotation"
    matrix: np.ndarray

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return x @ matrix and zeros."""
        return _rotate(x, self.matrix)

    def inverse(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return y @ matrix.T and zeros."""
        return _rotate(y, np.ascontiguousarray(self.matrix.T))


def _rotate(rows: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    columns = as_columns(rows)
    out = np.empty_like(columns)
    linear.rotate(columns, matrix, out)
    return out.T, np.zeros(len(rows))


def pca_rotation(
    covariance: np.ndarray, n_rows: float, random_state: np.random.RandomState
) -> Rotation:
    """Return the rotation onto principal axes, largest variance first.

    Laparra, Camps-Valls and Malo (2011), section II. Once columns are N(0, 1) and uncorrelated
    every axis is a principal one: where neighbouring variances differ by less than their sampling
    error the data don't determine the axes, and these are drawn at random. Without that, two
    columns of equal variance are turned by 45 degrees in every block, so that only two pairs of
    axes are ever seen: two moons stay at -1.70 nats after 8 blocks instead of -1.44.

    Each axis points to where its largest coordinate is positive: equal data give equal latents.
    """
    variances, axes = _descending(covariance)
    sampling_error = DEGENERATE * np.sqrt(2.0 / n_rows)
    first = 0
    for last in range(1, len(variances) + 1):
        ends = last == len(variances)
        if ends or variances[last - 1] - variances[last] > sampling_error * variances[last - 1]:
            if last - first > 1:
                turn = random_rotation(last - first, random_state).matrix
                axes[:, first:last] = axes[:, first:last] @ turn
            first = last
    return Rotation(_pointing(axes))


def principal_axes(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return variances (D,), largest first, and their axes (D, D), whose signs are determined."""
    variances, axes = _descending(covariance)
    return variances, _pointing(axes)


def _descending(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    variances, axes = np.linalg.eigh(covariance)
    return variances[::-1], axes[:, ::-1].copy()


def _pointing(axes: np.ndarray) -> np.ndarray:
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(len(axes))]
    return np.ascontiguousarray(axes * np.where(largest < 0, -1.0, 1.0))


def random_rotation(n_features: int, random_state: np.random.RandomState) -> Rotation:
    """Return a rotation drawn uniformly (Haar) from the orthogonal group.

    Mezzadri (2007), "How to generate random matrices from the classical compact groups": Q of a
    normal matrix's QR factors, made unique by a positive diagonal of R.
    """
    q, r = np.linalg.qr(random_state.standard_normal((n_features, n_features)))
    return Rotation(np.ascontiguousarray(q * np.where(np.diag(r) < 0, -1.0, 1.0)))

"""Columns shifted and scaled by what other columns predict of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rbig_numba.bijections.base import Bijection, as_columns
from rbig_numba.kernels import coupling as kernels
from rbig_numba.listing import listed


@dataclass(frozen=True, eq=False)
class Coupling(Bijection):
    """y_A = x_A, y_B = (x_B - mean(x_A)) / sigma(x_A): an affine coupling.

    Dinh, Sohl-Dickstein and Bengio (2017), "Density estimation using Real NVP", eqs. 7 and 8. With
    the features phi = (1, tanh(min(1, R / |x_A|) x_A @ projections + biases), x_A),

        mean = phi @ location
        log sigma = S tanh(phi[: 1 + H] @ log_scale / S), S = MAX_LOG_SCALE, R = sqrt(A) + REACH.

    Far out the mean follows x_A in proportion, and sigma stays as it is.

    Attributes
    ----------
    given : ndarray of shape (D,)
        1 for the columns A, which stay as they are, 0 for the columns B.
    projections : ndarray of shape (A, H)
    biases : ndarray of shape (H,)
    location : ndarray of shape (1 + H + A, B)
    log_scale : ndarray of shape (1 + H, B)
    """

    kind: ClassVar[str] = "coupling"
    given: np.ndarray
    projections: np.ndarray
    biases: np.ndarray
    location: np.ndarray
    log_scale: np.ndarray

    @property
    def about(self) -> str:
        """Which columns move."""
        moved = np.any(self.location != 0.0, axis=0) | np.any(self.log_scale != 0.0, axis=0)
        columns = np.flatnonzero(self.given == 0.0)[moved]
        return f"columns {listed(columns)} given the other half"

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return standardised columns B beside the columns A, and minus the sum of log sigma."""
        y, other, mean, sigma, log_sigma = self._predictions(x)
        y[other] = (y[other] - mean) / sigma
        return y.T, -log_sigma

    def inverse(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return columns B in their own units beside the columns A, and the sum of log sigma."""
        x, other, mean, sigma, log_sigma = self._predictions(y)
        x[other] = x[other] * sigma + mean
        return x.T, log_sigma

    def _predictions(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return columns of one's own, which of them are B, their mean and sigma, log sigma."""
        columns, other = as_columns(rows), self.given == 0.0
        mean, sigma = np.empty((2, int(other.sum()), len(rows)))
        log_sigma = np.zeros(len(rows))
        parameters = self.projections, self.biases, self.location, self.log_scale
        kernels.predict(columns[~other], *parameters, mean, sigma, log_sigma)
        return columns.copy(), other, mean, sigma, log_sigma

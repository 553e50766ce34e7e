"""Gaussianization of each column by a mixture of Gaussians."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rbig_numba.bijections.base import Bijection, as_columns
from rbig_numba.kernels import em
from rbig_numba.kernels import mixture as kernels

# Standardised columns. A wider floor blurs edges, a narrower one lets ties score without bound.
MIN_SCALE = 1e-3
MAX_ITER = 200
TOL = 1e-6
BACKGROUND_ROWS = 5.0
BACKGROUND_SCALE = 2.0


@dataclass(frozen=True, eq=False)
class Mixture(Bijection):
    """z = Phi^-1(F(x)) column by column, F the distribution function of a mixture of Gaussians.

    F and 1 - F are summed separately, the smaller is inverted, and both turn to logarithms where
    they underflow: z is exact at any distance. Chen and Gopinath (2000), "Gaussianization".

    Attributes
    ----------
    log_weights, means, log_scales : ndarray of shape (D, K)
        Weights sum to 1 over K.
    """

    kind: ClassVar[str] = "mixture"
    log_weights: np.ndarray
    means: np.ndarray
    log_scales: np.ndarray

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return z and sum over columns of log f(x) - log phi(z)."""
        return self._run(kernels.forward, x)

    def inverse(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return x with F(x) = Phi(y), and minus the log-determinant of `forward` there."""
        return self._run(kernels.inverse, y)

    def _run(self, kernel: Callable[..., None], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        columns = as_columns(rows)
        out, log_det = np.empty_like(columns), np.zeros(len(rows))
        kernel(columns, self.log_weights, self.means, self.log_scales, out, log_det)
        return out.T, log_det


def fit_column(bins: np.ndarray, n_components: int) -> np.ndarray:
    """Fit one standardised column's mixture to its histogram and add the background component.

    The background is the tail rule: a component of BACKGROUND_ROWS rows' weight and
    BACKGROUND_SCALE standard deviations. Without it a row beyond the others is multiplied by
    1 / scale of the outermost component in every block.

    Parameters
    ----------
    bins : ndarray of shape (3, B)
        Weight (in rows), mean and variance of each bin.
    n_components : int
        Components fitted; the background comes on top.

    Returns
    -------
    ndarray of shape (3, K)
        Log-weights, means and log-scales, K = n_components + 1.
    """
    total = bins[0].sum()
    filled = np.ascontiguousarray(bins[:, bins[0] > 0])
    filled[0] /= total
    mean = filled[0] @ filled[1]
    scale = max(np.sqrt(filled[0] @ ((filled[1] - mean) ** 2 + filled[2])), MIN_SCALE)
    fitted = np.empty((3, n_components))
    em.fit1(filled, MIN_SCALE * _bulk(filled, scale), MAX_ITER, TOL, fitted)
    share = BACKGROUND_ROWS / (BACKGROUND_ROWS + total)
    weights = np.append(fitted[0] * (1.0 - share), share)
    means = np.append(fitted[1], mean)
    scales = np.append(fitted[2], BACKGROUND_SCALE * scale)
    return np.stack([np.log(weights), means, np.log(scales)])


def _bulk(bins: np.ndarray, scale: float) -> float:
    """Return the scale of the middle 80 % of the mass, between MIN_SCALE and 1 standard deviations.

    The floor under widths follows it, so that a few rows at 1e6 do not blur all the others.
    """
    low, high = np.interp([0.1, 0.9], np.cumsum(bins[0]), bins[1])
    return float(np.clip((high - low) / 2.563, MIN_SCALE * scale, scale))


def from_columns(parameters: list[np.ndarray]) -> Mixture:
    """Assemble what `fit_column` returned for each column."""
    stacked = np.stack(parameters, axis=1)
    return Mixture(*(np.ascontiguousarray(array) for array in stacked))

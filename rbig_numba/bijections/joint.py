"""Gaussianization of all columns at once, by a mixture of Gaussians with full covariances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from rbig_numba.bijections.base import Bijection, as_columns
from rbig_numba.kernels import joint, joint_inverse


@dataclass(frozen=True, eq=False)
class JointMixture(Bijection):
    """z_j = Phi^-1(F_j(x_j | x_1 ... x_j-1)), F_j the conditional distribution under a mixture.

    Rosenblatt (1952), "Remarks on a multivariate transformation". The log-density of z under
    N(0, I), plus the log-determinant, is the mixture's own. Components are K shapes of S scales
    each, as in Wainwright and Simoncelli (2000), "Scale mixtures of Gaussians and the statistics
    of natural images". Within one of them

        u_j = (x_j - m_j - sum_{i<j} b_ji (x_i - m_i)) / (s_j sqrt a)

    is N(0, 1) for every j and independent of the others: x_j's regression on the columns before it.
    As in `Mixture`, z is exact at any distance.

    Attributes
    ----------
    log_weights : ndarray of shape (K, S)
        Weights sum to 1.
    means, log_scales : ndarray of shape (K, D)
        m and log s of the shapes; scales are those of a column given the ones before it.
    slopes : ndarray of shape (K, D, D)
        b, strictly lower triangular.
    log_sizes : ndarray of shape (K, S)
        log sqrt a: what a component's scales are times its shape's.
    first : ndarray of shape (1,)
        Number of the first of the D columns, which stand side by side. Rows may have more, which
        stay as they are.
    """

    kind: ClassVar[str] = "joint"
    log_weights: np.ndarray
    means: np.ndarray
    log_scales: np.ndarray
    slopes: np.ndarray
    log_sizes: np.ndarray
    first: np.ndarray = field(default_factory=lambda: np.zeros(1))

    @property
    def mixture(self) -> tuple[np.ndarray, ...]:
        """What kernels take: all arrays but `first`."""
        return self.log_weights, self.means, self.log_scales, self.slopes, self.log_sizes

    @property
    def band(self) -> slice:
        """The columns that the mixture is of."""
        first = int(self.first[0])
        return slice(first, first + self.means.shape[1])

    @property
    def about(self) -> str:
        """How many components there are, and of which columns, if not of the first of all."""
        n_shapes, n_sizes = self.log_sizes.shape
        about = f"{n_shapes} components" + (f" of {n_sizes} scales" if n_sizes > 1 else "")
        band = self.band
        return about + (f" of columns {band.start} to {band.stop - 1}" if band.start else "")

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return z and sum over columns of log f_j(x_j | x_1 ... x_j-1) - log phi(z_j)."""
        return self._run(joint.forward, x)

    def inverse(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return x, column after column, and minus the log-determinant of `forward` there."""
        return self._run(joint_inverse.inverse, y)

    def _run(self, kernel: Callable[..., None], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        columns, band = as_columns(rows), self.band
        out, log_det = np.empty_like(columns), np.zeros(len(rows))
        for beside in (slice(band.start), slice(band.stop, None)):
            out[beside] = columns[beside]
        kernel(columns[band], self.mixture, out[band], log_det)
        return out.T, log_det


@dataclass(frozen=True, eq=False)
class Band:
    """The columns of a slice: what a mixture of a part of them is fitted to."""

    kind: ClassVar[str] = "band"
    columns: slice

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return these columns of rows, and zeros."""
        return x[:, self.columns], np.zeros(len(x))

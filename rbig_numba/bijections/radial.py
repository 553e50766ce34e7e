"""Gaussianization of radii: groups of columns whose sizes move together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from rbig_numba.bijections.base import Bijection, as_columns
from rbig_numba.bijections.energies import members_of
from rbig_numba.kernels import mixture, radial
from rbig_numba.kernels.coefficients import LOG_RADIUS_MAX, LOG_RADIUS_REACH, wilson_hilferty
from rbig_numba.listing import listed

# Width of the background of log r, as a share of a column's: samples are exponentials of it. With
# 1.0 a thousandth of the samples of a model with a joint mixture behind was beyond 1e69 standard
# deviations, and the farthest of Student's t at 1e3 to 1e68; with 0.35 beyond 40, and at 40 to 650.
BACKGROUND = 0.35


@dataclass(frozen=True, eq=False)
class Radial(Bijection):
    """y = x g(z) / r in each group of m columns, r = |x|, z = Phi^-1(F(log r)).

    F is a mixture of Gaussians, and g(z) all but the quantile of chi(m), the radius of normal rows:
    see `wilson_hilferty`. Lyu and Simoncelli (2009), "Nonlinear extraction of independent
    components of natural images using radial Gaussianization", Neural Computation 21, 1485-1519.
    Closer to the origin than any component reaches, and beyond e^32, y is proportional to x.

    Attributes
    ----------
    groups : ndarray of shape (D,)
        The number of each column's group, 0 ... G - 1, of at least two columns; or -1: left alone.
    log_weights, means, log_scales : ndarray of shape (G, K)
        The mixture of each group's log r.
    """

    kind: ClassVar[str] = "radial"
    groups: np.ndarray
    log_weights: np.ndarray
    means: np.ndarray
    log_scales: np.ndarray

    @property
    def about(self) -> str:
        """Which columns make up groups."""
        groups = map(listed, members_of(self.groups))
        return "groups " + listed(groups, " | ", " | and {} more groups")

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return y, and sum over groups of log (d log g / d log r) + m log(g / r)."""
        columns = as_columns(x)
        out, log_det = columns.copy(), np.zeros(len(x))
        for shell in self._shells():
            log_r = shell.log_radii(columns, shell.limits)
            log_g, slope = shell.outward(log_r)
            log_det += shell.stretched(columns, log_g - log_r, out)
            log_det += np.where(_inside(log_r, shell.limits), slope, 0.0)
        return out.T, log_det

    def inverse(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return x and minus the log-determinant of `forward` there."""
        columns = as_columns(y)
        out, log_det = columns.copy(), np.zeros(len(y))
        for shell in self._shells():
            limits = shell.outward(shell.limits)[0]
            log_g = shell.log_radii(columns, limits)
            log_r, slope = shell.inward(log_g)
            log_det += shell.stretched(columns, log_r - log_g, out)
            log_det -= np.where(_inside(log_g, limits), slope, 0.0)
        return out.T, log_det

    def _shells(self) -> Iterator[_Shell]:
        parameters = zip(self.log_weights, self.means, self.log_scales, strict=True)
        for members, group in zip(members_of(self.groups), parameters, strict=True):
            yield _Shell(members, *(array[None] for array in group))


def _inside(log_radii: np.ndarray, limits: np.ndarray) -> np.ndarray:
    return (log_radii > limits[0]) & (log_radii < limits[1])


class _Shell(NamedTuple):
    """One group: the numbers of its columns, and its mixture, each array (1, K)."""

    members: np.ndarray
    log_weights: np.ndarray
    means: np.ndarray
    log_scales: np.ndarray

    @property
    def limits(self) -> np.ndarray:
        """Between which log r is mapped by F, and outside of which r is proportional to g."""
        nearest = (self.means - LOG_RADIUS_REACH * np.exp(self.log_scales)).min()
        return np.array([max(nearest, -LOG_RADIUS_MAX), LOG_RADIUS_MAX])

    def log_radii(self, columns: np.ndarray, limits: np.ndarray) -> np.ndarray:
        """Return log |x| (N,) within limits."""
        log_r = np.empty(columns.shape[1])
        radial.log_radii(columns, self.members, (limits[0], limits[1]), log_r)
        return log_r

    def outward(self, log_r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log g and log (d log g / d log r), each (N,)."""
        z, slope = np.empty((1, len(log_r))), np.zeros(len(log_r))
        mixture.forward(log_r[None], *self[1:], z, slope)
        log_g, log_rate = self._radii(z[0])
        return log_g, slope + log_rate

    def inward(self, log_g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log r and log (d log g / d log r), each (N,)."""
        z, log_r, minus_slope = (
            np.empty_like(log_g),
            np.empty((1, len(log_g))),
            np.zeros(len(log_g)),
        )
        size = len(self.members)
        radial.latents(log_g, size, wilson_hilferty(size), z)
        mixture.inverse(z[None], *self[1:], log_r, minus_slope)
        return log_r[0], self._radii(z)[1] - minus_slope

    def _radii(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_g, log_rate, size = np.empty_like(z), np.empty_like(z), len(self.members)
        radial.radii(z, size, wilson_hilferty(size), log_g, log_rate)
        return log_g, log_rate

    def stretched(self, columns: np.ndarray, log_factor: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Fill the group's columns of out, stretched by exp(log_factor); return m log_factor."""
        radial.scale(columns, self.members, log_factor, out)
        return len(self.members) * log_factor


def radial_from(groups: np.ndarray, parameters: list[np.ndarray]) -> Radial:
    """Assemble what `mixture.fit_column` returned for the log-radii of each group.

    Its background is narrowed to BACKGROUND of what it is for a column.
    """
    log_weights, means, log_scales = np.stack(parameters, axis=1)
    log_scales[:, -1] += np.log(BACKGROUND)
    return Radial(groups, log_weights, means, log_scales)

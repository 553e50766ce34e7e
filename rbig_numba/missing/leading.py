"""The blocks that a flow begins with, as far as holes can be integrated out in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.affine import Affine
from rbig_numba.bijections.base import Bijection, as_columns
from rbig_numba.bijections.components import JointSums
from rbig_numba.bijections.joint import JointMixture
from rbig_numba.bijections.mixture import Mixture
from rbig_numba.flow import Flow, base_log_prob
from rbig_numba.kernels import holes_draws


class Drawn(NamedTuple):
    """Draws of rows whose holes are filled, and what the leading blocks say of them.

    Attributes
    ----------
    log_prob : ndarray of shape (N,)
        Log-densities of the cells that are there, under the leading blocks, in nats.
    columns : ndarray of shape (D, N, M)
        M draws of each row given these cells, behind the maps of single columns.
    """

    log_prob: np.ndarray
    columns: np.ndarray


@dataclass(frozen=True, eq=False)
class Leading:
    """Maps of single columns, and a mixture of Gaussians behind them; what comes after.

    Attributes
    ----------
    maps : tuple of Bijection
        Each takes its columns one by one.
    joint : JointMixture
    later : tuple of Bijection
        Other blocks.
    """

    maps: tuple[Bijection, ...]
    joint: JointMixture
    later: tuple[Bijection, ...]

    @cached_property
    def shapes(self) -> JointSums:
        """The mixture as steps of EM take it."""
        joint = self.joint
        slopes, scales = joint.slopes, np.exp(joint.log_scales)
        whiteners = (np.eye(slopes.shape[1]) - slopes) / scales[:, :, None]
        return JointSums(joint.log_weights, joint.means, whiteners, np.exp(joint.log_sizes))

    @cached_property
    def steps(self) -> np.ndarray:
        """The steps of the lattice (D,), fractions of the square roots of primes."""
        return np.sqrt(_primes(self.joint.means.shape[1])) % 1.0

    def forward(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Map rows (N, D) to columns (D, N), NaN staying; return log |det| of what is there."""
        return by_columns(self.maps, rows)

    def draw(self, rows: np.ndarray, keys: np.ndarray, n_draws: int) -> Drawn:
        """Draw holes (NaN) of rows (N, D), n_draws times; a key (N,) says which draws."""
        columns, log_det = self.forward(rows)
        log_prob, drawn = np.empty(len(rows)), np.empty((*columns.shape, n_draws))
        shapes, precisions = self.shapes[:4], self.shapes.precisions
        holes_draws.draw(columns, shapes, precisions, keys, self.steps, log_prob, drawn)
        return Drawn(log_prob + log_det, drawn)

    def log_ratios(self, columns: np.ndarray) -> np.ndarray:
        """Return by how many nats (N, M) the flow's densities of draws exceed the leading ones."""
        rows, log_ratio = columns.reshape(len(columns), -1).T, np.zeros(columns[0].size)
        if self.later:
            z, _ = self.joint.forward(rows)
            log_ratio -= base_log_prob(z)
            for bijection in self.later:
                z, log_det = bijection.forward(z)
                log_ratio += log_det
            log_ratio += base_log_prob(z)
        return log_ratio.reshape(columns.shape[1:])

    def back(self, columns: np.ndarray) -> np.ndarray:
        """Return rows (N, D) of columns (D, N) behind the maps of single columns."""
        rows = columns.T
        for bijection in self.maps[::-1]:
            rows, _ = bijection.inverse(rows)
        return rows


def leading_of(flow: Flow) -> Leading:
    """Return the leading blocks of a flow.

    Raises
    ------
    ValueError
        If it doesn't begin with maps of single columns and a joint mixture.
    """
    number = 0
    while number < len(flow.bijections) and isinstance(flow.bijections[number], (Affine, Mixture)):
        number += 1
    joint = flow.bijections[number] if number < len(flow.bijections) else None
    if not isinstance(joint, JointMixture):
        kinds = " + ".join(bijection.kind for bijection in flow.bijections[: number + 1])
        raise ValueError(
            "rows with missing cells need a model that begins with a joint mixture behind maps of "
            f'single columns, and this one begins with {kinds}: fit it with missing="model"'
        )
    return Leading(flow.bijections[:number], joint, flow.bijections[number + 1 :])


def by_columns(maps: Sequence[Bijection], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Push the cells that are there through maps of single columns.

    Parameters
    ----------
    maps : sequence of Bijection
        Of kinds `Affine` and `Mixture`.
    rows : ndarray of shape (N, D)
        NaN in holes.

    Returns
    -------
    tuple of ndarray
        Columns (D, N), C order, NaN in holes; log |det| (N,) of the cells that are there.
    """
    columns, log_det = as_columns(rows).copy(), np.zeros(len(rows))
    for j, column in enumerate(columns):
        there = ~np.isnan(column)
        cells = column[there][:, None]
        if not len(cells):
            continue
        for bijection in maps:
            cells, added = _of_column(bijection, j).forward(cells)
            log_det[there] += added
        column[there] = cells[:, 0]
    return columns, log_det


def _of_column(bijection: Bijection, j: int) -> Bijection:
    """Return the map of a single column."""
    arrays = bijection.arrays().values()
    return type(bijection)(*(array[j : j + 1] if array.ndim else array for array in arrays))


def _primes(n: int) -> np.ndarray:
    """Return the first n primes."""
    limit = max(16, int(n * (np.log(n + 1.0) + np.log(np.log(n + 3.0)) + 1.0)))
    sieve = np.ones(limit + 1, bool)
    sieve[:2] = False
    for i in range(2, int(limit**0.5) + 1):
        sieve[i * i :: i] &= not sieve[i]
    return np.flatnonzero(sieve)[:n]

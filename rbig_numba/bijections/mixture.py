"""Gaussianization of each column by a mixture of Gaussians."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rbig_numba.bijections.base import Bijection, as_columns
from rbig_numba.kernels import em, search
from rbig_numba.kernels import mixture as kernels
from rbig_numba.kernels.normal import LOG_SQRT_2PI

# Standardised columns. A wider floor blurs edges, a narrower one lets ties score without bound.
MIN_SCALE = 1e-3
# Of the background, compared on five real tables and two moons in docs/tails.md: with 5 rows
# densities rise along rays by up to 2 nats more, and worst rows lose up to 7.
BACKGROUND_ROWS = 20.0
BACKGROUND_SCALE = 2.0

# A component of fewer rows than this is at least so wide, in distances from where columns end: a
# fill value, alone at 1e15 deviations, else had the narrowest and a density as high as the bulk's.
# Within FAR standard deviations nothing changes: widened there, a shell of 2,500 rows lost 0.02.
LONE_ROWS, LONE_SCALE, FAR = 3.0, 0.1, 4.0

# What a fit spends. There is to gain what a short run gains over a single Gaussian, and what EM
# makes of noise, 1.5 K over the number of rows: below PLAIN nats one start will do, below SMOOTH
# coarse bins.
PLAIN = 7e-4
SMOOTH = 0.05
NOISE = 1.5
# Steps after a start or a merger, and from the best of all; nats left to gain when they may end.
SHORT, LONG = 30, 300
SHORT_TOL, LONG_TOL = 1e-5, 1e-6
# Starts with more components than asked for, by these factors. Chosen on 404 columns of ten real
# tables, raw and two blocks later, 10,000 rows each, against the best of five k-means starts:
# without the equal masses columns end up to a nat lower, without the even cells up to 4e-4.
SMOOTH_STARTS = ((search.GROWING_CELLS, 1.25), (search.EVEN_CELLS, 1.25))
STARTS = (
    (search.GROWING_CELLS, 2.0),
    (search.EQUAL_MASSES, 2.0),
    (search.EVEN_CELLS, 1.5),
    (search.EVEN_CELLS, 1.25),
)
ROUNDS = 4


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
    filled, floor = filled_bins(bins)
    mean, scale = _mean_and_scale(filled)
    fitted = fit_bins(filled, floor, total, n_components)
    lone = fitted[0] * total < LONE_ROWS
    beyond = np.abs(fitted[1] - mean) - FAR * scale
    fitted[2, lone] = np.maximum(fitted[2, lone], LONE_SCALE * beyond[lone])
    share = BACKGROUND_ROWS / (BACKGROUND_ROWS + total)
    weights = np.append(fitted[0] * (1.0 - share), share)
    means = np.append(fitted[1], mean)
    scales = np.append(fitted[2], BACKGROUND_SCALE * scale)
    return np.stack([np.log(weights), means, np.log(scales)])


def filled_bins(bins: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the bins that have rows, their weights summing to 1, and the floor under scales.

    The floor follows the scale of the middle 80 % of the mass, so that a few rows at 1e6 do not
    blur all the others.
    """
    filled = np.ascontiguousarray(bins[:, bins[0] > 0])
    filled[0] /= filled[0].sum()
    _, scale = _mean_and_scale(filled)
    low, high = np.interp([0.1, 0.9], np.cumsum(filled[0]), filled[1])
    return filled, MIN_SCALE * float(np.clip((high - low) / 2.563, MIN_SCALE * scale, scale))


def _mean_and_scale(bins: np.ndarray) -> tuple[float, float]:
    mean = float(bins[0] @ bins[1])
    return mean, max(float(np.sqrt(bins[0] @ ((bins[1] - mean) ** 2 + bins[2]))), MIN_SCALE)


def fit_bins(bins: np.ndarray, floor: float, total: float, n_components: int) -> np.ndarray:
    """Return the most likely weights, means and scales (3, K) that a search worth its time finds.

    Takes what `filled_bins` returns, and the total weight in rows.
    """
    half = search.halved(bins)
    quarter = search.halved(half)
    start = np.empty((3, n_components))
    search.clusters(quarter, floor, search.EQUAL_MASSES, start)
    value, _ = em.ascend(quarter, floor, SHORT, SHORT_TOL, start)
    gain = value + np.log(_mean_and_scale(quarter)[1]) + LOG_SQRT_2PI + 0.5
    noise = NOISE * n_components / total
    if gain + noise < PLAIN:
        em.ascend(half, floor, SHORT, LONG_TOL, start)
        return start
    if gain < SMOOTH and noise < PLAIN:
        return _searched(quarter, half, floor, start, SMOOTH_STARTS, 0)
    return _searched(half, bins, floor, start, STARTS, ROUNDS)


def _searched(
    coarse: np.ndarray,
    bins: np.ndarray,
    floor: float,
    best: np.ndarray,
    starts: tuple[tuple[int, float], ...],
    n_rounds: int,
) -> np.ndarray:
    """Return the best of parameters (3, K) and others: too many components, fitted and merged.

    First come starts of their own; then all components of the best are split side by side, next
    time in place, until that fails twice in a row.
    """
    n_components = best.shape[1]
    value, _ = em.ascend(bins, floor, SHORT, SHORT_TOL, best)
    failures = 0
    for n in range(len(starts) + n_rounds):
        if n < len(starts):
            kind, factor = starts[n]
            many = np.empty((3, int(factor * n_components)))
            search.clusters(coarse, floor, kind, many)
        else:
            many = _split(best, side_by_side=(n - len(starts)) % 2 == 0)
        trial = _pruned(coarse, floor, many, n_components)
        trial_value, _ = em.ascend(bins, floor, SHORT, SHORT_TOL, trial)
        failures = 0 if n < len(starts) or trial_value > value + SHORT_TOL else failures + 1
        if trial_value > value:
            best, value = trial, trial_value
        if failures == 2:
            break
    em.ascend(bins, floor, LONG, LONG_TOL, best)
    return best


def _split(parameters: np.ndarray, *, side_by_side: bool) -> np.ndarray:
    """Split every component in two: side by side, or in place into a narrow and a wide one."""
    many = np.repeat(parameters, 2, axis=1)
    many[0] *= 0.5
    if side_by_side:
        many[1, ::2] -= 0.8 * parameters[2]
        many[1, 1::2] += 0.8 * parameters[2]
    many[2, ::2] *= 0.6
    many[2, 1::2] *= 0.6 if side_by_side else 1.3
    return many


def _pruned(bins: np.ndarray, floor: float, many: np.ndarray, n_components: int) -> np.ndarray:
    """Merge the cheapest pairs, one or at first two at a time, with EM in between."""
    em.ascend(bins, floor, SHORT, SHORT_TOL, many)
    while many.shape[1] > n_components:
        many = search.merge_cheapest(bins, many)
        if many.shape[1] > n_components + 2:
            many = search.merge_cheapest(bins, many)
        em.ascend(bins, floor, SHORT // 2, SHORT_TOL, many)
    return many


def from_columns(parameters: list[np.ndarray]) -> Mixture:
    """Assemble what `fit_column` returned for each column."""
    stacked = np.stack(parameters, axis=1)
    return Mixture(*(np.ascontiguousarray(array) for array in stacked))

"""Whitening by shrunk covariances, which need fewer rows than columns have pairs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.affine import Affine
from rbig_numba.bijections.base import Bijection
from rbig_numba.bijections.rotation import Rotation, principal_axes
from rbig_numba.profile import current_deadline

# Added to variances, in units of the mean one: across a plane that all rows lie on, a density is as
# wide as a thousandth of the columns, like the narrowest components of `mixture`.
MIN_VARIANCE = 1e-6
# Rows below which there is none.
FEWEST_ROWS = 8
# Shares of a target that are tried.
SHARES = np.concatenate([[0.0], 1.0 / (1.0 + np.logspace(4.0, -2.0, 37)), [1.0]])
# Steps of EM for factors: in a search, and once their number is known.
SEARCH_STEPS, STEPS = 40, 150
# Factors at most, as a share of the columns.
MOST_FACTORS = 3


class Spread(NamedTuple):
    """A weight in rows, and the covariance (D, D) of rows of that weight about some point."""

    weight: float
    covariance: np.ndarray


class Factors(NamedTuple):
    """A covariance W W' + diag(noise): loadings W (D, Q), noise (D,)."""

    loadings: np.ndarray
    noise: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """The covariance (D, D)."""
        return self.loadings @ self.loadings.T + np.diag(self.noise)

    def inner(self) -> tuple[np.ndarray, np.ndarray]:
        """Return diag(noise)^-1 W (D, Q), and I + W' diag(noise)^-1 W (Q, Q)."""
        scaled = self.loadings / self.noise[:, None]
        return scaled, np.eye(scaled.shape[1]) + self.loadings.T @ scaled

    def stepped(self, covariance: np.ndarray, floor: float) -> Factors:
        """Return what a step of EM makes of them.

        Rubin and Thayer (1982), "EM algorithms for ML factor analysis".
        """
        scaled, inner = self.inner()
        posterior = np.linalg.inv(inner)
        cross = covariance @ (scaled @ posterior)
        second = posterior + posterior @ (scaled.T @ cross)
        loadings = np.linalg.solve(second, cross.T).T
        noise = np.diag(covariance) - (loadings * cross).sum(axis=1)
        return Factors(loadings, np.maximum(noise, floor))

    def log_prob(self, covariance: np.ndarray) -> float:
        """Return the mean log-density of rows of a covariance, in nats but for a constant."""
        scaled, inner = self.inner()
        explained = np.trace(np.linalg.solve(inner, scaled.T @ (covariance @ scaled)))
        squares = (np.diag(covariance) / self.noise).sum() - explained
        log_det = np.linalg.slogdet(inner)[1] + np.log(self.noise).sum()
        return -0.5 * float(squares + log_det)


class Shrinkage(NamedTuple):
    """How a covariance is estimated: averaged with a target, which counts as `strength` rows.

    Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance
    matrices", average with the sphere, here that of no factors.

    Attributes
    ----------
    n_factors : int
        Leading axes of the target.
    isotropic : bool
        Whether all columns have the same noise in it, as in Tipping and Bishop (1999),
        "Probabilistic principal component analysis", or each its own (factor analysis).
    strength : float
        inf: the target is all.
    """

    n_factors: int
    isotropic: bool
    strength: float

    def block(self, mean: np.ndarray, spread: Spread) -> list[Bijection]:
        """Return the rotation onto the axes of the estimate, and the scaling along these."""
        covariance = _unbiased(spread)
        share = 1.0 / (1.0 + spread.weight / self.strength) if self.strength else 0.0
        if share:
            target = _target(covariance, self.n_factors, isotropic=self.isotropic).covariance
            covariance = (1.0 - share) * covariance + share * target
        variances, axes = _axes(covariance)
        return [Rotation(axes), Affine(mean @ axes, np.sqrt(variances))]


def best_shrinkage(train: Spread, judges: Spread) -> Shrinkage:
    """Return what gives held-out rows the highest density.

    Of three targets: a sphere, and leading axes with noise that is the same in all columns or not,
    their number chosen without the rest. Takes some 60 D^3 multiply-adds, and 200 D^2 for each of
    the factors tried.

    Parameters
    ----------
    train : Spread
        Of the rows that are fitted.
    judges : Spread
        Of held-out rows, about the mean of the others.
    """
    covariance, judged = _unbiased(train), _floored(judges.covariance)
    targets = [
        (0, True),
        (_best_axes(covariance, judged), True),
        (_best_factors(covariance, judged, train.weight), False),
    ]
    scored = [
        (
            *_best_share(covariance, judged, _target(covariance, n, isotropic=isotropic)),
            n,
            isotropic,
        )
        for n, isotropic in dict.fromkeys(targets)
    ]
    _, share, n_factors, isotropic = max(scored)
    strength = train.weight * share / (1.0 - share) if share < 1.0 else np.inf
    return Shrinkage(n_factors, isotropic, float(strength))


def _unbiased(spread: Spread) -> np.ndarray:
    """Return the covariance about the rows' own mean, which is nearer to them than the true one."""
    weight = max(spread.weight, 2.0)
    return _floored(spread.covariance * (weight / (weight - 1.0)))


def _floored(covariance: np.ndarray) -> np.ndarray:
    floor = MIN_VARIANCE * np.trace(covariance) / len(covariance)
    return covariance + max(floor, MIN_VARIANCE**2) * np.eye(len(covariance))


def _axes(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return variances along the principal axes, largest first, and these.

    Of 1,000 columns the rounding of their covariance is wider than the floor that was added, and
    variances across the plane of a few rows would be negative.
    """
    variances, axes = principal_axes(covariance)
    return np.maximum(variances, MIN_VARIANCE * variances.mean()), axes


def _best_share(covariance: np.ndarray, judged: np.ndarray, target: Factors) -> tuple[float, float]:
    """Return the highest mean log-density of the judges, and the target's share of that."""
    whitener = np.linalg.inv(np.linalg.cholesky(target.covariance))
    inner, seen = (whitener @ matrix @ whitener.T for matrix in (covariance, judged))
    variances, axes = np.linalg.eigh(inner)
    squares = np.einsum("ij,ij->j", axes, seen @ axes)
    mixed = SHARES[:, None] + (1.0 - SHARES[:, None]) * np.maximum(variances, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        losses = 0.5 * (np.log(mixed) + squares / mixed).sum(axis=1)
    losses[(mixed <= 0.0).any(axis=1)] = np.inf  # a share of 0 of collinear columns
    best = int(losses.argmin())
    log_volume = np.log(np.diag(whitener)).sum()
    return float(log_volume - losses[best]), float(SHARES[best])


def _target(
    covariance: np.ndarray, n_factors: int, *, isotropic: bool, n_steps: int = STEPS
) -> Factors:
    """Return the most likely factors; with noise of each column after some steps of EM."""
    n_columns = len(covariance)
    if not n_factors and isotropic:
        return Factors(np.empty((n_columns, 0)), np.full(n_columns, np.diag(covariance).mean()))
    variances, axes = _axes(covariance)
    noise = np.full(n_columns, variances[n_factors:].mean())
    lengths = np.sqrt(np.maximum(variances[:n_factors] - noise[0], 0.0))
    factors = Factors(axes[:, :n_factors] * lengths, noise)
    if isotropic:
        return factors
    floor = MIN_VARIANCE * np.trace(covariance) / n_columns
    own = np.diag(covariance) - np.square(factors.loadings).sum(axis=1)
    factors = factors._replace(noise=np.maximum(own, floor))
    for _ in range(n_steps if n_factors else 0):
        current_deadline().check()
        factors = factors.stepped(covariance, floor)
    return factors


def _best_axes(covariance: np.ndarray, judged: np.ndarray) -> int:
    """Return the best number of leading axes with the same noise in all columns."""
    variances, axes = _axes(covariance)
    squares = np.einsum("ij,ij->j", axes, judged @ axes)
    numbers = np.arange(len(variances))
    leading = np.concatenate([[0.0], np.cumsum(np.log(variances) + squares / variances)[:-1]])
    rest, seen = (np.cumsum(values[::-1])[::-1] for values in (variances, squares))
    noise = rest / (len(variances) - numbers)
    losses = leading + (len(variances) - numbers) * np.log(noise) + seen / noise
    return int(losses.argmin())


def _best_factors(covariance: np.ndarray, judged: np.ndarray, n_rows: float) -> int:
    """Return the best number of factors with noise of each column, to an eighth.

    So many rows tell of one factor less at most: 300 of 1,000 columns took 20 s for 20 rows.
    """
    scores: dict[int, float] = {}

    def score(number: int) -> float:
        if number not in scores:
            found = _target(covariance, number, isotropic=False, n_steps=SEARCH_STEPS)
            scores[number] = found.log_prob(judged)
        return scores[number]

    most = min(len(covariance) // MOST_FACTORS, max(int(n_rows) - 1, 0))
    best = max([0, *(2**k for k in range(most.bit_length()) if 2**k <= most)], key=score)
    step = best // 4
    while step and step >= best // 8:
        best = max((n for n in (best, best - step, best + step) if n <= most), key=score)
        step //= 2
    return best

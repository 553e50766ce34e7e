"""Couplings fitted in closed form: ridge regressions on random features."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.base import as_columns
from rbig_numba.bijections.coupling import Coupling
from rbig_numba.bijections.ridge import PENALTIES, Ridge, best_of, values_of
from rbig_numba.kernels.coefficients import MAX_LOG_SCALE
from rbig_numba.kernels.coupling import fill_features

# Nats below are those lost by test rows of four real tables (MAGIC, Parkinsons, power, Z to two
# muons) in the mean over three seeds, after eight couplings and nothing else.
# Features at most, and rows for each of them. With half as many 0.04 to 0.15 nats.
MAX_FEATURES, ROWS_PER_FEATURE = 200, 20
# How steep features are, and how many columns they look at, 0 for all. All at all: 0.07 to 0.17;
# with biases drawn evenly instead of through rows 0.0 to 0.2.
STEEPNESS, LOOKS = (0.5, 1.0, 2.0), (1, 2, 0)
# Splits that a small fit looks at. One: 0.07 to 0.23, and of the first coupling alone 0.2 to 1.2.
SPLITS, SPLIT_ROWS, SPLIT_FEATURES = 4, 4000, 40
# Held-out rows that a choice among penalties and columns takes, as it takes a row for each column:
# of 50 rows in 300 columns five chose fifty couplings, and other rows had -1e4 nats in the mean.
FEWEST_JUDGES = 10
# Multiply-adds of all predictions at most, for which rows are left out: so far as 64 columns all
# of 32,768 are taken, of 255 columns 12,000 rows in two seconds of one core.
WORK = 4e9
# Steps of Fisher scoring on log sigma. None: 0.04 to 0.07; four gain nothing.
STEPS = 2
# Squared residuals below these, in units of their mean and as they are, count as these.
MIN_SQUARE, TINY_SQUARE = 1e-3, 1e-12
# Standard errors by which a column must gain in held-out nats, or it stays as it is. Of more than
# MANY columns so many that the share of rounds is CHANCE in which noise gives one: at two errors
# ten of 392 columns of 3,000 Gaussian rows gained, in each of 17 couplings.
MARGIN, MANY, CHANCE = 2.0, 32, 0.02


class Rows(NamedTuple):
    """Columns (D, S), and weights (S,) that sum to 1."""

    columns: np.ndarray
    shares: np.ndarray

    def first(self, n_rows: int) -> Rows:
        """Return the first rows."""
        return rows_of(self.columns.T[:n_rows], self.shares[:n_rows])


def rows_of(rows: np.ndarray, weights: np.ndarray) -> Rows:
    """Return rows (S, D) of weights (S,) as columns."""
    return Rows(as_columns(rows), weights / weights.sum())


def fit_coupling(
    rows: np.ndarray,
    weights: np.ndarray,
    held_out: np.ndarray,
    held_out_weights: np.ndarray,
    random_state: np.random.RandomState,
) -> Coupling | None:
    """Fit a coupling; None if no column gains, or if there are too few rows or columns.

    Mean and log sigma are linear in what is fitted, as the features are drawn at random: an extreme
    learning machine, Huang, Zhu and Siew (2006), Neurocomputing 70, 489-501.

    Parameters
    ----------
    rows : ndarray of shape (S, D)
        In random order, of standard deviations about 1.
    weights : ndarray of shape (S,)
    held_out : ndarray of shape (V, D)
        Rows that choose the split, penalties, and columns.
    held_out_weights : ndarray of shape (V,)
    random_state : RandomState
        Draws splits and features.
    """
    n_columns = rows.shape[1]
    n_rows = min(len(rows), _affordable_rows(n_columns))
    n_features = min(MAX_FEATURES, n_rows // ROWS_PER_FEATURE)
    few = n_rows < n_columns or len(held_out) < FEWEST_JUDGES
    if n_columns < 2 or n_features == 0 or few:
        return None
    sides = (rows, weights), (held_out, held_out_weights)
    train, judges = (rows_of(side[:n_rows], mass[:n_rows]) for side, mass in sides)
    small = train.first(SPLIT_ROWS), judges.first(SPLIT_ROWS)
    best, given = -np.inf, np.empty(n_columns)
    for _ in range(SPLITS):
        split = _draw_split(n_columns, random_state)
        _, gain = fit_given(*small, split, min(SPLIT_FEATURES, n_features), 0, random_state)
        if gain > best:
            best, given = gain, split
    coupling, gain = fit_given(train, judges, given, n_features, STEPS, random_state)
    return coupling if gain > 0.0 else None


def _affordable_rows(n_columns: int) -> int:
    n_predictors = 1 + MAX_FEATURES + n_columns // 2
    return int(WORK / (n_predictors * len(PENALTIES) * (1 + n_columns // 2)))


def _draw_split(n_columns: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return 1 for half of the columns, of an odd number one more or less, and 0 for the others."""
    given = np.zeros(n_columns)
    n_given = (n_columns + random_state.randint(2)) // 2
    given[random_state.permutation(n_columns)[:n_given]] = 1.0
    return given


def fit_given(
    train: Rows,
    judges: Rows,
    given: np.ndarray,
    n_features: int,
    n_steps: int,
    random_state: np.random.RandomState,
) -> tuple[Coupling, float]:
    """Return the coupling of one split, and its gain in held-out nats.

    Parameters
    ----------
    train, judges : Rows
    given : ndarray of shape (D,)
    n_features, n_steps : int
        H, and steps of Fisher scoring on log sigma.
    random_state : RandomState
        Draws the features.
    """
    known, other = given > 0.0, given == 0.0
    projections, biases = _draw_features(train.columns[known].T, n_features, random_state)
    phi, phi_judged = (_features(r.columns[known], projections, biases) for r in (train, judges))
    targets, judged = train.columns[other].T, judges.columns[other].T
    ridge = Ridge(phi, train.shares)
    locations = ridge.fit(targets)
    errors = (judged[:, None] - values_of(phi_judged, locations)) ** 2
    location = best_of(locations, np.tensordot(judges.shares, errors, 1))
    squares = (targets - values_of(phi, location)) ** 2
    # Without the given columns themselves; see `Coupling`.
    log_scales = _fit_log_scales(ridge.first(n_features), squares, n_steps)
    bounded, squares = phi_judged[:, : 1 + n_features], (judged - phi_judged @ location) ** 2
    losses = _losses(values_of(bounded, log_scales), squares[:, None])
    log_scale = best_of(log_scales, np.tensordot(judges.shares, losses, 1))

    gains = 0.5 * judged**2 - _losses(values_of(bounded, log_scale), squares)
    gain = judges.shares @ gains
    kept = gain > _margin(len(gain)) * np.sqrt(judges.shares**2 @ (gains - gain) ** 2)
    coupling = Coupling(given, projections, biases, location * kept, log_scale * kept)
    return coupling, float(gain[kept].sum())


def _margin(n_targets: int) -> float:
    return MARGIN if n_targets <= MANY else -NormalDist().inv_cdf(CHANCE / n_targets)


def _fit_log_scales(ridge: Ridge, squares: np.ndarray, n_steps: int) -> np.ndarray:
    """Return coefficients (1 + F, P, B) of log sigma, before it is bounded, P for all steps.

    Squared residuals (S, B) are sigma^2 times a chi-squared number, whose logarithm has a constant
    variance: a target of ordinary regression. Fisher scoring, whose weights are constant too, goes
    on from there at each penalty.
    """
    floor = MIN_SQUARE * (ridge.shares @ squares) + TINY_SQUARE
    coefficients = ridge.fit(0.5 * np.log(squares + floor))
    squares = squares[:, None]
    ratios = squares * np.exp(-2.0 * _bounded(values_of(ridge.features, coefficients)))
    # The most likely constant: that of logarithms is 0.64 below.
    coefficients[0] += 0.5 * np.log(np.tensordot(ridge.shares, ratios, 1) + TINY_SQUARE)
    found = [coefficients]
    for _ in range(n_steps):
        values = values_of(ridge.features, found[-1])
        ratios = squares * np.exp(-2.0 * _bounded(values))
        found.append(ridge.fit(values + 0.5 * (ratios - 1.0)))
    return np.concatenate(found, axis=1)


def _bounded(values: np.ndarray) -> np.ndarray:
    return MAX_LOG_SCALE * np.tanh(values / MAX_LOG_SCALE)


def _losses(values: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return -log of the normal density, less its constant, in nats."""
    log_sigma = _bounded(values)
    return log_sigma + 0.5 * squares * np.exp(-2.0 * log_sigma)


def _draw_features(
    rows: np.ndarray, n_features: int, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Return projections (A, H) and biases (H,): each feature is 0 at one of the rows (S, A)."""
    n_columns, kinds = rows.shape[1], np.arange(n_features)
    n_looks = np.array(LOOKS)[kinds % len(LOOKS)]
    steepness = np.array(STEEPNESS)[kinds // len(LOOKS) % len(STEEPNESS)]
    ranks = random_state.uniform(size=(n_columns, n_features)).argsort(axis=0)
    directions = random_state.standard_normal((n_columns, n_features))
    directions[(ranks >= n_looks) & (n_looks > 0)] = 0.0
    projections = directions * (steepness / np.sqrt(np.square(directions).sum(axis=0)))
    centres = rows[random_state.randint(len(rows), size=n_features)]
    return projections, -(centres * projections.T).sum(axis=1)


def _features(columns: np.ndarray, projections: np.ndarray, biases: np.ndarray) -> np.ndarray:
    """Return the features (S, 1 + H + A) of given columns (A, S)."""
    n_columns, n_rows = columns.shape
    features = np.empty((1 + len(biases) + n_columns, n_rows))
    fill_features(columns, slice(0, n_rows), projections, biases, features)
    return features.T

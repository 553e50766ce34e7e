"""The greedy loop: rotate, Gaussianize each column, look at held-out rows, repeat."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rbig_numba import binning
from rbig_numba.bijections.affine import Affine
from rbig_numba.bijections.base import Bijection
from rbig_numba.bijections.ica import ica_rotation
from rbig_numba.bijections.mixture import Mixture, fit_column, from_columns
from rbig_numba.bijections.rotation import Rotation, pca_rotation, random_rotation
from rbig_numba.chunks.block import Split
from rbig_numba.flow import Flow
from rbig_numba.statistics import Counts, Summary, Totals, merge_seconds
from rbig_numba.threads import map_threads, n_threads
from rbig_numba.validation import check_varies

# A component needs rows to be estimated from; tiny tables get fewer components than asked for.
ROWS_PER_COMPONENT = 5


@dataclass(frozen=True)
class Plan:
    """How to fit: the parameters of `RBIG` of the same names, checked."""

    n_blocks: int
    n_components: int
    rotation: str
    n_iter_no_change: int
    tol: float
    n_jobs: int | None


class Rows(Protocol):
    """Rows on their way to the latent space, wherever they are."""

    summary: Summary

    def count(self, bijections: Sequence[Bijection], grid: binning.Grid) -> Counts:
        """Return the histograms of the training rows, pushed through bijections."""

    def advance(self, bijections: Sequence[Bijection]) -> Totals:
        """Push all rows through bijections for good."""


def split_rows(
    load: Callable[[Split], Rows],
    validation_fraction: float,
    random_state: np.random.RandomState,
    names: Sequence[str] | None,
) -> Rows:
    """Load rows, some of them held out: at least one, if enough are left to fit.

    Raises
    ------
    ValueError
        If a column is constant (names it), or there are fewer than two rows.
    """
    seed = int(random_state.randint(2**31))
    limit = int(validation_fraction * 2.0**64)
    rows = load(Split(seed, limit))
    if rows.summary.counts.sum() < 2:
        raise ValueError(f"{rows.summary.counts.sum()} row(s) found: a fit needs at least 2")
    lowest, highest = rows.summary.lowest, rows.summary.highest
    check_varies(lowest.min(axis=0), highest.max(axis=0), names)
    if limit and not rows.summary.counts[1]:
        rows = load(Split(seed, int(rows.summary.sample.hashes[0]) + 1))
    if limit and (rows.summary.lowest[0] >= rows.summary.highest[0]).any():
        warnings.warn(
            f"{rows.summary.counts.sum()} rows are too few to hold any out, or vary too little: "
            "all are fitted, with as many blocks as n_blocks says",
            stacklevel=4,
        )
        rows = load(Split(seed, 0))
    return rows


def fit_flow(
    rows: Rows,
    plan: Plan,
    random_state: np.random.RandomState,
    report: Callable[[dict], None],
) -> tuple[Flow, list[dict]]:
    """Fit blocks until the held-out log-likelihood stops growing, and cut back to the best length.

    Parameters
    ----------
    rows : Rows
        Used up: they end in the latent space of the last block tried. Without held-out rows
        exactly `plan.n_blocks` blocks are fitted.
    plan : Plan
        What to fit.
    random_state : RandomState
        Source of rotations.
    report : callable
        Called with each block's record as soon as it is fitted.

    Returns
    -------
    flow : Flow
        The blocks kept.
    history : list of dict
        A record for each block tried: see `RBIG.history_`.
    """
    steps = _Steps(rows, plan, random_state)
    has_held_out = bool(rows.summary.counts[1])
    history: list[dict] = []
    for number in range(plan.n_blocks):
        started = time.perf_counter()
        record = {"block": number + 1} | steps.fit_block(first=number == 0)
        key = "held_out" if has_held_out else "train"
        record["gain"] = record[key] - history[-1][key] if history else None
        record["seconds"] = time.perf_counter() - started
        history.append(record)
        report(record)
        if has_held_out and _stalled(history, plan):
            break
    n_kept = _best_length(history) if has_held_out else len(history)
    for record in history:
        record["kept"] = record["block"] <= n_kept
    n_bijections = 1 + sum(record["kind"].count("+") + 1 for record in history[:n_kept])
    return Flow(tuple(steps.bijections[:n_bijections])), history


class _Steps:
    """What has been fitted so far, and the statistics that the next block starts from."""

    def __init__(self, rows: Rows, plan: Plan, random_state: np.random.RandomState) -> None:
        self.rows, self.plan, self.random_state = rows, plan, random_state
        self.sample, self.weights = rows.summary.sample.rows, rows.summary.sample.weights
        self.moments = rows.summary.moments
        self.log_det = np.zeros(2)  # mean of training and of held-out rows
        self.bijections: list[Bijection] = []

    def fit_block(self, *, first: bool) -> dict:
        """Fit and apply a rotation (a standardisation in the first block) and a mixture.

        Rows are walked over twice: rotated and counted; then rotated, Gaussianized and replaced.
        Rotating them twice costs less than to store them in between.
        """
        block: list[Bijection] = []
        started = time.perf_counter()
        if first:
            mean, covariance = self.moments.rounded()
            block.append(Affine(mean, np.sqrt(np.diag(covariance))))
        elif self.sample.shape[1] > 1:
            block.append(self._rotation())
        seconds = {"search": time.perf_counter() - started}
        started = time.perf_counter()
        self._move_sample(block)
        grid = binning.grid_of(self.sample, self.weights, self.plan.n_jobs)
        seconds["grid"] = time.perf_counter() - started
        counts = self.rows.count(block, grid)
        mixture, seconds["em"] = self._mixture(binning.bins_of(counts.sums, grid))
        block.append(mixture)
        self._move_sample([mixture])
        totals = self.rows.advance(block)
        self.moments = totals.moments
        self.bijections += block
        weights, base, log_det = totals.scores.T
        with np.errstate(invalid="ignore"):  # no held-out rows: 0 / 0
            self.log_det += log_det / weights
            train, held_out = (base / weights + self.log_det).tolist()
        return {
            "kind": " + ".join(bijection.kind for bijection in block[first:]),
            "train": train,
            "held_out": held_out if weights[1] else None,
            "profile": merge_seconds([counts.seconds, seconds, totals.seconds]),
        }

    def _rotation(self) -> Rotation:
        draws, n_jobs = self.random_state, self.plan.n_jobs
        if self.plan.rotation == "random":
            return random_rotation(self.sample.shape[1], draws)
        principal = pca_rotation(self.moments.rounded()[1], self.moments.weight, draws)
        if self.plan.rotation == "pca":
            return principal
        return ica_rotation(self.sample, self.weights, principal, draws, n_jobs)

    def _mixture(self, bins: np.ndarray) -> tuple[Mixture, float]:
        """Fit all columns; also return the thread-seconds that this took."""
        affordable = max(1, int(self.moments.weight / ROWS_PER_COMPONENT))
        n_components = min(self.plan.n_components, affordable)

        def fit(column: np.ndarray) -> tuple[np.ndarray, float]:
            started = time.perf_counter()
            return fit_column(column, n_components), time.perf_counter() - started

        fitted = map_threads(fit, bins, self.plan.n_jobs)
        columns, seconds = zip(*fitted, strict=True)
        return from_columns(list(columns)), sum(seconds)

    def _move_sample(self, bijections: Sequence[Bijection]) -> None:
        def move(rows: np.ndarray) -> np.ndarray:
            for bijection in bijections:
                rows = bijection.forward(rows)[0]
            return rows

        parts = np.array_split(self.sample, n_threads(self.plan.n_jobs))
        self.sample = np.concatenate(map_threads(move, parts, self.plan.n_jobs))


def _best_length(history: list[dict]) -> int:
    return 1 + int(np.argmax([record["held_out"] for record in history]))


def _stalled(history: list[dict], plan: Plan) -> bool:
    """Whether the last n_iter_no_change blocks stayed within tol of the best before them."""
    if len(history) <= plan.n_iter_no_change:
        return False
    values = [record["held_out"] for record in history]
    best_before = max(values[: -plan.n_iter_no_change])
    return max(values[-plan.n_iter_no_change :]) < best_before + plan.tol

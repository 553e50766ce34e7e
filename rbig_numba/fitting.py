"""The greedy loop: rotate, Gaussianize each column, look at held-out rows, repeat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rbig_numba import statistics
from rbig_numba.bijections.affine import Affine
from rbig_numba.bijections.base import Bijection
from rbig_numba.bijections.mixture import Mixture, fit_column, from_columns
from rbig_numba.bijections.rotation import Rotation, pca_rotation, random_rotation
from rbig_numba.chunks import map_threads, row_blocks
from rbig_numba.flow import Flow, base_log_prob

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


class Rows:
    """Weighted rows on their way to the latent space, with the log-determinant so far."""

    def __init__(self, x: np.ndarray, weights: np.ndarray, n_jobs: int | None) -> None:
        self.x = np.array(x, order="F")
        self.weights = weights
        self.log_det = np.zeros(len(x))
        self.n_jobs = n_jobs

    def apply(self, bijection: Bijection) -> None:
        """Push the rows through one more bijection, in place."""

        def apply_block(block: slice) -> None:
            y, log_det = bijection.forward(self.x[block])
            self.x[block] = y
            self.log_det[block] += log_det

        map_threads(apply_block, row_blocks(len(self.x)), self.n_jobs)

    def log_likelihood(self) -> float:
        """Return the weighted mean log-density in nats, were this the last bijection."""
        log_prob = base_log_prob(self.x.astype(np.float64)) + self.log_det
        return float(self.weights @ log_prob / self.weights.sum())


def fit_flow(
    train: Rows,
    held_out: Rows | None,
    plan: Plan,
    random_state: np.random.RandomState,
    report: Callable[[dict], None],
) -> tuple[Flow, list[dict]]:
    """Fit blocks until the held-out log-likelihood stops growing, and cut back to the best length.

    Parameters
    ----------
    train, held_out : Rows
        Used up: both end in the latent space of the last block tried. Without held-out rows
        exactly `plan.n_blocks` blocks are fitted.
    plan : Plan
        What to fit.
    random_state : RandomState
        Source of rotations and of the rows that place histogram edges.
    report : callable
        Called with each block's record as soon as it is fitted.

    Returns
    -------
    flow : Flow
        The blocks kept.
    history : list of dict
        A record for each block tried: see `RBIG.history_`.
    """
    sample = _sample_rows(train, random_state)
    bijections: list[Bijection] = [_standardise(train)]
    _apply_all(bijections, train, held_out)
    history: list[dict] = []
    lengths = [1]
    for number in range(plan.n_blocks):
        started = time.perf_counter()
        bijections += _fit_block(number, train, held_out, sample, plan, random_state)
        lengths.append(len(bijections))
        history.append(_record(number, train, held_out, history, time.perf_counter() - started))
        report(history[-1])
        if held_out is not None and _stalled(history, plan):
            break
    n_kept = _best_length(history) if held_out is not None else len(history)
    for record in history:
        record["kept"] = record["block"] <= n_kept
    return Flow(tuple(bijections[: lengths[n_kept]])), history


def _sample_rows(train: Rows, random_state: np.random.RandomState) -> np.ndarray:
    n_rows = len(train.x)
    if n_rows <= statistics.SAMPLE_ROWS:
        return np.arange(n_rows)
    return np.sort(random_state.choice(n_rows, statistics.SAMPLE_ROWS, replace=False))


def _standardise(train: Rows) -> Affine:
    mean, covariance = statistics.moments(train.x, train.weights, train.n_jobs)
    return Affine(mean, np.sqrt(np.diag(covariance)))


def _apply_all(bijections: list[Bijection], train: Rows, held_out: Rows | None) -> None:
    for bijection in bijections:
        train.apply(bijection)
        if held_out is not None:
            held_out.apply(bijection)


def _fit_block(
    number: int,
    train: Rows,
    held_out: Rows | None,
    sample: np.ndarray,
    plan: Plan,
    random_state: np.random.RandomState,
) -> list[Bijection]:
    """Fit and apply a rotation (not in the first block) and a mixture."""
    block: list[Bijection] = []
    if number > 0 and train.x.shape[1] > 1:
        block.append(_fit_rotation(train, plan.rotation, random_state))
        _apply_all(block, train, held_out)
    block.append(_fit_mixture(train, sample, plan))
    _apply_all(block[-1:], train, held_out)
    return block


def _fit_rotation(train: Rows, kind: str, random_state: np.random.RandomState) -> Rotation:
    if kind == "random":
        return random_rotation(train.x.shape[1], random_state)
    covariance = statistics.moments(train.x, train.weights, train.n_jobs)[1]
    return pca_rotation(covariance, train.weights.sum(), random_state)


def _fit_mixture(train: Rows, sample: np.ndarray, plan: Plan) -> Mixture:
    edges = statistics.bin_edges(train.x[sample], train.weights[sample])
    bins = statistics.histograms(train.x, train.weights, edges, train.n_jobs)
    affordable = max(1, int(train.weights.sum() / ROWS_PER_COMPONENT))
    n_components = min(plan.n_components, affordable)
    return from_columns(
        map_threads(lambda column: fit_column(column, n_components), bins, train.n_jobs)
    )


def _record(
    number: int, train: Rows, held_out: Rows | None, history: list[dict], seconds: float
) -> dict:
    train_value = train.log_likelihood()
    held_out_value = None if held_out is None else held_out.log_likelihood()
    value, before = train_value, history[-1]["train"] if history else None
    if held_out_value is not None:
        value, before = held_out_value, history[-1]["held_out"] if history else None
    return {
        "block": number + 1,
        "kind": "mixture" if number == 0 else "rotation + mixture",
        "train": train_value,
        "held_out": held_out_value,
        "gain": None if before is None else value - before,
        "seconds": seconds,
    }


def _best_length(history: list[dict]) -> int:
    return 1 + int(np.argmax([record["held_out"] for record in history]))


def _stalled(history: list[dict], plan: Plan) -> bool:
    """Whether the last n_iter_no_change blocks stayed within tol of the best before them."""
    if len(history) <= plan.n_iter_no_change:
        return False
    values = [record["held_out"] for record in history]
    best_before = max(values[: -plan.n_iter_no_change])
    return max(values[-plan.n_iter_no_change :]) < best_before + plan.tol

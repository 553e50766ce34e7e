"""The greedy loop: find a block, push all rows through it, look at held-out rows, repeat."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.base import Bijection, Map
from rbig_numba.fitting.candidates import GRID_ROWS, Finish, Plan
from rbig_numba.fitting.contest import Contest
from rbig_numba.fitting.latents import latents_of
from rbig_numba.fitting.splitting import Rows, standardisation_of
from rbig_numba.flow import Flow
from rbig_numba.profile import Deadline, deadline_in, merge_seconds
from rbig_numba.statistics import Statistic, Totals

# Rows of either side that competing blocks are searched on and judged by, and numbers in them.
SAMPLE_ROWS, SAMPLE_NUMBERS = 32_768, 2**21
# Of tables of more rows half as many: mixtures are split once more for all rows, and fits of
# 230,000 and 345,000 rows take 5 and 9 s instead of 9 and 13, for 0.04 and 0.02 nats.
MANY_ROWS, MANY_SAMPLED = 100_000, 16_384


class Fitted(NamedTuple):
    """What a fit gives.

    Attributes
    ----------
    flow : Flow
        The blocks kept.
    history : list of dict
        A record for each block tried: see `RBIG.history_`.
    finishes : list of callable
        Those of the blocks kept.
    """

    flow: Flow
    history: list[dict]
    finishes: list[Finish]


def sample_size(plan: Plan) -> int:
    """Return how many rows of either side a plan looks at for its searches."""
    return GRID_ROWS if plan.blocks == "classic" else SAMPLE_ROWS


def fit_flow(
    rows: Rows,
    plan: Plan,
    random_state: np.random.RandomState,
    deadline: Deadline,
    report: Callable[[dict], None],
    start: Sequence[Bijection] = (),
) -> Fitted:
    """Fit blocks until the held-out log-likelihood stops growing, and cut back to the best length.

    Parameters
    ----------
    rows : Rows
        Used up: they end in the latent space of the last block tried. Without held-out rows
        exactly `plan.n_blocks` blocks are fitted, if they don't compete.
    plan : Plan
        What to fit.
    random_state : RandomState
        Source of rotations.
    deadline : Deadline
        No further block is begun when it is near.
    report : callable
        Called with each block's record as soon as it is fitted.
    start : sequence of Bijection
        What rows go through first, fitted before; blocks then are those behind it.

    Returns
    -------
    Fitted
        The blocks kept, and a record for each one tried.
    """
    steps = _Steps(rows, plan, random_state, deadline, start)
    has_held_out = bool(rows.summary.counts[1])
    key = "held_out" if has_held_out else "train"
    best = steps.scores()[key] if start else None
    history: list[dict] = []
    for number in range(plan.n_blocks):
        started = time.perf_counter()
        if history and not deadline.allows(history[-1]["seconds"]):
            break
        finish = steps.search(number)
        if finish is None:
            break
        record = {"block": number + 1} | steps.commit(finish)
        before = history[-1][key] if history else best
        record["gain"] = None if before is None else record[key] - before
        record["seconds"] = time.perf_counter() - started
        history.append(record)
        report(record)
        if has_held_out and _stalled(history, plan):
            break
    n_kept = _best_length(history, best) if has_held_out else len(history)
    for record in history:
        record["kept"] = record["block"] <= n_kept
    kept = [bijection for block in steps.blocks[:n_kept] for bijection in block]
    return Fitted(Flow((*start, *kept)), history, steps.finishes[:n_kept])


def refit_flow(
    rows: Rows, plan: Plan, finishes: Sequence[Finish], start: Sequence[Bijection] = ()
) -> Flow:
    """Return the same blocks fitted to all rows.

    Rotations, numbers of components and couplings stay as they are; mixtures go on from where they
    are.
    """
    steps = _Steps(rows, plan, np.random.RandomState(0), deadline_in(None), start)
    for finish in finishes:
        steps.commit(finish, other_rows=True)
    return Flow((*start, *(bijection for block in steps.blocks for bijection in block)))


def joined(before: list[dict], after: list[dict]) -> list[dict]:
    """Return the records of two fits, one upon the other, their blocks numbered through."""
    return [*before, *({**record, "block": len(before) + record["block"]} for record in after)]


class _Steps:
    """What has been fitted so far, and what the next block is searched on."""

    def __init__(
        self,
        rows: Rows,
        plan: Plan,
        random_state: np.random.RandomState,
        deadline: Deadline,
        start: Sequence[Bijection],
    ) -> None:
        self.rows, self.plan = rows, plan
        self.contest = Contest(plan, random_state, deadline, fresh=not start)
        self.blocks: list[list[Bijection]] = []
        self.finishes: list[Finish] = []
        self.log_det = np.zeros(2)  # mean of training and of held-out rows
        n_columns, weight = rows.summary.lowest.shape[1], rows.summary.weights[0]
        self.latents = latents_of(rows.summary, plan.n_jobs)
        if plan.blocks != "classic":
            n_rows = MANY_SAMPLED if weight > MANY_ROWS else SAMPLE_ROWS
            n_rows = min(n_rows, max(SAMPLE_NUMBERS // n_columns, GRID_ROWS))
            self.latents = self.latents.first(n_rows)
        self.seconds: dict[str, float] = {}
        self.pending: list[Bijection] = []
        if start:
            self._move(start)
            self._count(rows.advance(start))
        else:
            self.pending = [standardisation_of(rows.summary)]
            self._move(self.pending)
            self.moments = self.latents.train.moments.of_weight(weight)

    def scores(self) -> dict[str, float | None]:
        """Return the mean log-densities of training and of held-out rows, in nats."""
        train, held_out = self.log_prob.tolist()
        return {"train": train, "held_out": None if np.isnan(held_out) else held_out}

    def search(self, number: int) -> Finish | None:
        """Return what finishes the next block, None if none gains."""
        return self.contest.winner(self.latents, self.moments, number, self.seconds)

    def commit(self, finish: Finish, *, other_rows: bool = False) -> dict:
        """Fit a block to all rows and push them through it.

        They are other rows than those of the search if it saw a sample of them, or none at all.

        Rows are walked over twice: rotated and counted; then rotated, Gaussianized and replaced.
        Rotating them twice costs less than to store them in between.
        """
        profiles = [self.seconds]

        def gather(maps: Sequence[Map], statistic: Statistic) -> tuple[np.ndarray, ...]:
            sums = self.rows.gather([*self.pending, *maps], statistic)
            profiles.append(sums.seconds)
            return sums.arrays

        sampled = self.latents.train.weights.sum() < self.moments.weight
        block = finish(gather, other_rows=other_rows or sampled)
        totals = self.rows.advance([*self.pending, *block])
        self._move(block)
        self.blocks.append([*self.pending, *block])
        self.finishes.append(finish)
        self.pending, self.seconds = [], {}
        self._count(totals)
        return {
            "kind": " + ".join(bijection.kind for bijection in block),
            "about": "; ".join(filter(None, (bijection.about for bijection in block))),
            **self.scores(),
            "profile": merge_seconds([*profiles, totals.seconds]),
        }

    def _count(self, totals: Totals) -> None:
        weights, base, log_det = totals.scores.T
        self.moments = totals.moments
        with np.errstate(invalid="ignore"):  # no held-out rows: 0 / 0
            self.log_det += log_det / weights
            self.log_prob = base / weights + self.log_det

    def _move(self, bijections: Sequence[Bijection]) -> None:
        if self.plan.blocks == "classic":
            self.latents = self.latents._replace(train=self.latents.train.moved(bijections))
        else:
            self.latents = self.latents.moved(bijections)


def _best_length(history: list[dict], start: float | None) -> int:
    """Return how many blocks are best: one at least, or none if a start is better than all."""
    values = [record["held_out"] for record in history]
    if start is not None and not max(values, default=start) > start:
        return 0
    return 1 + int(np.argmax(values))


def _stalled(history: list[dict], plan: Plan) -> bool:
    """Whether the last n_iter_no_change blocks stayed within tol of the best before them."""
    if len(history) <= plan.n_iter_no_change:
        return False
    values = [record["held_out"] for record in history]
    best_before = max(values[: -plan.n_iter_no_change])
    return max(values[-plan.n_iter_no_change :]) < best_before + plan.tol

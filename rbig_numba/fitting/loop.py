"""The greedy loop: find a block, push all rows through it, look at held-out rows, repeat."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.base import Bijection, Map
from rbig_numba.bijections.whitening import FEWEST_ROWS, Shrinkage, Spread
from rbig_numba.fitting.candidates import GRID_ROWS, Finish, Plan
from rbig_numba.fitting.contest import Contest, most_blocks
from rbig_numba.fitting.latents import Latents, latents_of
from rbig_numba.fitting.splitting import Rows, standardisation_of
from rbig_numba.flow import Flow
from rbig_numba.profile import (
    SILENT,
    Deadline,
    Report,
    TimeIsUp,
    merge_seconds,
    within,
)
from rbig_numba.statistics import Statistic, Summary, Totals

# Rows of either side that competing blocks are searched on and judged by, and numbers in them.
SAMPLE_ROWS, SAMPLE_NUMBERS = 32_768, 2**23
# Of tables of more rows half as many: mixtures are split once more for all rows, and fits of
# 230,000 and 345,000 rows take 5 and 9 s instead of 9 and 13, for 0.04 and 0.02 nats.
MANY_ROWS, MANY_SAMPLED = 100_000, 16_384
# Multiply-adds of the covariance of a fit that has no time, 0.1 s of one core, and the fewest rows.
HURRIED_WORK, HURRIED_ROWS = 4e8, 256


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


class Start(NamedTuple):
    """What rows go through first, fitted before.

    Attributes
    ----------
    bijections : sequence of Bijection
    log_prob : ndarray of shape (2,) or None
        Mean log-densities of training and of held-out rows there, in nats, that scores go on from;
        None: those of the rows.
    renewed : callable or None
        Gives the rows anew behind a flow, before each block: missing cells are drawn again.
    """

    bijections: Sequence[Bijection] = ()
    log_prob: np.ndarray | None = None
    renewed: Callable[[Sequence[Bijection]], Rows] | None = None


RAW = Start()


def sample_size(plan: Plan) -> int:
    """Return how many rows of either side a plan looks at for its searches."""
    return GRID_ROWS if plan.blocks == "classic" else SAMPLE_ROWS


def fit_flow(
    rows: Rows,
    plan: Plan,
    random_state: np.random.RandomState,
    deadline: Deadline,
    report: Report,
    start: Start = RAW,
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
        Work ends there, with the best so far.
    report : Report
        What each block's record and what is being done are told to.
    start : Start
        Blocks are those behind it.

    Returns
    -------
    Fitted
        The blocks kept, and a record for each one tried.
    """
    steps = _Steps(rows, plan, random_state, report, fresh=not start.bijections)
    has_held_out = bool(rows.summary.counts[1])
    key = "held_out" if has_held_out else "train"
    history: list[dict] = []
    n_blocks, best = most_blocks(plan, rows.summary.lowest.shape[1]), None
    with within(deadline), suppress(TimeIsUp):
        best = steps.begin(start.bijections, start.log_prob)[key] if start.bijections else None
        while len(history) < n_blocks:
            started = time.perf_counter()
            if history and not deadline.allows(history[-1]["seconds"]):
                break
            finish = steps.search(len(history))
            if finish is None:
                break
            record = steps.commit(finish)
            before = history[-1][key] if history else best
            record["gain"] = None if before is None else record[key] - before
            record["seconds"] = time.perf_counter() - started
            history.append({"block": len(history) + 1} | record)
            report.block(history[-1])
            if has_held_out and _stalled(history, plan):
                break
            if start.renewed is not None:
                steps.renew(start)
    if not history and not start.bijections:
        history = [steps.hurry()]
    n_kept = _best_length(history, best) if has_held_out else len(history)
    for record in history:
        record["kept"] = record["block"] <= n_kept
    kept = [bijection for block in steps.blocks[:n_kept] for bijection in block]
    return Fitted(Flow((*start.bijections, *kept)), history, steps.finishes[:n_kept])


def refit_flow(
    rows: Rows, plan: Plan, finishes: Sequence[Finish], start: Sequence[Bijection] = ()
) -> Flow:
    """Return the same blocks fitted to all rows.

    Rotations, numbers of components and couplings stay as they are; mixtures go on from where they
    are.
    """
    steps = _Steps(rows, plan, np.random.RandomState(0), SILENT, fresh=not start)
    if start:
        steps.begin(start)
    for finish in finishes:
        steps.commit(finish, other_rows=True)
    return Flow((*start, *(bijection for block in steps.blocks for bijection in block)))


def joined(before: list[dict], after: list[dict]) -> list[dict]:
    """Return the records of two fits, one upon the other, their blocks numbered through."""
    return [*before, *({**record, "block": len(before) + record["block"]} for record in after)]


def searched(summary: Summary, plan: Plan) -> Latents:
    """Return the samples that blocks are searched on."""
    latents = latents_of(summary, plan.n_jobs)
    if plan.blocks == "classic":
        return latents
    n_rows = MANY_SAMPLED if summary.weights[0] > MANY_ROWS else SAMPLE_ROWS
    n_columns = summary.lowest.shape[1]
    return latents.first(min(n_rows, max(SAMPLE_NUMBERS // n_columns, GRID_ROWS)))


class _Steps:
    """What has been fitted so far, and what the next block is searched on."""

    def __init__(
        self,
        rows: Rows,
        plan: Plan,
        random_state: np.random.RandomState,
        report: Report,
        *,
        fresh: bool,
    ) -> None:
        self.rows, self.plan, self.report = rows, plan, report
        self.contest = Contest(plan, random_state, report, fresh=fresh)
        self.blocks: list[list[Bijection]] = []
        self.finishes: list[Finish] = []
        self.log_prob = np.full(2, np.nan)  # means of training and of held-out rows
        self.log_det = np.zeros(2)
        n_columns, weight = rows.summary.lowest.shape[1], rows.summary.weights[0]
        self.latents = searched(rows.summary, plan)
        self.seconds: dict[str, float] = {}
        self.pending: list[Bijection] = []
        if fresh:
            self.pending = [standardisation_of(rows.summary)]
            self._move(self.pending)
            some = max(HURRIED_ROWS, int(HURRIED_WORK / n_columns**2))
            self.first_moments = self.latents.train.first(some).moments
            self.moments = self.first_moments.of_weight(weight)

    def begin(
        self, start: Sequence[Bijection], log_prob: np.ndarray | None = None
    ) -> dict[str, float | None]:
        """Push all rows through what was fitted before; return their scores there, or those given.

        Later ones go on from them.
        """
        self._move(start)
        self._count(self.rows.advance(start))
        if log_prob is not None:
            self.log_det += log_prob - self.log_prob
            self.log_prob = log_prob
        return self.scores()

    def renew(self, start: Start) -> None:
        """Take the rows anew, behind all blocks so far; scores stay as they are."""
        assert start.renewed is not None
        self.report.doing("drawing missing cells")
        flow = [*start.bijections, *(bijection for block in self.blocks for bijection in block)]
        self.rows, self.log_det = start.renewed(flow), np.zeros(2)
        self.latents = searched(self.rows.summary, self.plan)
        self.begin(flow, self.log_prob)

    def hurry(self) -> dict:
        """Whiten by a few rows of the sample, if there was no time for a block; return its record.

        Rows are not pushed, and the scores are those of the sample.
        """
        started = time.perf_counter()
        weight, (mean, covariance) = self.first_moments.weight, self.first_moments.rounded()
        shrinkage = Shrinkage(0, isotropic=True, strength=float(len(mean)))
        if len(self.latents.train.rows) < FEWEST_ROWS:  # standardised columns are all that is known
            mean, covariance = np.zeros_like(mean), np.eye(len(mean))
        block = shrinkage.block(mean, Spread(weight, covariance))
        self.blocks.append([*self.pending, *block])
        sides = [side.first(HURRIED_ROWS).moved(block) for side in self.latents]
        self.log_prob = np.array([side.log_prob for side in sides])
        if not self.rows.summary.counts[1]:
            self.log_prob[1] = np.nan
        record: dict = {"block": 1, **_described(block), **self.scores(), "profile": {}}
        return record | {"gain": None, "seconds": time.perf_counter() - started}

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
        self.report.doing("fitting all rows")

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
        seconds = merge_seconds([*profiles, totals.seconds])
        return {**_described(block), **self.scores(), "profile": seconds}

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


def _described(block: Sequence[Bijection]) -> dict[str, str]:
    return {
        "kind": " + ".join(bijection.kind for bijection in block),
        "about": "; ".join(filter(None, (bijection.about for bijection in block))),
    }


def _best_length(history: list[dict], start: float | None) -> int:
    """Return how many blocks are best: one at least, or none if a start is better than all."""
    values = [record["held_out"] for record in history]
    if not values:
        return 0
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

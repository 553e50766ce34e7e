"""Which block comes next: openings that compete first, then the kinds of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from rbig_numba.fitting.candidates import KINDS, OPENING_WORK, Effort, Finish, Plan, Search
from rbig_numba.fitting.latents import Latents
from rbig_numba.profile import NEVER, Report, TimeIsUp, current_deadline, within
from rbig_numba.statistics import Moments

# Columns from which on fits may open with whitening, and must: rows of fewer columns have
# covariances that need no shrinking, and rows of more take minutes without.
BROAD, WIDE = 16, 64
# How a fit may open, and rows of either side that these compete on: so many, or for each column.
OPENINGS: tuple[tuple[str, ...], ...] = (
    ("mixture", "joint"),
    ("joint",),
    5 * ("mixture",) + ("joint",),
    ("whitening", "joint"),
    ("mixture", "whitening", "joint"),
)
OPENING_ROWS, OPENING_ROWS_PER_COLUMN = 2048, 32
# Seconds that competing openings take, and their share of what is left of a fit's.
OPENING_SECONDS, OPENING_SHARE = 3.0, 0.3
# Blocks that compete at most, times columns: each costs D^2 multiply-adds a row, and more to find.
WIDE_BLOCKS, FEWEST_BLOCKS = 3200, 6
# Share of the seconds left that a search takes: all rows are to be fitted in the others.
SEARCH_SHARE = 0.5
# Rows below which openings don't compete: one row has no variance.
FEWEST_ROWS = 32


def competing(n_columns: int) -> list[str]:
    """Return the kinds of blocks that compete for tables of so many columns."""
    return [kind for kind in KINDS if kind != "whitening" or n_columns >= WIDE]


def most_blocks(plan: Plan, n_columns: int) -> int:
    """Return how many blocks a plan has for tables of so many columns at most."""
    if plan.blocks != "auto" or n_columns < WIDE:
        return plan.n_blocks
    return min(plan.n_blocks, max(WIDE_BLOCKS // n_columns, FEWEST_BLOCKS))


def openings(n_columns: int) -> list[tuple[str, ...]]:
    """Return the openings that compete for tables of so many columns."""
    known = [opening for opening in OPENINGS if set(opening) <= set(KINDS)]
    white = [opening for opening in known if "whitening" in opening]
    if n_columns < BROAD:
        return [opening for opening in known if opening not in white]
    return white if n_columns >= WIDE and white else known


class Contest:
    """Searches for blocks as a plan says, on samples of the rows.

    `fresh` says whether rows come as they are, standardised only, or from a fitted flow.
    """

    def __init__(
        self,
        plan: Plan,
        random_state: np.random.RandomState,
        report: Report,
        *,
        fresh: bool,
    ) -> None:
        self.plan, self.random_state, self.report = plan, random_state, report
        self.fresh = fresh
        self.gains: dict[str, float] = {}
        self.effort = Effort()
        self.kinds: list[str] = []
        self.taken: list[str] = []

    def winner(
        self, latents: Latents, moments: Moments, number: int, seconds: dict[str, float]
    ) -> Finish | None:
        """Return what finishes block `number`, which is taken, or None if none gains.

        Parameters
        ----------
        latents : Latents
            Samples of the rows behind the blocks so far.
        moments : Moments
            Of all training rows there.
        number : int
            0 is the first block.
        seconds : dict of str to float
            Thread-seconds by stage, added to.
        """
        search = self._search(latents, moments, self.taken, seconds)
        kind, finish = self._next(search, number)
        self.taken.append(kind)
        return finish

    def _next(self, search: Search, number: int) -> tuple[str, Finish | None]:
        """Return the kind of the next block, and what finishes it."""
        n_columns = len(search.moments.mean)
        if self.plan.blocks == "classic":
            return "mixture", self._found("mixture", search)
        if number == 0:
            self.gains = dict.fromkeys(competing(n_columns), np.inf)
            if self.plan.blocks != "auto":
                self.kinds = list(self.plan.blocks)
            elif self.fresh:
                self.kinds = list(self._best_opening(search))
        while self.kinds:
            kind = self.kinds.pop(0)
            finish = self._found(kind, search)
            if finish is not None:
                return kind, finish
            if n_columns >= WIDE:  # a search of 300 columns takes seconds
                self.gains.pop(kind, None)
        kind, finish = self._best_kind(search) if self.plan.blocks == "auto" else ("", None)
        if finish is None and number == 0 and self.fresh:
            kind, finish = "mixture", self._found("mixture", search)
        return kind, finish

    def _found(self, kind: str, search: Search) -> Finish | None:
        """Search for a block of a kind, for some of the time left: None if that is too short."""
        self.report.doing(f"searching: {kind}")
        with within(current_deadline().part(SEARCH_SHARE)) as deadline, suppress(TimeIsUp):
            return KINDS[kind](replace(search, deadline=deadline))
        current_deadline().check()
        return None

    def _search(
        self,
        latents: Latents,
        moments: Moments,
        kinds: Sequence[str],
        seconds: dict[str, float],
    ) -> Search:
        first = not kinds and self.fresh
        draws = self.random_state
        return Search(self.plan, draws, latents, moments, kinds, first, NEVER, self.effort, seconds)

    def _best_opening(self, search: Search) -> tuple[str, ...]:
        """Return the first blocks: those with the best density, fitted to a few rows of the sample.

        The block that gains most is not always the one to begin with: a joint mixture leaves
        little to rotations, and rotations make rows such that it needs more components.
        """
        n_rows, n_columns = search.latents.train.rows.shape
        possible = openings(n_columns)
        deadline = current_deadline()
        if n_rows < FEWEST_ROWS or not deadline.allows(OPENING_SECONDS):
            return possible[0]
        scores: dict[tuple[str, ...], float] = {}
        with within(deadline.part(OPENING_SHARE)), suppress(TimeIsUp):
            for opening in possible:
                scores[opening] = self._try(opening, search)
        return max(scores, key=scores.__getitem__, default=possible[0])

    def _try(self, opening: tuple[str, ...], search: Search) -> float:
        """Return the mean log-density of the judging rows behind blocks of some kinds, in nats."""
        n_rows = max(OPENING_ROWS, OPENING_ROWS_PER_COLUMN * search.latents.train.rows.shape[1])
        latents, moments = search.latents.first(n_rows), search.moments
        effort = Effort(OPENING_WORK)
        for number, kind in enumerate(opening):
            trial = self._search(latents, moments, opening[:number], search.seconds)
            finish = self._found(kind, replace(trial, effort=effort))
            if finish is not None:
                latents = latents.moved(finish(latents.train.gather, other_rows=False))
                moments = latents.train.moments
        return latents.judges.log_prob

    def _best_kind(self, search: Search) -> tuple[str, Finish | None]:
        """Return the kind that surely gains most on the judging rows, and what finishes it.

        Lazily (Minoux 1978, "Accelerated greedy algorithms"): a kind that gained less in an
        earlier round than another one gains now is not searched again.
        """
        best: Finish | None = None
        best_kind, best_gain = "", self.plan.tol
        for kind in sorted(self.gains, key=self.gains.__getitem__, reverse=True):
            if self.gains[kind] <= best_gain:
                break
            self.gains[kind], finish = -np.inf, None
            try:
                finish = self._found(kind, search)
                if finish is not None:
                    self.gains[kind] = self._gain(finish, search.latents)
            except TimeIsUp:
                if best is None:
                    raise
                break
            if self.gains[kind] > best_gain:
                best_kind, best, best_gain = kind, finish, self.gains[kind]
        return best_kind, best

    def _gain(self, finish: Finish, latents: Latents) -> float:
        block = finish(latents.train.gather, other_rows=False)
        return latents.judges.moved(block).sure_gain(latents.judges)

"""Which block comes next: openings that compete first, then the kinds of blocks."""

from __future__ import annotations

import numpy as np

from rbig_numba.fitting.candidates import KINDS, Finish, Plan, Search, marginal
from rbig_numba.fitting.latents import Latents
from rbig_numba.profile import Deadline
from rbig_numba.statistics import Moments

# How a fit may open, rows of either side that these compete on, and the seconds that this may take.
OPENINGS = (("mixture", "joint"), ("joint",), 5 * ("mixture",) + ("joint",))
OPENING_ROWS, OPENING_SECONDS = 2048, 3.0
# Rows below which openings don't compete: one row has no variance.
FEWEST_ROWS = 32


class Contest:
    """Searches for blocks as a plan says, on samples of the rows.

    `fresh` says whether rows come as they are, standardised only, or from a fitted flow.
    """

    def __init__(
        self,
        plan: Plan,
        random_state: np.random.RandomState,
        deadline: Deadline,
        *,
        fresh: bool,
    ) -> None:
        self.plan, self.random_state, self.deadline = plan, random_state, deadline
        self.fresh = fresh
        self.gains = dict.fromkeys(KINDS, np.inf)
        self.kinds: list[str] = []

    def winner(
        self, latents: Latents, moments: Moments, number: int, seconds: dict[str, float]
    ) -> Finish | None:
        """Return what finishes block `number`, None if none gains.

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
        search = self._search(latents, moments, number, seconds)
        if self.plan.blocks == "classic":
            return marginal(search)
        if number == 0:
            if self.plan.blocks != "auto":
                self.kinds = list(self.plan.blocks)
            elif self.fresh:
                self.kinds = list(self._best_opening(search))
        while self.kinds:
            finish = KINDS[self.kinds.pop(0)](search)
            if finish is not None:
                return finish
        finish = self._best_kind(search) if self.plan.blocks == "auto" else None
        return marginal(search) if finish is None and number == 0 and self.fresh else finish

    def _search(
        self, latents: Latents, moments: Moments, number: int, seconds: dict[str, float]
    ) -> Search:
        draws, deadline = self.random_state, self.deadline
        first = number == 0 and self.fresh
        return Search(self.plan, draws, latents, moments, first, deadline, seconds)

    def _best_opening(self, search: Search) -> tuple[str, ...]:
        """Return the first blocks: those with the best density, fitted to a few rows of the sample.

        The block that gains most is not always the one to begin with: a joint mixture leaves
        little to rotations, and rotations make rows such that it needs more components.
        """
        too_few = len(search.latents.train.rows) < FEWEST_ROWS
        if too_few or not self.deadline.allows(OPENING_SECONDS):
            return OPENINGS[0]
        scores = {opening: self._try(opening, search) for opening in OPENINGS}
        return max(scores, key=scores.__getitem__)

    def _try(self, opening: tuple[str, ...], search: Search) -> float:
        """Return the mean log-density of the judging rows behind blocks of some kinds, in nats."""
        latents, moments = search.latents.first(OPENING_ROWS), search.moments
        for number, kind in enumerate(opening):
            finish = KINDS[kind](self._search(latents, moments, number, search.seconds))
            if finish is not None:
                latents = latents.moved(finish(latents.train.gather, other_rows=False))
                moments = latents.train.moments
        return latents.judges.log_prob

    def _best_kind(self, search: Search) -> Finish | None:
        """Return what finishes the block that surely gains most on the judging rows.

        Lazily (Minoux 1978, "Accelerated greedy algorithms"): a kind that gained less in an
        earlier round than another one gains now is not searched again.
        """
        best, best_gain = None, self.plan.tol
        before = search.latents.judges
        for kind in sorted(self.gains, key=self.gains.__getitem__, reverse=True):
            if self.gains[kind] <= best_gain or (best and not self.deadline.allows(0.0)):
                break
            finish = KINDS[kind](search)
            self.gains[kind] = -np.inf
            if finish is not None:
                block = finish(search.latents.train.gather, other_rows=False)
                self.gains[kind] = before.moved(block).sure_gain(before)
            if self.gains[kind] > best_gain:
                best, best_gain = finish, self.gains[kind]
        return best

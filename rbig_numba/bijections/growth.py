"""Mixtures of Gaussians with full covariances, grown from one component by splitting all in two."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.components import (
    Components,
    Pairs,
    single,
    split,
    updated,
)
from rbig_numba.bijections.crowd import Crowd
from rbig_numba.profile import Deadline, TimeIsUp

# Steps of EM after a split at most, and between two looks at held-out rows; nats per row, column
# and step below which EM ends.
MAX_STEPS, STEPS, TOL = 60, 5, 1e-4
# Looks between two at which components are near which rows.
RENEWAL = 3
# Looks at held-out rows without a gain after which it ends too.
PATIENCE = 3
# Held-out nats that twice the components must gain: a row's density takes twice as long.
LEAST_GAIN = 2e-3
# Up to this size growth goes on without a gain: 2 components may find nothing where 16 do.
SMALL = 16
# Components at most, and rows that each must find on average.
MAX_COMPONENTS, MIN_ROWS = 256, 32
# Rows per shape and column below which a prior as strong as D rows is tried: of one scale it won at
# 5 and 8 on tables of 8 to 15 columns; of eight on patches of 255 it wins at 7 by 0.8 nats, and
# loses at 13 by 2. And rows of which it costs nothing to try.
STRONG_ROWS, FEW_ROWS = 8.0, 1500
# Numbers of scales that compete: the squared lengths of whitened rows of D columns tell sizes apart
# that differ by 1 over the root of D. One shape of 1, 4, 6, 8 scales: whitened patches of 255
# columns have -376, -232, -222, -219 nats; MAGIC's 10 of 1, 2, 4 scales -10.15, -9.76, -9.74.
SCALES = (1, 2, 4, 8)
# Nats behind other scales of as many shapes that end a growth; those that twice the scales must
# gain, as a row's density takes nearly twice as long.
BEHIND, SCALES_GAIN = 1.0, 0.01


class Grown(NamedTuple):
    """Components, the strength of the prior that they were fitted with, and their worth.

    The worth is the mean log-density of held-out rows, in nats.
    """

    worth: float
    components: Components
    strength: float

    @property
    def size(self) -> int:
        """How many components there are."""
        return len(self.components.weights)


class Ground(NamedTuple):
    """What mixtures grow on.

    Attributes
    ----------
    train, judges : Crowd
        Training and held-out rows.
    mean, covariance : ndarray of shape (D,) and (D, D)
        Those of the training rows.
    deadline : Deadline
        Growth ends before it.
    random_state : RandomState
        Draws axes.
    most_work : float
        Multiply-adds of the training rows at most: growth ends with the best so far.
    """

    train: Crowd
    judges: Crowd
    mean: np.ndarray
    covariance: np.ndarray
    deadline: Deadline
    random_state: np.random.RandomState
    most_work: float

    def grown(self, components: Components, strength: float) -> Grown:
        """Return components and their worth."""
        return Grown(self.judges.log_prob(components), components, strength)

    def settled(self, components: Components, near: list[Pairs], strength: float) -> Grown:
        """Run EM for as long as held-out rows gain, or training rows do; return the best look.

        That ends a size that is too large long before EM does, which it would take most of all
        time for.
        """
        best, last, failures = Grown(-np.inf, components, strength), -np.inf, 0
        for look in range(MAX_STEPS // STEPS):
            started = time.perf_counter()
            if look and look % RENEWAL == 0:
                near = self.train.near(components)
            for _ in range(STEPS):
                sums = self.train.sums(components, near)
                kept = updated(components, sums, strength)
                if len(kept.weights) < len(components.weights):
                    near = self.train.near(kept)
                components = kept
            trial, value = self.grown(components, strength), sums.log_likelihood
            failures = 0 if trial.worth > best.worth else failures + 1
            best = best if failures else trial
            if failures == PATIENCE or value - last < STEPS * TOL * len(self.mean):
                break
            if not self.allows(time.perf_counter() - started):
                break
            last = value
        return best

    def allows(self, seconds: float) -> bool:
        """Whether so many seconds are left, and work."""
        return self.deadline.allows(seconds) and self.train.work < self.most_work

    def doubled(self, grown: Grown, strength: float) -> Grown:
        """Split all shapes and run EM."""
        near = [pairs.doubled() for pairs in self.train.near(grown.components)]
        return self.settled(split(grown.components, self.random_state), near, strength)

    def chain(self, start: Grown, strength: float, worths: list[float]) -> list[Grown]:
        """Return a mixture and what it becomes when doubled, for as long as held-out rows gain.

        And not behind `worths`, those of other scales after as many doublings, which are raised.

        And for as long as it grows: halves that find no row are left out, and where a far row takes
        one of two components for itself, what is left of four are two again, time after time.
        """
        limit = min(MAX_COMPONENTS, self.train.weight / MIN_ROWS)
        grown, best, seconds = [start], 0, 0.0
        # Twice the components take twice as long, and at times a few steps more.
        while 2 * grown[-1].size <= limit and self.allows(2.5 * seconds):
            if _raised(worths, len(grown) - 1, grown[-1].worth) - grown[-1].worth > BEHIND:
                break
            started = time.perf_counter()
            try:
                grown.append(self.doubled(grown[-1], strength))
            except TimeIsUp:
                break
            seconds = time.perf_counter() - started
            if grown[-1].size <= grown[-2].size:
                break
            if grown[-1].worth > grown[best].worth + LEAST_GAIN:
                best = len(grown) - 1
            elif grown[-1].size > SMALL:
                break
        return grown[: best + 1]

    def single(self, n_scales: int) -> Grown:
        """Return one shape of so many scales."""
        components = single(self.mean, self.covariance)
        if n_scales == 1:
            return self.grown(components, 1.0)
        components = components.scaled(n_scales)
        return self.settled(components, self.train.near(components), 1.0)


def _raised(worths: list[float], place: int, worth: float) -> float:
    """Return the greatest worth so far at a place, and keep it there."""
    if place == len(worths):
        worths.append(worth)
    worths[place] = max(worths[place], worth)
    return worths[place]


def _starts(ground: Ground) -> list[Grown]:
    """Return one shape of the most scales that held-out rows gain by, and one of one scale."""
    one = best = ground.single(SCALES[0])
    for n_scales in SCALES[1:]:
        try:
            start = ground.single(n_scales)
        except TimeIsUp:
            break
        if start.worth < best.worth + SCALES_GAIN:
            break
        best = start
    return [one] if best is one else [best, one]


def _best_chain(ground: Ground) -> list[Grown]:
    """Return the growth of several scales or of one."""
    worths: list[float] = []
    several, *one = [ground.chain(start, 1.0, worths) for start in _starts(ground)]
    return one[0] if one and one[0][-1].worth >= several[-1].worth - SCALES_GAIN else several


def grow(ground: Ground) -> Grown:
    """Grow a mixture for as long as held-out rows gain, once for each number of scales.

    All shapes are split in two, EM follows, and so on: from one shape, with hardly any prior; then,
    if rows are few, with a prior as strong as D rows, from half of the best size on.

    Against k-means starts of the same sizes real tables of 8 to 15 columns gain 0.1 to 0.3 nats.
    """
    chain = _best_chain(ground)
    best, n_columns = chain[-1], len(ground.mean)
    few = max(STRONG_ROWS * n_columns * best.size, FEW_ROWS)
    if len(chain) < 2 or ground.train.weight >= few:
        return best
    strong = ground.chain(chain[-2]._replace(worth=-np.inf), float(n_columns), [])[-1]
    return max(best, strong, key=lambda grown: grown.worth)


def halvings(n_components: int, ratio: float) -> int:
    """Return how often to split all components of a mixture for `ratio` times as many rows.

    First at twice the rows, then once per factor of 4, so that no component has fewer rows than
    those of the sample had. Held-out rows of image patches gain 1.5 nats by 32 components instead
    of 16 on 2.7 times the rows, test rows of 10 columns 0.14 by 256 instead of 128 on 19 times.
    """
    most = np.log2(MAX_COMPONENTS / n_components)
    return max(0, int(min(0.5 + np.log2(max(ratio, 1.0)) / 2.0, most)))

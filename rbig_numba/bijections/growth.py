"""Mixtures of Gaussians with full covariances, grown from one component by splitting all in two."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.components import (
    MIN_VARIANCE,
    Components,
    log_likelihood,
    split,
    updated,
)
from rbig_numba.bijections.crowd import Crowd
from rbig_numba.profile import Deadline

# Steps of EM after a split at most, and between two looks at held-out rows; nats per row and step
# below which EM ends.
MAX_STEPS, STEPS, TOL = 60, 5, 1e-3
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
# Rows per component and column below which a prior as strong as D rows may pay: on real tables it
# won at 5 and 8, and lost from 11 on. Of so few rows it costs nothing to try.
STRONG_ROWS, FEW_ROWS = 8.0, 1500
# Multiply-adds of a step of EM at most: a quarter of a second on two cores.
MAX_WORK = 4e9


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
    """

    train: Crowd
    judges: Crowd
    mean: np.ndarray
    covariance: np.ndarray
    deadline: Deadline
    random_state: np.random.RandomState

    def grown(self, components: Components, strength: float) -> Grown:
        """Return components and their worth."""
        return Grown(self.judges.log_prob(components), components, strength)

    def doubled(self, grown: Grown, strength: float) -> Grown:
        """Split all components and run EM for as long as held-out rows gain, or training rows do.

        That ends a size that is too large long before EM does, which it would take most of all
        time for.
        """
        near = [pairs.doubled() for pairs in self.train.near(grown.components)]
        components = split(grown.components, self.random_state)
        best, last, failures = grown._replace(worth=-np.inf), -np.inf, 0
        for look in range(MAX_STEPS // STEPS):
            if look and look % RENEWAL == 0:
                near = self.train.near(components)
            for _ in range(STEPS):
                sums, products = self.train.sums(components, near)
                kept = updated(components, sums, products, strength)
                if len(kept.weights) < len(components.weights):
                    near = self.train.near(kept)
                components = kept
            trial, value = self.grown(components, strength), log_likelihood(sums)
            failures = 0 if trial.worth > best.worth else failures + 1
            best = best if failures else trial
            if failures == PATIENCE or value - last < STEPS * TOL:
                break
            last = value
        return best

    def chain(self, start: Grown, strength: float) -> list[Grown]:
        """Return a mixture and what it becomes when doubled, for as long as held-out rows gain.

        And for as long as it grows: halves that find no row are left out, and where a far row takes
        one of two components for itself, what is left of four are two again, time after time.
        """
        limit = MAX_WORK / (self.train.weight * len(self.mean) ** 2)
        limit = min(MAX_COMPONENTS, self.train.weight / MIN_ROWS, limit)
        grown, best, seconds = [start], 0, 0.0
        # Twice the components take twice as long, and at times a few steps more.
        while 2 * grown[-1].size <= limit and self.deadline.allows(2.5 * seconds):
            started = time.perf_counter()
            grown.append(self.doubled(grown[-1], strength))
            seconds = time.perf_counter() - started
            if grown[-1].size <= grown[-2].size:
                break
            if grown[-1].worth > grown[best].worth + LEAST_GAIN:
                best = len(grown) - 1
            elif grown[-1].size > SMALL:
                break
        return grown[: best + 1]


def grow(ground: Ground) -> Grown:
    """Grow a mixture for as long as held-out rows gain.

    All components are split in two, EM follows, and so on: from one component, with hardly any
    prior; then, if rows are few, with a prior as strong as D rows, from half of the best size on.

    Against k-means starts of the same sizes real tables of 8 to 15 columns gain 0.1 to 0.3 nats.
    """
    covariance = ground.covariance + MIN_VARIANCE * np.eye(len(ground.mean))
    single = Components(np.ones(1), ground.mean[None], covariance[None])
    chain = ground.chain(ground.grown(single, 1.0), 1.0)
    best, n_columns = chain[-1], len(ground.mean)
    few = max(STRONG_ROWS * n_columns * best.size, FEW_ROWS)
    if len(chain) < 2 or ground.train.weight >= few:
        return best
    parent = chain[-2]._replace(worth=-np.inf)
    return max(best, ground.chain(parent, float(n_columns))[-1], key=lambda grown: grown.worth)


def halvings(n_components: int, ratio: float) -> int:
    """Return how often to split all components of a mixture for `ratio` times as many rows.

    First at twice the rows, then once per factor of 4, so that no component has fewer rows than
    those of the sample had. Held-out rows of image patches gain 1.5 nats by 32 components instead
    of 16 on 2.7 times the rows, test rows of 10 columns 0.14 by 256 instead of 128 on 19 times.
    """
    most = np.log2(MAX_COMPONENTS / n_components)
    return max(0, int(min(0.5 + np.log2(max(ratio, 1.0)) / 2.0, most)))

"""Blocks that compete: each kind is searched for on a sample, and finished on all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from rbig_numba import binning
from rbig_numba.bijections import growth
from rbig_numba.bijections.base import Bijection
from rbig_numba.bijections.ica import ica_rotation
from rbig_numba.bijections.mixture import Mixture, fit_column, from_columns
from rbig_numba.bijections.rotation import Rotation, pca_rotation, random_rotation
from rbig_numba.latents import Gather, Latents
from rbig_numba.profile import stage
from rbig_numba.statistics import Moments
from rbig_numba.threads import map_threads

# Rows whose quantiles place histogram edges; the histograms themselves count every row.
GRID_ROWS = 8192
# A component needs rows to be estimated from; tiny tables get fewer components than asked for.
ROWS_PER_COMPONENT = 5
# Steps of EM on all rows, after a joint mixture was grown on a sample of them.
JOINT_STEPS = 6


class Plan(NamedTuple):
    """How to fit: the parameters of `RBIG` of the same names, checked."""

    n_blocks: int
    blocks: str | tuple[str, ...]
    n_components: int
    rotation: str
    n_iter_no_change: int
    tol: float
    n_jobs: int | None


@dataclass
class Search:
    """What a search for a block knows.

    Attributes
    ----------
    plan : Plan
        How to fit.
    random_state : RandomState
        Source of all draws.
    latents : Latents
        Samples of the rows, in the latent space so far.
    moments : Moments
        Of all training rows there.
    first : bool
        Whether columns are only standardised so far.
    seconds : dict of str to float
        Thread-seconds by stage, added to.
    """

    plan: Plan
    random_state: np.random.RandomState
    latents: Latents
    moments: Moments
    first: bool
    seconds: dict[str, float] = field(default_factory=dict)


Finish = Callable[[Gather], list[Bijection]]
"""Fits what a search found to the rows that statistics are gathered over."""


def marginal(search: Search) -> Finish:
    """Rotate columns, but for the first block, and Gaussianize each of them."""
    rows, weights = (array[:GRID_ROWS] for array in search.latents.train[:2])
    maps: list[Bijection] = []
    with stage(search.seconds, "search"):
        if not search.first and rows.shape[1] > 1:
            maps = [_rotation(search)]
    with stage(search.seconds, "grid"):
        moved = maps[0].forward(rows)[0] if maps else rows
        grid = binning.grid_of(moved, weights, search.plan.n_jobs)

    def finish(gather: Gather) -> list[Bijection]:
        (sums,) = gather(maps, binning.Histograms(grid))
        return [*maps, _mixture(search, binning.bins_of(sums, grid))]

    return finish


def _rotation(search: Search) -> Rotation:
    plan, draws, moments = search.plan, search.random_state, search.moments
    if plan.rotation == "random":
        return random_rotation(len(moments.mean), draws)
    principal = pca_rotation(moments.rounded()[1], moments.weight, draws)
    if plan.rotation == "pca":
        return principal
    rows, weights = search.latents.train[:2]
    return ica_rotation(rows, weights, principal, draws, plan.n_jobs)


def _mixture(search: Search, bins: np.ndarray) -> Mixture:
    affordable = max(1, int(search.moments.weight / ROWS_PER_COMPONENT))
    n_components = min(search.plan.n_components, affordable)
    seconds: list[dict[str, float]] = [{} for _ in bins]

    def fit(number: int) -> np.ndarray:
        with stage(seconds[number], "em"):
            return fit_column(bins[number], n_components)

    columns = map_threads(fit, range(len(bins)), search.plan.n_jobs)
    total = sum(part["em"] for part in seconds)
    search.seconds["em"] = search.seconds.get("em", 0.0) + total
    return from_columns(columns)


def joint(search: Search) -> Finish | None:
    """Grow a mixture of Gaussians with full covariances."""
    train, judges = search.latents
    moments = train.moments
    with stage(search.seconds, "joint"):
        grown = growth.grow(
            lambda statistic: train.gather([], statistic),
            lambda statistic: judges.gather([], statistic),
            *moments.rounded(),
            moments.weight,
        )
    if len(grown.components.weights) < 2:
        return None
    n_steps = JOINT_STEPS if search.moments.weight > moments.weight else 0

    def finish(gather: Gather) -> list[Bijection]:
        components = growth.refined(lambda statistic: gather([], statistic), grown, n_steps)
        return [growth.joint_mixture(components, search.moments.weight)]

    return finish


KINDS: dict[str, Callable[[Search], Finish | None]] = {"mixture": marginal, "joint": joint}
"""Searches by the names that `RBIG(blocks=...)` takes; None where there is nothing to find."""

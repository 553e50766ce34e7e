"""Blocks that compete: each kind is searched for on a sample, and finished on all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from rbig_numba.bijections import growth
from rbig_numba.bijections.base import Bijection
from rbig_numba.bijections.components import joint_mixture, refined
from rbig_numba.bijections.crowd import Crowd
from rbig_numba.bijections.energies import LogRadii, energy_groups
from rbig_numba.bijections.ica import ica_rotation
from rbig_numba.bijections.joint import Band
from rbig_numba.bijections.mixture import fit_column, from_columns
from rbig_numba.bijections.radial import radial_from
from rbig_numba.bijections.regression import fit_coupling
from rbig_numba.bijections.rotation import Rotation, pca_rotation, random_rotation
from rbig_numba.bijections.sliced import sliced_rotation
from rbig_numba.bijections.whitening import FEWEST_ROWS, Spread, best_shrinkage
from rbig_numba.fitting import binning
from rbig_numba.fitting.latents import Gather, Latents
from rbig_numba.profile import Deadline, stage
from rbig_numba.statistics import Moments, MomentSums
from rbig_numba.threads import map_threads

# Rows whose quantiles place histogram edges; the histograms themselves count every row.
GRID_ROWS = 8192
# A component needs rows to be estimated from; tiny tables get fewer components than asked for.
ROWS_PER_COMPONENT = 5
# Columns from which on "auto" rotations are sliced. Held-out nats after 8 blocks, ica and sliced:
# tables of 10 columns 0.59 and 0.22, -5.38 and -5.60; of 15 columns -2.28 and -2.27; patches of
# 16 columns -11.8 and -11.4, of 32 -23.7 and -21.7, of 63 -34.4 and -31.8, in a third of the time.
SLICED_COLUMNS = 16
# Held-out rows that say how far joint mixtures grow: they are pushed through all components.
JUDGING_ROWS = 8192
# Steps of EM on all rows, after a joint mixture was grown on a sample of them: with 12 instead of 6
# test rows of two tables of 230,000 and 345,000 rows gain 0.03 and 0.05 nats, in 1.5 times as long.
JOINT_STEPS = 10


# Multiply-adds that joint mixtures of a fit may take to grow, and each of openings that compete: a
# minute of two cores, and 4 s. Tables of 10 columns take a hundredth.
FIT_WORK, OPENING_WORK = 8e11, 4e10
# Columns that joint mixtures of wide tables are of, at most, after a first one of all columns. On
# patches of 255 columns, behind that and a radial block, four of 64 gain 4.8 nats for 2.6e11
# multiply-adds; another one of all columns gains 2 for 2.8e11, as its shapes have 12 times as many
# numbers to be estimated.
BAND = 64


@dataclass
class Effort:
    """Multiply-adds left; each search takes half of them at most."""

    left: float = FIT_WORK


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
    kinds : sequence of str
        Of the blocks so far.
    first : bool
        Whether columns are only standardised so far.
    deadline : Deadline
        Searches end before it, with the best so far.
    effort : Effort
        What growths of joint mixtures may take, taken from.
    seconds : dict of str to float
        Thread-seconds by stage, added to.
    """

    plan: Plan
    random_state: np.random.RandomState
    latents: Latents
    moments: Moments
    kinds: Sequence[str]
    first: bool
    deadline: Deadline
    effort: Effort
    seconds: dict[str, float] = field(default_factory=dict)


class Finish(Protocol):
    """Fits what a search found to rows."""

    def __call__(self, gather: Gather, *, other_rows: bool) -> list[Bijection]:
        """Return the block.

        Parameters
        ----------
        gather : callable
            Sums statistics up over the rows.
        other_rows : bool
            Whether these are others than those of the search.
        """


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

    def finish(gather: Gather, *, other_rows: bool) -> list[Bijection]:
        (sums,) = gather(maps, binning.Histograms(grid))
        return [*maps, from_columns(_columns(search, binning.bins_of(sums, grid)))]

    return finish


def _rotation(search: Search) -> Rotation:
    plan, draws, moments = search.plan, search.random_state, search.moments
    n_features, kind = len(moments.mean), plan.rotation
    if kind == "auto":
        kind = "ica" if n_features < SLICED_COLUMNS else "sliced"
    if kind == "random":
        return random_rotation(n_features, draws)
    principal = pca_rotation(moments.rounded()[1], moments.weight, draws)
    if kind == "pca":
        return principal
    rows, weights = search.latents.train[:2]
    if kind == "sliced":
        return sliced_rotation(rows, weights, principal, draws)
    return ica_rotation(rows, weights, principal, draws, plan.n_jobs)


def _columns(search: Search, bins: np.ndarray) -> list[np.ndarray]:
    """Fit the mixture of each column (D, 3, B)."""
    affordable = max(1, int(search.moments.weight / ROWS_PER_COMPONENT))
    n_components = min(search.plan.n_components, affordable)
    seconds: list[dict[str, float]] = [{} for _ in bins]

    def fit(number: int) -> np.ndarray:
        with stage(seconds[number], "em"):
            return fit_column(bins[number], n_components)

    columns = map_threads(fit, range(len(bins)), search.plan.n_jobs)
    total = sum(part["em"] for part in seconds)
    search.seconds["em"] = search.seconds.get("em", 0.0) + total
    return columns


def joint(search: Search) -> Finish | None:
    """Grow a mixture of Gaussians with full covariances, of all columns or of a band of them."""
    train, judges = search.latents.train, search.latents.judges.first(JUDGING_ROWS)
    if len(train.rows) < 2 * growth.MIN_ROWS:
        return None
    band = _band(search.kinds.count("joint"), train.rows.shape[1])
    mean, covariance = train.moments.rounded()
    with stage(search.seconds, "joint"):
        ground = growth.Ground(
            Crowd(train.rows[:, band], train.weights, search.plan.n_jobs),
            Crowd(judges.rows[:, band], judges.weights, search.plan.n_jobs),
            mean[band],
            covariance[band, band],
            search.deadline,
            search.random_state,
            0.5 * search.effort.left,
        )
        grown = growth.grow(ground)
        search.effort.left -= ground.train.work
    if grown.components.weights.size < 2:
        return None

    n_halvings = growth.halvings(grown.size, search.moments.weight / train.weights.sum())
    seeds = search.random_state.randint(2**31, size=n_halvings)

    def finish(gather: Gather, *, other_rows: bool) -> list[Bijection]:
        components = grown.components
        if other_rows:
            draws = [np.random.RandomState(seed) for seed in seeds]
            components = refined(
                partial(gather, [Band(band)]), components, grown.strength, JOINT_STEPS, draws
            )
        return [joint_mixture(components, search.moments.weight, band.start)]

    return finish


def _band(n_joint: int, n_columns: int) -> slice:
    """Return the columns of a joint mixture behind so many: all, then equal parts in turn."""
    if n_joint == 0:
        return slice(0, n_columns)
    n_bands = -(-n_columns // BAND)
    width = -(-n_columns // n_bands)
    start = width * ((n_joint - 1) % n_bands)
    return slice(start, min(start + width, n_columns))


def radial(search: Search) -> Finish | None:
    """Gaussianize the radius of groups of columns whose sizes move together."""
    train, judges = search.latents
    best, best_score = None, judges.log_prob
    with stage(search.seconds, "search"):
        for groups in energy_groups(train.rows, train.weights):
            finish = _radial_of(search, groups)
            score = judges.moved(finish(train.gather, other_rows=False)).log_prob
            if score > best_score:
                best, best_score = finish, score
    return best


def _radial_of(search: Search, groups: np.ndarray) -> Finish:
    maps = [LogRadii(groups)]
    rows, weights = (array[:GRID_ROWS] for array in search.latents.train[:2])
    grid = binning.grid_of(maps[0].forward(rows)[0], weights, search.plan.n_jobs)

    def finish(gather: Gather, *, other_rows: bool) -> list[Bijection]:
        (sums,) = gather(maps, binning.Histograms(grid))
        return [radial_from(groups, _columns(search, binning.bins_of(sums, grid)))]

    return finish


def coupling(search: Search) -> Finish | None:
    """Fit mean and scale of some columns given the others, on the sample."""
    train, judges = search.latents
    with stage(search.seconds, "search"):
        fitted = fit_coupling(
            train.rows, train.weights, judges.rows, judges.weights, search.random_state
        )
    block: list[Bijection] = [] if fitted is None else [fitted]
    return (lambda gather, *, other_rows: block) if block else None


def whitening(search: Search) -> Finish | None:
    """Turn rows onto the axes of a shrunk covariance, and scale them along these."""
    train, judges = search.latents
    statistic = MomentSums(np.zeros(train.rows.shape[1]))
    if len(train.rows) < FEWEST_ROWS:
        return None

    def spread(gather: Gather, centre: np.ndarray | None = None) -> tuple[np.ndarray, Spread]:
        moments = statistic.moments(gather([], statistic))
        mean, covariance = moments.rounded()
        if centre is not None:
            covariance += np.outer(mean - centre, mean - centre)
        return mean, Spread(moments.weight, covariance)

    with stage(search.seconds, "search"):
        mean, fitted = spread(train.gather)
        shrinkage = best_shrinkage(fitted, spread(judges.gather, mean)[1])

    def finish(gather: Gather, *, other_rows: bool) -> list[Bijection]:
        return shrinkage.block(*spread(gather))

    return finish


KINDS: dict[str, Callable[[Search], Finish | None]] = {
    "mixture": marginal,
    "joint": joint,
    "radial": radial,
    "coupling": coupling,
    "whitening": whitening,
}
"""Searches by the names that `RBIG(blocks=...)` takes; None where there is nothing to find."""

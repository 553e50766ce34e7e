"""The blocks that a flow of rows with holes begins with, fitted to the cells that are there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import numpy as np

from rbig_numba.bijections import growth
from rbig_numba.bijections.base import Bijection, Map
from rbig_numba.bijections.components import Components, joint_mixture, refined, single, updated
from rbig_numba.bijections.crowd import Crowd
from rbig_numba.bijections.joint import JointMixture
from rbig_numba.chunks.local import LocalRows
from rbig_numba.fitting.candidates import JOINT_STEPS, JUDGING_ROWS, Effort, Plan, Search, marginal
from rbig_numba.fitting.latents import Gather, Latents
from rbig_numba.fitting.loop import searched
from rbig_numba.fitting.splitting import standardisation_of
from rbig_numba.flow import LOG_2PI, Flow
from rbig_numba.missing.leading import by_columns, leading_of
from rbig_numba.profile import NEVER, Deadline, Report, TimeIsUp, stage, within
from rbig_numba.statistics import Moments, Statistic
from rbig_numba.threads import map_threads

# Rows of either side that leading blocks compete on.
OPENING_ROWS = 2048
# Rows that a joint mixture grows on: a row with holes takes five times as long as a whole one.
GROWN_ROWS = 16_384
# Steps of EM for one Gaussian at most, and nats per row below which it ends: holes slow it down.
GAUSSIAN_STEPS, GAUSSIAN_TOL = 100, 1e-5
# Share of the seconds left that a joint mixture grows in.
LEADING_SHARE = 0.4


class ColumnMaps:
    """Maps of single columns, NaN staying, as statistics are taken behind them."""

    kind: ClassVar[str] = "columns"

    def __init__(self, maps: Sequence[Bijection]) -> None:
        self.maps = maps

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rows (N, D) and log |det| (N,) of the cells that are there."""
        columns, log_det = by_columns(self.maps, x)
        return columns.T, log_det


class Lead:
    """The leading blocks, fitted to the cells that are there.

    Attributes
    ----------
    flow : list of Bijection
        Standardisation, and the blocks.
    history : list of dict
        A record of each; scores are those of the cells that are there.
    """

    def __init__(
        self,
        rows: LocalRows,
        plan: Plan,
        random_state: np.random.RandomState,
        deadline: Deadline,
        report: Report,
    ) -> None:
        self.rows, self.plan, self.deadline, self.report = rows, plan, deadline, report
        self.random_state, self.effort = random_state, Effort()
        self.flow: list[Bijection] = [standardisation_of(rows.summary)]
        self.history: list[dict] = []
        self.latents = searched(rows.summary, plan).moved([ColumnMaps(self.flow)])

    def fit(self, openings: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Fit the best opening to all rows; return the mean log-densities (2,) of either side."""
        opening = openings[0]
        if len(openings) > 1:
            self.report.doing("searching: openings")
            opening = max(openings, key=self._worth)
        for kind in opening:
            self.report.doing(f"searching: {kind}")
            started, seconds = time.perf_counter(), dict[str, float]()
            if kind == "mixture":
                maps = self._marginal(self.latents, self._gather, seconds)
                self.latents = self.latents.moved([ColumnMaps(maps)])
                self.flow += maps
            else:
                with stage(seconds, kind):
                    self.flow.append(self._joint())
            log_prob = self._log_prob()
            self._record(log_prob, time.perf_counter() - started, seconds)
        return log_prob

    def _record(self, log_prob: np.ndarray, elapsed: float, seconds: dict[str, float]) -> None:
        train, held_out = log_prob.tolist()
        record: dict[str, Any] = {
            "block": len(self.history) + 1,
            "kind": self.flow[-1].kind,
            "about": self.flow[-1].about,
            "train": train,
            "held_out": None if np.isnan(held_out) else held_out,
            "gain": None,
        }
        key = "train" if np.isnan(held_out) else "held_out"
        if self.history:
            record["gain"] = record[key] - self.history[-1][key]
        self.history.append(record | {"seconds": elapsed, "profile": seconds, "kept": True})
        self.report.block(self.history[-1])

    def _log_prob(self) -> np.ndarray:
        """Return the mean log-densities (2,) of either side's cells behind the blocks so far."""

        def sums_of(number: int) -> np.ndarray:
            sums = np.zeros((2, 2))
            for side, total in zip(self.rows.store.read(number), sums, strict=True):
                rows, weights = side.columns.T, side.row_weights
                total[:] = weights.sum(), weights @ cells_log_prob(self.flow, rows)
            return sums

        numbers = range(len(self.rows.store))
        weights, total = np.sum(map_threads(sums_of, numbers, self.plan.n_jobs), axis=0).T
        with np.errstate(invalid="ignore"):  # no held-out rows: 0 / 0
            return total / weights

    def _worth(self, opening: tuple[str, ...]) -> float:
        """Return the mean log-density of judging rows behind an opening, fitted to few rows."""
        latents = self.latents.first(OPENING_ROWS)
        if "mixture" in opening:
            maps = self._marginal(latents, latents.train.gather, {})
            latents = latents.moved([ColumnMaps(maps)])
        judges = latents.judges
        return self._grown(latents).worth + np.average(judges.log_det, weights=judges.weights)

    def _marginal(
        self, latents: Latents, gather: Gather, seconds: dict[str, float]
    ) -> list[Bijection]:
        n_columns, weight = len(latents.train.rows.T), self.rows.summary.weights[0]
        moments = Moments(weight, np.zeros(n_columns), np.zeros((n_columns, n_columns)))
        search = Search(
            plan=self.plan,
            random_state=self.random_state,
            latents=latents,
            moments=moments,
            kinds=(),
            first=True,
            deadline=NEVER,
            effort=self.effort,
            seconds=seconds,
        )
        return marginal(search)(gather, other_rows=False)

    def _joint(self) -> JointMixture:
        """Return a mixture grown on the sample and refined on all rows."""
        latents = self.latents.first(GROWN_ROWS)
        weight, sampled = self.rows.summary.weights[0], latents.train.weights.sum()
        grown = self._grown(latents)
        components = grown.components
        if sampled < weight:
            n_halvings = growth.halvings(grown.size, weight / sampled)
            seeds = self.random_state.randint(2**31, size=n_halvings)
            draws = [np.random.RandomState(seed) for seed in seeds]
            with within(self.deadline), suppress(TimeIsUp):
                components = refined(
                    partial(self._gather, []), components, grown.strength, JOINT_STEPS, draws
                )
        return joint_mixture(components, weight)

    def _grown(self, latents: Latents) -> growth.Grown:
        train, judges = (
            Crowd(side.rows, side.weights, self.plan.n_jobs)
            for side in (latents.train, latents.judges.first(JUDGING_ROWS))
        )
        components = gaussian(train)
        deadline = self.deadline.part(LEADING_SHARE)
        ground = growth.Ground(
            train,
            judges,
            components.means[0],
            components.covariances[0],
            deadline,
            self.random_state,
            0.5 * self.effort.left,
        )
        grown = growth.Grown(-np.inf, components, 1.0)
        with within(deadline), suppress(TimeIsUp):
            grown = growth.grow(ground)
        self.effort.left -= train.work
        return grown

    def _gather(self, maps: Sequence[Map], statistic: Statistic) -> tuple[np.ndarray, ...]:
        return self.rows.gather([ColumnMaps(self.flow), *maps], statistic).arrays


def cells_log_prob(flow: Sequence[Bijection], rows: np.ndarray) -> np.ndarray:
    """Return the log-densities (n,), in nats, of the cells that are there of rows (n, D).

    Of a flow of maps of single columns, or of these and a joint mixture.
    """
    if isinstance(flow[-1], JointMixture):
        keys = np.zeros(len(rows), np.uint64)
        return leading_of(Flow(tuple(flow))).draw(rows, keys, 0).log_prob
    columns, log_det = by_columns(flow, rows)
    there = ~np.isnan(columns)
    squares = np.square(np.where(there, columns, 0.0))
    return log_det - 0.5 * (squares + LOG_2PI * there).sum(axis=0)


def gaussian(crowd: Crowd) -> Components:
    """Return the most likely Gaussian of standardised rows with holes."""
    n_columns = len(crowd.parts[0][0])
    components, last = single(np.zeros(n_columns), np.eye(n_columns)), -np.inf
    near = crowd.near(components)
    for _ in range(GAUSSIAN_STEPS):
        sums = crowd.sums(components, near)
        components = updated(components, sums, 1.0)
        if sums.log_likelihood - last < GAUSSIAN_TOL:
            break
        last = sums.log_likelihood
    return components

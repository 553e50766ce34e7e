"""One block of rows, and the three things that a fit does with it: load, gather, advance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.base import Bijection, Map, as_columns
from rbig_numba.flow import base_log_prob
from rbig_numba.kernels import hashing
from rbig_numba.profile import stage
from rbig_numba.statistics import Sample, Statistic, Summary, Sums, Totals, moments_of
from rbig_numba.threads import BLOCK_ROWS

_ONES = np.ones(BLOCK_ROWS)


class Rows(NamedTuple):
    """Columns (D, n), C order, float32 or float64, and weights (n,), None if all are 1."""

    columns: np.ndarray
    weights: np.ndarray | None

    @property
    def row_weights(self) -> np.ndarray:
        """The weights as an array."""
        return _ONES[: self.columns.shape[1]] if self.weights is None else self.weights


class Block(NamedTuple):
    """Rows that are fitted, and rows that only judge the fit."""

    train: Rows
    held_out: Rows


class Split(NamedTuple):
    """Which rows are held out: those whose content has a hash below `limit`, of 2^64.

    Equal rows are on the same side, whatever their order, and whatever blocks they come in; a row
    of weight 2 is the same as a row that stands there twice. Of either side `sample_size` rows at
    most go into a sample.

    Attributes
    ----------
    seed, limit, sample_size : int
    shared : tuple of int
        Hashes of rows that stand on both sides, each with its share of the weight.
    bounds : ndarray of shape (2, D) or None
        Lowest and highest values of rows that are held out.
    """

    seed: int
    limit: int
    sample_size: int
    shared: tuple[int, ...] = ()
    bounds: np.ndarray | None = None

    def sides(self, columns: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which share of columns (D, n) is fitted and which held out, each (n,)."""
        held_out = (hashes < np.uint64(self.limit)).astype(float)
        if self.shared and self.limit:
            shared = np.array(self.shared, dtype=np.uint64)
            # A fraction of few bits: sums of counts are the same in any order.
            held_out[np.isin(hashes, shared)] = np.ceil(self.limit * 2.0**-54) * 2.0**-10
        if self.bounds is not None:
            low, high = self.bounds[:, :, None]
            held_out[((columns < low) | (columns > high)).any(axis=0)] = 0.0
        return 1.0 - held_out, held_out


def load(
    rows: np.ndarray, weights: np.ndarray | None, split: Split, ceilings: tuple[int, int]
) -> tuple[Block, Summary]:
    """Copy raw rows (n, D), n <= BLOCK_ROWS, into a block.

    Rows of hashes above the ceiling of their side are kept out of its sample: enough lower ones are
    known.
    """
    columns = np.ascontiguousarray(rows.T)
    if weights is not None and (weights == 0.0).any():
        columns, weights = columns[:, weights > 0.0], weights[weights > 0.0]
    hashes = np.empty(columns.shape[1], dtype=np.uint64)
    exact = as_columns(columns.T)
    hashing.hash_rows(exact, np.uint64(split.seed), hashes)
    sides = split.sides(exact, hashes)
    if split.shared and weights is None:
        weights = np.ones(len(hashes))
    block = Block(*(_take(columns, weights, side) for side in sides))
    samples = [
        _sample(taken, hashes[side > 0.0], ceiling)
        for taken, side, ceiling in zip(block, sides, ceilings, strict=True)
    ]
    return block, _summarise(block, (samples[0], samples[1]), split.sample_size)


def gather(blocks: Iterable[Block], maps: Sequence[Map], statistic: Statistic) -> Sums:
    """Return a statistic of the training rows of some blocks, pushed through maps."""
    seconds: dict[str, float] = {}
    arrays: tuple[np.ndarray, ...] = ()
    for block in blocks:
        columns, _ = _push(block.train, maps, seconds)
        with stage(seconds, statistic.stage):
            arrays = arrays or statistic.zeros(len(columns))
            statistic.add(columns, block.train.row_weights, arrays)
    return Sums(arrays, seconds)


def advance(block: Block, bijections: Sequence[Bijection]) -> tuple[Block, Totals]:
    """Push a block through bijections; also return what the fit wants to know of the result."""
    seconds: dict[str, float] = {}
    scores = np.zeros((2, 3))
    moved: list[Rows] = []
    for rows, score in zip(block, scores, strict=True):
        if rows is block.held_out and rows.columns.shape[1] == 0:  # 5 % of a fit of all rows
            moved.append(rows)
            continue
        columns, log_det = _push(rows, bijections, seconds)
        weights = rows.row_weights
        if rows is block.train:
            with stage(seconds, "moments"):
                moments = moments_of(columns, weights)
                base = moments.base_log_prob  # row by row: 4 % of a fit
        with stage(seconds, "evaluate"):
            if rows is block.held_out:
                base = weights @ base_log_prob(columns.T)
            score[:] = weights.sum(), base, weights @ log_det
        moved.append(rows._replace(columns=columns.astype(rows.columns.dtype, copy=False)))
    return Block(*moved), Totals(moments, scores, seconds)


def _take(columns: np.ndarray, weights: np.ndarray | None, shares: np.ndarray) -> Rows:
    chosen = shares > 0.0
    return Rows(
        np.ascontiguousarray(columns[:, chosen]),
        None if weights is None else weights[chosen] * shares[chosen],
    )


def _summarise(block: Block, samples: tuple[Sample, Sample], sample_size: int) -> Summary:
    extents = [
        # Missing cells, NaN, have no extent.
        (
            np.fmin.reduce(rows.columns, axis=1, initial=np.inf),
            np.fmax.reduce(rows.columns, axis=1, initial=-np.inf),
        )
        for rows in block
    ]
    return Summary(
        np.array([rows.columns.shape[1] for rows in block]),
        np.stack([low for low, _ in extents]),
        np.stack([high for _, high in extents]),
        np.array([rows.row_weights.sum() for rows in block]),
        samples,
        sample_size,
    )


def _sample(rows: Rows, hashes: np.ndarray, ceiling: int) -> Sample:
    below = hashes <= np.uint64(ceiling)
    chosen = rows.columns[:, below].T.astype(np.float64, order="C")
    return Sample(hashes[below], chosen, rows.row_weights[below])


def _push(
    rows: Rows, maps: Sequence[Map], seconds: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return columns (D, n), float64, behind the maps, and their log-determinants (n,)."""
    current, total = rows.columns.T, np.zeros(rows.columns.shape[1])
    for step in maps:
        with stage(seconds, step.kind):
            current, log_det = step.forward(current)
            total += log_det
    return as_columns(current), total

"""Partitions of a Dask collection: the only file that knows Dask.

A partition's rows stay where they are; the scheduler sends bijections and statistics to them
and merges their statistics in a tree. A partition that is lost with its worker is made again from
the collection, by the same steps.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import dask.array as da
import dask.base
import numpy as np
from dask.delayed import Delayed, delayed

from rbig_numba.bijections.base import Bijection, Map
from rbig_numba.checks.columns import as_floats, float_type
from rbig_numba.checks.validation import check_finite
from rbig_numba.checks.weighting import count_factor, scaled
from rbig_numba.chunks.block import Block, Split
from rbig_numba.chunks.local import advance_blocks, gather_blocks, load_local
from rbig_numba.chunks.sources import ArraySource
from rbig_numba.chunks.stores import MemoryStore, Store
from rbig_numba.statistics import (
    Statistic,
    Sums,
    Totals,
    merge_summaries,
    merge_sums,
    merge_totals,
)

# Statistics merged by one task: 8 histograms of 20 columns are 2 MB.
MERGED_TOGETHER = 8


class Partition(NamedTuple):
    """The blocks of a partition, and what the last step told of them.

    Plain lists and arrays, whose memory the workers know how to weigh.
    """

    blocks: list[Block]
    told: Any


class ClusterRows:
    """Partitions on the workers, and the two steps of a fit over all of them."""

    def __init__(self, partitions: list[Delayed]) -> None:
        self.partitions = _persist(partitions)
        self.summary = _tell(self.partitions, merge_summaries)

    def gather(self, maps: Sequence[Map], statistic: Statistic) -> Sums:
        """Return a statistic of all training rows, pushed through maps."""
        step, what = _shipped(tuple(maps)), _shipped(statistic)
        return _merged([delayed(_gather)(p, step, what) for p in self.partitions], merge_sums)

    def advance(self, bijections: Sequence[Bijection]) -> Totals:
        """Push all rows through bijections for good; the rows before them are released."""
        step = _shipped(tuple(bijections))
        self.partitions = _persist([delayed(_advance)(p, step) for p in self.partitions])
        return _tell(self.partitions, merge_totals)


def load_cluster(X: Any, weights: Any, split: Split, names: Sequence[str] | None) -> ClusterRows:
    """Load a Dask array or DataFrame, with a Dask array of row weights of the same partitions.

    Raises
    ------
    ValueError
        For text, NaN or infinity (names partition, rows and columns), or if weights have other
        partitions.
    """
    parts = _partitions(X)
    row_weights = [None] * len(parts) if weights is None else list(weights.to_delayed().ravel())
    if len(row_weights) != len(parts):
        raise ValueError(
            f"sample_weight has {len(row_weights)} partitions, the rows have {len(parts)}"
        )
    load = delayed(partial(_load, split=split, names=names))
    return ClusterRows(
        [load(*part, i) for i, part in enumerate(zip(parts, row_weights, strict=True))]
    )


def counted(weights: da.Array) -> da.Array:
    """Return weights as numbers of rows; see `rbig_numba.checks.weighting.as_counts`.

    What is no weight stays as it is: the partition that holds it says so.
    """
    whole, lowest, largest = dask.base.compute(
        (weights == da.rint(weights)).all(), weights.min(), weights.max()
    )
    if not (lowest >= 0.0 and 0.0 < largest < np.inf):
        return weights
    shares = weights / largest
    total, squares = dask.base.compute(shares.sum(), (shares * shares).sum())
    factor = count_factor(float(total), float(squares), float(largest), whole=bool(whole))
    return weights if factor is None else scaled(shares, factor)


def map_partitions(
    function: Callable[[np.ndarray], np.ndarray], X: Any, *, scalar: bool
) -> da.Array:
    """Apply a function of rows to a Dask array or DataFrame, lazily.

    It gives rows (n, D) for rows (n, D), or if `scalar` numbers (n,).
    """
    rows = _one_chunk_of_columns(X if isinstance(X, da.Array) else X.to_dask_array())
    if scalar:
        return da.map_blocks(function, rows, dtype=np.float64, drop_axis=1, meta=np.empty(0))
    dtype = float_type(rows.dtype)
    return da.map_blocks(function, rows, dtype=dtype, meta=np.empty((0, 0), dtype))


def sample_partitions(
    sample: Callable[[int, np.random.RandomState], np.ndarray],
    shape: tuple[int, int],
    chunks: int,
    random_state: np.random.RandomState,
) -> da.Array:
    """Return a lazy array of rows of a shape (N, D), drawn chunk by chunk."""

    def draw(size: int, seed: int) -> np.ndarray:
        return sample(size, np.random.RandomState(seed))

    sizes = [min(chunks, shape[0] - start) for start in range(0, shape[0], chunks)]
    seeds = random_state.randint(2**31, size=len(sizes)).tolist()
    parts = [
        da.from_delayed(delayed(draw)(size, seed), (size, shape[1]), dtype=np.float64)
        for size, seed in zip(sizes, seeds, strict=True)
    ]
    return da.concatenate(parts)


def _partitions(X: Any) -> list[Delayed]:
    if isinstance(X, da.Array):
        return list(_one_chunk_of_columns(X).to_delayed().ravel())
    return list(X.to_delayed())


def _one_chunk_of_columns(X: da.Array) -> da.Array:
    return X if X.numblocks[1] == 1 else X.rechunk({1: -1})


def _load(part: Any, weights: Any, number: int, *, split: Split, names: Any) -> Partition:
    label = f"Partition {number} of X"
    rows = as_floats(part, label)
    check_finite(rows, names, label)
    loaded = load_local(ArraySource(rows), _checked(weights, number, len(rows)), split, 1)
    return Partition(_listed(loaded.store), loaded.summary)


def _checked(weights: Any, number: int, n_rows: int) -> np.ndarray | None:
    if weights is None:
        return None
    label = f"Partition {number} of sample_weight"
    weights = as_floats(weights, label).astype(np.float64, copy=False)
    check_finite(weights, None, label)
    if len(weights) != n_rows:
        raise ValueError(f"{label} has {len(weights)} values for {n_rows} rows")
    if weights.min(initial=0.0) < 0.0:
        raise ValueError(f"{label} has negative values, the lowest in row {weights.argmin()}")
    return weights


def _gather(partition: Partition, maps: tuple[Map, ...], statistic: Statistic) -> Sums:
    return gather_blocks(MemoryStore(partition.blocks), maps, statistic, 1)


def _advance(partition: Partition, bijections: tuple[Bijection, ...]) -> Partition:
    """Return a new partition: the scheduler may need the old one again."""
    store = MemoryStore(partition.blocks)
    totals = advance_blocks(store, bijections, 1)
    return Partition(_listed(store), totals)


def _listed(store: Store) -> list[Block]:
    return [store.read(i) for i in range(len(store))]


def _told(partition: Partition) -> Any:
    return partition.told


def _tell(partitions: list[Delayed], merge: Callable[[Sequence[Any]], Any]) -> Any:
    return _merged([delayed(_told)(partition) for partition in partitions], merge)


def _merged(parts: list[Delayed], merge: Callable[[Sequence[Any]], Any]) -> Any:
    while len(parts) > 1:
        parts = [
            delayed(merge)(parts[i : i + MERGED_TOGETHER])
            for i in range(0, len(parts), MERGED_TOGETHER)
        ]
    return _explained(lambda: parts[0].compute())


def _persist(partitions: list[Delayed]) -> list[Delayed]:
    return list(_explained(lambda: dask.base.persist(*partitions)))


def _shipped(value: Any) -> Delayed:
    """One key for all tasks: a worker gets the value once."""
    return delayed(value, traverse=False)


def _explained(work: Callable[[], Any]) -> Any:
    killed = getattr(sys.modules.get("distributed"), "KilledWorker", ())
    try:
        return work()
    except killed as error:
        raise RuntimeError(
            f"the fit was given up: workers died again and again over one partition ({error}); "
            "give them more memory or the collection smaller partitions"
        ) from error

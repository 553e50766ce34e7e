"""The rows of a fit on one machine, walked over by threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from rbig_numba.bijections.base import Bijection, Map
from rbig_numba.chunks import block
from rbig_numba.chunks.sources import Source
from rbig_numba.chunks.stores import MemoryStore, ScratchStore, Store
from rbig_numba.statistics import (
    Sample,
    Statistic,
    Summary,
    Sums,
    Totals,
    merge_summaries,
    merge_sums,
    merge_totals,
)
from rbig_numba.threads import map_threads

# Blocks whose statistics are merged before the next ones are made: bounds the memory for them.
BATCH = 32
# Blocks whose histograms go into one array: adding arrays up costs as much as counting 500 rows.
GATHERED_TOGETHER = 2
NO_CEILING = 2**64 - 1

Item = TypeVar("Item")
Part = TypeVar("Part")


class LocalRows:
    """Blocks in a store, and the two steps of a fit over all of them."""

    def __init__(self, store: Store, summary: Summary, n_jobs: int | None) -> None:
        self.store = store
        self.summary = summary
        self.n_jobs = n_jobs

    def gather(self, maps: Sequence[Map], statistic: Statistic) -> Sums:
        """Return a statistic of all training rows, pushed through maps."""
        return gather_blocks(self.store, maps, statistic, self.n_jobs)

    def advance(self, bijections: Sequence[Bijection]) -> Totals:
        """Push all rows through bijections for good."""
        return advance_blocks(self.store, bijections, self.n_jobs)


def gather_blocks(
    store: Store, maps: Sequence[Map], statistic: Statistic, n_jobs: int | None
) -> Sums:
    """Return a statistic of the training rows of a store, pushed through maps."""

    def gather_some(numbers: range) -> Sums:
        return block.gather((store.read(i) for i in numbers), maps, statistic)

    starts = range(0, len(store), GATHERED_TOGETHER)
    groups = [range(i, min(i + GATHERED_TOGETHER, len(store))) for i in starts]
    return _merged(gather_some, groups, merge_sums, n_jobs)


def advance_blocks(store: Store, bijections: Sequence[Bijection], n_jobs: int | None) -> Totals:
    """Push all rows of a store through bijections."""

    def advance_one(number: int) -> Totals:
        moved, totals = block.advance(store.read(number), bijections)
        store.write(number, moved)
        return totals

    return _merged(advance_one, range(len(store)), merge_totals, n_jobs)


def _merged(
    function: Callable[[Any], Part],
    items: Sequence[Any],
    merge: Callable[[Sequence[Part]], Part],
    n_jobs: int | None,
) -> Part:
    """Merge function(item) of all items in their order.

    The same bits for any number of threads, in memory and from a file.
    """
    merged: list[Part] = []
    for start in range(0, len(items), BATCH):
        merged += map_threads(function, items[start : start + BATCH], n_jobs)
        merged = [merge(merged)]
    return merged[0]


def load_local(
    source: Source, weights: np.ndarray | None, split: block.Split, n_jobs: int | None
) -> LocalRows:
    """Copy a source, with row weights (N,) or None, into a store of its own.

    Raises
    ------
    ValueError
        For what the source complains of, and if there are not as many rows as weights.
    """
    store: Store = MemoryStore() if source.in_memory else ScratchStore()
    summaries: list[Summary] = []
    ceilings = NO_CEILING, NO_CEILING
    for batch in _batches(_weighted(source, weights), BATCH):
        known = ceilings
        loaded = map_threads(lambda part: block.load(part[0], part[1], split, known), batch, n_jobs)  # noqa: B023
        for content, _ in loaded:
            store.append(content)
        summaries = [merge_summaries([*summaries, *(summary for _, summary in loaded)])]
        train, held_out = summaries[0].samples
        ceilings = _ceiling(train, split.sample_size), _ceiling(held_out, split.sample_size)
    return LocalRows(store, summaries[0], n_jobs)


def _ceiling(sample: Sample, size: int) -> int:
    return int(sample.hashes[-1]) if len(sample.hashes) == size else NO_CEILING


def _weighted(
    source: Source, weights: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield each block of rows with its weights."""
    start = 0
    for rows in source.blocks():
        part = None if weights is None else weights[start : start + len(rows)]
        start += len(rows)
        yield rows, part
    if weights is not None and start != len(weights):
        raise ValueError(f"sample_weight has {len(weights)} values for {start} rows")


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while batch := list(islice(items, size)):
        yield batch

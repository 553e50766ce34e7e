"""Work on threads: kernels release the GIL, so that threads suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from joblib import cpu_count

# Rows a thread works on at a time: below 4,096 Python's share of the time shows. Not a
# power of two: columns 64 KiB apart share sets of a cache, and rotations take 1.5 times as long.
BLOCK_ROWS = 8000

Result = TypeVar("Result")


def row_blocks(n_rows: int, size: int = BLOCK_ROWS) -> list[slice]:
    """Return the slices that cover n_rows in order."""
    return [slice(start, start + size) for start in range(0, n_rows, size)]


def n_threads(n_jobs: int | None) -> int:
    """Return how many threads n_jobs stands for: None is 1, -1 one per core, -2 one less.

    joblib's own rule sets 1, with a warning, inside a Dask worker.
    """
    if n_jobs is None:
        return 1
    return n_jobs if n_jobs > 0 else max(1, cpu_count() + 1 + n_jobs)


def map_threads(
    function: Callable[[Any], Result], items: Iterable[Any], n_jobs: int | None
) -> list[Result]:
    """Return function(item) of each item, in order."""
    items = list(items)
    size = min(n_threads(n_jobs), len(items))
    if size < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(function, items))

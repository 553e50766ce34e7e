"""Walking over blocks of rows, on threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from joblib import effective_n_jobs

# Fixed, so that sums over blocks have the same bits for any number of threads.
BLOCK_ROWS = 8192

Result = TypeVar("Result")


def row_blocks(n_rows: int) -> list[slice]:
    """Return the slices that cover n_rows in order."""
    return [slice(start, start + BLOCK_ROWS) for start in range(0, n_rows, BLOCK_ROWS)]


def map_threads(
    function: Callable[[Any], Result], items: Iterable[Any], n_jobs: int | None
) -> list[Result]:
    """Return function(item) of each item, in order; kernels release the GIL, so threads suffice."""
    items = list(items)
    n_threads = min(effective_n_jobs(n_jobs), len(items))
    if n_threads < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, items))

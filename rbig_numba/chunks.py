"""Walking over blocks of rows, on threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from joblib import Parallel, delayed

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
    if len(items) < 2 or n_jobs == 1:
        return [function(item) for item in items]
    return Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(function)(item) for item in items)

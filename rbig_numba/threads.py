"""Work on threads: kernels release the GIL, so that threads suffice; BLAS gets none of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Lock, Thread
from typing import Any, TypeVar

from joblib import cpu_count
from threadpoolctl import threadpool_limits

from rbig_numba.profile import current_deadline

# Rows a thread works on at a time: below 4,096 Python's share of the time shows. Not a
# power of two: columns 64 KiB apart share sets of a cache, and rotations take 1.5 times as long.
BLOCK_ROWS = 8000

Result = TypeVar("Result")


class _OneBlasThread:
    """Keeps linear algebra to the thread that calls it, while at least one `with` is open.

    OpenBLAS's threads wait for each other busily. Where other processes have the cores, the
    eigenvectors of 80, 300 and 784 columns took 0.17, 2.2 and 1.4 to 11 s on two of them, and
    0.0004, 0.014 and 0.09 s on one. Limits are the process's: fits in several threads share one.
    """

    def __init__(self) -> None:
        self.lock, self.users = Lock(), 0

    def __enter__(self) -> None:
        with self.lock:
            if not self.users:
                self.limits = threadpool_limits(1, "blas")
            self.users += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.users -= 1
            if not self.users:
                self.limits.restore_original_limits()


one_blas_thread = _OneBlasThread()


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
    """Return function(item) of each item, in order.

    The caller is one of the threads, and no pool is made and ended: a fit does this four times a
    block. No item is begun behind the deadline of the caller's work.
    """
    items, deadline = list(items), current_deadline()
    size = min(n_threads(n_jobs), len(items))

    def timed(item: Any) -> Result:
        deadline.check()
        return function(item)

    if size < 2:
        return [timed(item) for item in items]
    results: dict[int, Result] = {}
    pending = deque(enumerate(items))
    errors: list[BaseException] = []

    def taken() -> tuple[int, Any] | None:
        with suppress(IndexError):  # nothing is left
            return pending.popleft()
        return None

    def work() -> None:
        try:
            while (task := taken()) is not None:
                results[task[0]] = timed(task[1])
        except BaseException as error:
            pending.clear()
            errors.append(error)

    helpers = [Thread(target=work) for _ in range(size - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(items))]

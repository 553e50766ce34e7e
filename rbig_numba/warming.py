"""Compile all kernels ahead of the first fit."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numba

from rbig_numba.threads import n_threads


def warm(*, native: bool = False, n_jobs: int | None = -1, verbose: bool = False) -> int:
    """Compile ahead, in processes, what a fit or a model would compile at its first use.

    For checkouts, images of containers and workers of a cluster. Kernels go to Numba's cache
    folder, `NUMBA_CACHE_DIR` or the user's own; what is there already, or came with the package for
    processors like this one, is not compiled again.

    Parameters
    ----------
    native : bool, default=False
        Compile for this very processor, whatever came with the package. It then goes first.
    n_jobs : int or None, default=-1
        Processes; -1 is one per core.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    int
        Kernels compiled.

    Raises
    ------
    OSError
        If no folder can be written.
    RuntimeError
        If a process fails, or `NUMBA_DISABLE_JIT` is set.

    Examples
    --------
    >>> import rbig_numba
    >>> n_compiled = rbig_numba.warm()
    >>> rbig_numba.warm()
    0
    """
    if numba.config.DISABLE_JIT:
        raise RuntimeError("NUMBA_DISABLE_JIT is set: kernels are not compiled")
    from rbig_numba.kernels import ahead, cache

    numbers = ahead.missing(native=native)
    if numbers and not cache.is_writable():
        raise OSError(f"no folder for kernels can be written: {cache.ADVICE}")
    if not numbers:
        return 0
    n_processes = min(n_threads(n_jobs), len(numbers))
    with _bar(len(numbers), verbose=verbose) as step:
        ahead.compile_entries(numbers, n_processes, os.environ, step)
    return len(numbers)


def _bar(total: int, *, verbose: bool) -> AbstractContextManager[Callable[[str], None]]:
    if not verbose:
        return nullcontext(lambda name: None)
    from rbig_numba.progress import counting_bar

    return counting_bar("compiling kernels", total)

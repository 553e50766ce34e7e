"""Compile entries ahead, in processes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Thread

from numba.core import config

from rbig_numba.kernels import cache
from rbig_numba.kernels.entries import ENTRIES, FIT

# Modules are looked for where the caller looks for them.
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from {module} import main; main()"


class Worker:
    """A process that compiles entries, one at a time, into the user's cache.

    It is a program of its own: scripts need no main guard, and threads of the caller do no harm. It
    ends when its input does, and so never outlives the caller by more than an entry.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(module=__name__), *sys.path],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def compile(self, numbers: Iterable[int]) -> Iterator[int]:
        """Compile entries by their numbers; yield each when it is done.

        Raises
        ------
        RuntimeError
            If the process fails, with the last line of what it said.
        """
        with self.process as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            for number in numbers:
                with suppress(BrokenPipeError):
                    process.stdin.write(f"{number}\n")
                    process.stdin.flush()
                if not process.stdout.readline():
                    said = process.stderr.read().strip().splitlines() or ["it said nothing"]
                    raise RuntimeError(f"compiling {name_of(number)} failed: {said[-1].strip()}")
                yield number


def compile_entries(
    numbers: Iterable[int],
    n_processes: int,
    environment: Mapping[str, str] = os.environ,
    report: Callable[[str], None] = lambda name: None,
) -> None:
    """Compile entries by their numbers in processes; report the name of each one that is done."""
    queue = iter(list(numbers))

    def work(_: int) -> None:
        for number in Worker(environment).compile(queue):
            report(name_of(number))

    with ThreadPoolExecutor(n_processes) as pool:
        list(pool.map(work, range(n_processes)))


def missing(*, native: bool) -> list[int]:
    """Return the numbers of entries that would be compiled; native: for this very processor."""
    return [
        number
        for number, (kernel, signature) in enumerate(ENTRIES)
        if not kernel.cache.holds(signature, native=native)
    ]


def name_of(number: int) -> str:
    """Return the module and the name of an entry."""
    function = ENTRIES[number][0].py_func
    return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"


def assist() -> None:
    """Have one other process compile what a fit will need, from the longest entry on.

    The caller goes on by itself and takes what the other has finished: nothing waits for a process
    that fails or hangs. One, however many processors there are: who misses may be one of many
    workers or ranks, and each of them has one.
    """
    # An application that embeds Python names itself: starting that would not compile.
    runs_python = Path(sys.executable or "").name.lower().startswith("python")
    if runs_python and config.NUMBA_DEFAULT_NUM_THREADS > 1 and cache.is_writable():
        Thread(target=_assist, daemon=True).start()


def _assist() -> None:
    def ahead() -> Iterator[int]:
        for number in range(FIT):
            kernel, signature = ENTRIES[number]
            if not kernel.cache.asked and not kernel.cache.holds(signature, native=False):
                yield number

    with suppress(OSError, RuntimeError):
        for _ in Worker(os.environ).compile(ahead()):
            pass


def main() -> None:
    """Compile the entries whose numbers come in, line by line."""
    cache.KernelCache.reads_shipped = cache.KernelCache.announces = False
    gc.disable()  # a tenth of the time; the process is short
    for line in sys.stdin:
        kernel, signature = ENTRIES[int(line)]
        kernel.entry.compile(signature)
        sys.stdout.write(line)
        sys.stdout.flush()

"""What one core of this machine can do at best: multiply-adds and bytes per second."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.harness import timed
from rbig_numba.kernels.jit import kernel

# More steps than 12 and LLVM keeps the loop over them, and with it scalars: 6 instead of 25 a ns.
DEGREE, COPIED = 12, 2**24


@kernel
def ten_polynomials(x, out):
    """Nothing but multiply-adds: chains enough to hide the latency of 4 cycles, in vectors."""
    for i in range(x.size):
        t = x[i]
        a, b, c, d, e = t, t + 0.1, t + 0.2, t + 0.3, t + 0.4
        f, g, h, k, m = t + 0.5, t + 0.6, t + 0.7, t + 0.8, t + 0.9
        for _ in range(DEGREE):
            a, b, c, d, e = a * t + 0.1, b * t + 0.1, c * t + 0.1, d * t + 0.1, e * t + 0.1
            f, g, h, k, m = f * t + 0.1, g * t + 0.1, h * t + 0.1, k * t + 0.1, m * t + 0.1
        out[i] = ((a + b) + (c + d)) + ((e + f) + (g + h)) + (k + m)


def multiply_add_rate() -> float:
    """Return multiply-adds of doubles per second on one core, the best of many short runs."""
    x, out = np.linspace(0.0, 0.9, 1024), np.empty(1024)
    ten_polynomials(x, out)
    seconds = min(timed(lambda: ten_polynomials(x, out))[0] for _ in range(500))
    return 10 * DEGREE * x.size / seconds


def two_thread_scaling() -> float:
    """Return how much more two threads of nothing but multiply-adds get done than one.

    Two cores of a virtual machine may be one of the host's: 1.1 to 1.4 on such, 2 elsewhere.
    """
    x, outs = np.linspace(0.0, 0.9, 1024), np.empty((2, 1024))
    ten_polynomials(x, outs[0])

    def work(out: np.ndarray) -> None:
        for _ in range(10_000):
            ten_polynomials(x, out)

    gains = []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            one, _ = timed(lambda: work(outs[0]))
            two, _ = timed(lambda: list(pool.map(work, outs)))
            gains.append(2.0 * one / two)
    return statistics.median(gains)


def copy_rate() -> float:
    """Return bytes read and written per second on one core, copying arrays larger than caches."""
    source, target = np.ones(COPIED), np.zeros(COPIED)
    runs = [timed(lambda: np.copyto(target, source))[0] for _ in range(7)]
    return 2 * source.nbytes / statistics.median(runs)

"""Items shared by threads, the caller among them."""

import threading
import time

import pytest

from rbig_numba.threads import map_threads


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 7])
def test_results_are_in_order(n_jobs):
    def square(i):
        time.sleep(0.001 * (i % 3))
        return i * i

    assert map_threads(square, range(20), n_jobs) == [i * i for i in range(20)]
    assert map_threads(square, [], n_jobs) == []


def test_as_many_threads_as_asked_for():
    barrier = threading.Barrier(3, timeout=10)

    def meet(_):
        barrier.wait()
        return threading.get_ident()

    assert len(set(map_threads(meet, "abc", 3))) == 3


@pytest.mark.parametrize("error", [ValueError, IndexError, KeyboardInterrupt])
def test_an_error_ends_all(error):
    done = []

    def fail(i):
        if i == 3:
            raise error("third")
        time.sleep(0.001)
        done.append(i)

    with pytest.raises(error, match="third"):
        map_threads(fail, range(1000), 2)
    assert len(done) < 100

"""Random states: of all that NumPy calls a source of random numbers, one kind."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def random_state_of(seed: Any) -> np.random.RandomState:
    """Return a RandomState of an integer, None, a RandomState or a Generator.

    A Generator is drawn from, so that it gives another state each time.

    Raises
    ------
    TypeError
        For anything else.
    ValueError
        For integers outside 0 to 2**32 - 1.
    """
    if isinstance(seed, np.random.Generator):
        return np.random.RandomState(seed.integers(2**32, size=8, dtype=np.uint32))
    if isinstance(seed, Integral) and not isinstance(seed, bool):
        if not 0 <= int(seed) < 2**32:
            raise ValueError(f"random_state={seed!r} must be between 0 and 2**32 - 1")
    elif not (seed is None or seed is np.random or isinstance(seed, np.random.RandomState)):
        shown = " ".join(repr(seed).split())
        raise TypeError(
            f"random_state={shown} must be an integer, a RandomState, a Generator or None"
        )
    return check_random_state(seed)

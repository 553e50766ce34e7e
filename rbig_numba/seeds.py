"""Random states: of all that NumPy calls a source of random numbers, one kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def random_state_of(seed: Any) -> np.random.RandomState:
    """Return a RandomState of an integer, None, a RandomState or a Generator.

    A Generator is drawn from, so that it gives another state each time.

    Raises
    ------
    TypeError, ValueError
        For anything else, and for integers outside 0 to 2**32 - 1.
    """
    if isinstance(seed, (bool, np.bool_)):
        raise TypeError(f"random_state={seed!r} must be an integer, a generator or None")
    if isinstance(seed, np.random.Generator):
        return np.random.RandomState(seed.integers(2**32, size=8, dtype=np.uint32))
    return check_random_state(seed)

"""Seconds by stage of a fit, and those that it may take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple


class Deadline(NamedTuple):
    """When a fit has to end, on the clock of `time.perf_counter`."""

    at: float

    def allows(self, seconds: float) -> bool:
        """Whether so many seconds are left."""
        return time.perf_counter() + seconds <= self.at


def deadline_in(seconds: float | None) -> Deadline:
    """Return when so many seconds are over: never, if None."""
    return Deadline(float("inf") if seconds is None else time.perf_counter() + seconds)


@contextmanager
def stage(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the time that a block of code takes to the seconds of a stage."""
    started = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started


def merge_seconds(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    """Add up seconds by stage."""
    stages = dict.fromkeys(name for part in parts for name in part)
    return {name: sum(part.get(name, 0.0) for part in parts) for name in stages}

"""Seconds by stage of a fit, those that it may take, and what it says of itself meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple


class TimeIsUp(Exception):
    """Raised by whatever works when a fit has no time left; the fit ends with what it has."""


class Deadline(NamedTuple):
    """When a fit has to end, on the clock of `time.perf_counter`."""

    at: float

    def allows(self, seconds: float) -> bool:
        """Whether so many seconds are left."""
        return time.perf_counter() + seconds <= self.at

    def check(self) -> None:
        """Raise TimeIsUp once it is over."""
        if time.perf_counter() > self.at:
            raise TimeIsUp

    def part(self, share: float) -> Deadline:
        """Return the deadline of a share of what is left."""
        now = time.perf_counter()
        return Deadline(now + share * max(self.at - now, 0.0))


NEVER = Deadline(float("inf"))

# What each step of a search would otherwise have to be told, through all calls.
_current: ContextVar[Deadline] = ContextVar("deadline", default=NEVER)


def current_deadline() -> Deadline:
    """Return the deadline of the work that this thread does."""
    return _current.get()


@contextmanager
def within(deadline: Deadline) -> Iterator[Deadline]:
    """Let work end with TimeIsUp at a deadline, or at that of the work around it; yield which."""
    sooner = min(deadline, _current.get())
    token = _current.set(sooner)
    try:
        yield sooner
    finally:
        _current.reset(token)


class Report(NamedTuple):
    """What a fit tells while it runs.

    Attributes
    ----------
    block : callable
        Takes each block's record as soon as it is fitted.
    doing : callable
        Takes what is being done, in a few words.
    """

    block: Callable[[dict[str, Any]], None]
    doing: Callable[[str], None]


SILENT = Report(lambda record: None, lambda text: None)


def deadline_in(seconds: float | None) -> Deadline:
    """Return when so many seconds are over: never, if None."""
    return NEVER if seconds is None else Deadline(time.perf_counter() + seconds)


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

"""Lists for people: the first of many, and how many more there are."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 5


def listed(names: Iterable[object], between: str = ", ", more: str = " and {} more") -> str:
    """Return the first names, and how many more there are."""
    texts = [str(name) for name in names]
    rest = more.format(len(texts) - SHOWN) if len(texts) > SHOWN else ""
    return between.join(texts[:SHOWN]) + rest

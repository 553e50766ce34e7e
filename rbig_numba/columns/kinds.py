"""All kinds by name, and what stands for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rbig_numba.columns.angle import Angle
from rbig_numba.columns.base import Kind
from rbig_numba.columns.bounded import Bounded, Positive
from rbig_numba.columns.levels import Ordered, Unordered
from rbig_numba.columns.real import Real
from rbig_numba.columns.skip import Skip
from rbig_numba.columns.spike import Spike
from rbig_numba.columns.steps import Steps, Whole

KINDS: dict[str, type[Kind]] = {
    kind.kind: kind
    for kind in (Real, Positive, Bounded, Angle, Whole, Steps, Spike, Ordered, Unordered, Skip)
}


def kind_of(value: Any, label: str) -> Kind:
    """Return the kind of a name, of JSON values that `Kind.plain` made, or itself.

    Raises
    ------
    ValueError, TypeError
        For unknown names and settings; `label` says what holds them.
    """
    if isinstance(value, Kind):
        return value
    settings: dict[str, Any] = {}
    if isinstance(value, Mapping):
        settings = dict(value)
        value = settings.pop("kind", None)
    if not isinstance(value, str) or value not in KINDS:
        raise ValueError(f"{label}={value!r} is no kind of column: {', '.join(KINDS)} are")
    try:
        return KINDS[value](**settings)
    except TypeError as error:
        raise TypeError(f"{label}: {value} has no such settings: {error}") from error

"""One column of a table: its kind, and what a walk over the table told of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rbig_numba.columns.base import Kind
from rbig_numba.columns.levels import Ordered, Unordered
from rbig_numba.columns.ordering import ordered_levels
from rbig_numba.columns.skip import Skip
from rbig_numba.columns.survey import Survey

HELD = {"text": "text", "category": "a category", "date": "dates"}


@dataclass(frozen=True)
class Entry:
    """A column.

    Attributes
    ----------
    name : str or int
    kind : Kind
    why, remark : str
        What speaks for the kind; what a person should look at.
    type, dtype, categories, ordered
        See `rbig_numba.columns.cells.Column`.
    missing : float
        Share of cells that are missing.
    """

    name: Any
    kind: Kind
    why: str = ""
    remark: str = ""
    type: str = "number"
    dtype: str = "float64"
    missing: float = 0.0
    categories: list | None = None
    ordered: bool = False


def told(entry: Entry, survey: Survey) -> Entry:
    """Return a column with what its survey tells of the table."""
    return replace(
        entry,
        type=survey.type,
        dtype=survey.dtype,
        missing=survey.n_missing / max(survey.n_rows, 1),
        categories=survey.levels,
        ordered=survey.ordered,
    )


def learned(entry: Entry, place: int, surveys: list[Survey]) -> Entry:
    """Return a column whose kind is learned from its survey, the one at `place`.

    Raises
    ------
    ValueError
        If the column can't be of its kind; names it.
    """
    kind, survey = entry.kind, surveys[place]
    if not isinstance(kind, (Skip, Ordered)) and survey.type not in ("number", "bool"):
        raise ValueError(
            f"column {entry.name!r} holds {HELD[survey.type]}, and can't be {kind.kind!r} but "
            "'skip', 'ordered' or 'unordered'"
        )
    try:
        if isinstance(kind, Unordered) and kind.levels is None and survey.counts is not None:
            others = [other for number, other in enumerate(surveys) if number != place]
            kind = replace(kind, levels=ordered_levels(survey, others))
        return replace(entry, kind=kind.learn(survey))
    except ValueError as error:
        raise ValueError(f"column {entry.name!r} can't be {kind.kind!r}: {error}") from error

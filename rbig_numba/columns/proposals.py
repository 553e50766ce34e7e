"""Which kind a column is, told by its values, and why."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from rbig_numba.columns.angle import TURN, Angle
from rbig_numba.columns.base import Kind
from rbig_numba.columns.bounded import Bounded, Positive
from rbig_numba.columns.levels import Ordered, Unordered
from rbig_numba.columns.real import Real
from rbig_numba.columns.shape import LONE_WIDTHS, is_isolated, repeated, support_of
from rbig_numba.columns.skip import Skip
from rbig_numba.columns.spike import Spike
from rbig_numba.columns.steps import Steps, Whole, step_of
from rbig_numba.columns.survey import MOST_VALUES, Survey

# Beyond these numbers floats hold whole numbers only, and say nothing of what the column holds.
LEAST_WHOLE = 2.0**24
# Numbers that stand for missing cells in many archives.
FILL_VALUES = (-9999.0, -999.0, -99.0, -32768.0, 9999.0, 99999.0, 1e20, 1e30, 9.96920996838687e36)
FILL_ROWS = 3.0
# An angle's rows go round: both ends of the circle are as near as this share of the period, or five
# times that of a column that is named like an angle, and the sixteenths there hold a fifth of what
# an even spread would give them.
NEAR_END, NAMED_END, POPULATED = 0.01, 0.05, 0.2
CIRCLES = ((0.0, 360.0), (-180.0, 360.0), (0.0, TURN), (-0.5 * TURN, TURN))
NAMES = re.compile(
    r"(^|[^a-z])(dir|direction|angle|azimuth|heading|bearing|aspect|phi|phase|lon|longitude|wd)"
    r"([^a-z]|$)"
)
# Numbers of so few values are classes, if they are on no lattice.
FEW_VALUES = 50


class Proposal(NamedTuple):
    """A kind, and what speaks for it; a remark if a person should look."""

    kind: Kind
    why: str
    remark: str = ""


def propose(survey: Survey, name: Any) -> Proposal:
    """Return the kind that a column's survey speaks for."""
    if survey.n_missing == survey.n_rows:
        return Proposal(Skip(), "no cell is there")
    if survey.counts is not None and len(survey.counts) == 1:
        return Proposal(Skip(), f"constant: {next(iter(survey.counts))!r:.40}")
    if survey.type == "date":
        return Proposal(Skip(), "dates; days since one of them would be numbers")
    if survey.type == "text":
        return Proposal(Skip(), _text(survey))
    if survey.type == "category":
        if survey.counts is None:
            return Proposal(Skip(), f"a category of more than {MOST_VALUES:,} levels")
        kind = Ordered(survey.levels) if survey.ordered else Unordered()
        return Proposal(kind, f"a category {'with' if survey.ordered else 'without'} an order")
    if survey.type == "bool":
        return Proposal(Ordered([False, True]), "true or false")
    return _of_numbers(survey, str(name).lower())


def _text(survey: Survey) -> str:
    if survey.counts is None:
        return f"text of more than {MOST_VALUES:,} values"
    return f"text of {len(survey.counts)} values; 'unordered' or 'ordered' would make it classes"


def _of_numbers(survey: Survey, name: str) -> Proposal:
    values, _ = survey.distinct()
    if circle := _circle(survey, name):
        low, period = circle
        return Proposal(Angle(period, low), "goes round: both ends of the circle hold rows")
    step = step_of(values, survey)
    if step == 1.0 and not _says_nothing(values):
        return Proposal(Whole(), "whole numbers", _fill_remark(survey, values))
    atoms = repeated(survey)
    if step and not _says_nothing(values) and survey.counts is not None:
        return Proposal(Steps(step), f"multiples of {step:g}", _fill_remark(survey, values))
    if survey.counts is not None and len(values) <= min(FEW_VALUES, 0.1 * survey.n_rows):
        return Proposal(Ordered(), f"{len(values)} different values", _fill_remark(survey, values))
    if len(atoms):
        listed = ", ".join(f"{atom:g}" for atom in atoms[:4]) + " ..." * (len(atoms) > 4)
        why = f"repeated far more than their neighbours: {listed}"
        return Proposal(Spike(atoms.tolist()), why, _fill_remark(survey, atoms))
    if step and not _says_nothing(values):
        return Proposal(Steps(step), f"multiples of {step:g}")
    support = support_of(survey.sample[0])
    if support.low is not None and support.high is not None:
        return Proposal(
            Bounded(*support), f"values reach both {support.low:g} and {support.high:g}"
        )
    if support.low is not None:
        return Proposal(Positive(), "values reach 0, and none is below")
    return Proposal(Real(), "numbers that hardly repeat")


def _says_nothing(values: np.ndarray) -> bool:
    """Whether most are so large that every float is a whole number."""
    sizes = np.abs(values[values != 0.0])
    return bool(2 * (sizes < LEAST_WHOLE).sum() < len(sizes))


def _circle(survey: Survey, name: str) -> tuple[float, float] | None:
    values, weights = survey.sample
    share = NAMED_END if NAMES.search(name) else NEAR_END
    for low, period in CIRCLES:
        reach = share * period
        ends = (
            low - 1e-6 <= survey.low <= low + reach,
            0.0 <= low + period - survey.high + 1e-6 <= reach,
        )
        if all(ends) and len(values) >= 100:
            mass = np.cumsum(weights) / weights.sum()
            first = np.interp(low + period / 16.0, values, mass)
            last = 1.0 - np.interp(low + period * 15.0 / 16.0, values, mass)
            if min(first, last) > POPULATED / 16.0:
                return low, period
    return None


def _fill_remark(survey: Survey, values: np.ndarray) -> str:
    """Name values that look like codes for missing cells, with their rows."""
    distinct, weights = survey.distinct()
    found = []
    for value in np.unique(np.concatenate([values[:2], values[-2:]])):
        n_rows = float(weights[np.searchsorted(distinct, value)])
        known = np.isclose(value, FILL_VALUES, rtol=1e-6).any()
        if n_rows >= FILL_ROWS and is_isolated(distinct, value, 0.5 if known else LONE_WIDTHS):
            found.append(f"{value:g} ({n_rows:,.0f} rows)")
    return f"suspicious fill value {', '.join(found)}" if found else ""

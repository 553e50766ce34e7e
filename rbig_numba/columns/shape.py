"""What the sorted values of a column tell: which repeat, and where they end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rbig_numba.columns.support import Support
from rbig_numba.columns.survey import Survey

# An atom has this share of the rows, so many of them, and so many times the rows of the median
# value among as many distinct ones on either side.
SHARE, ROWS, TIMES, NEIGHBOURS = 0.002, 10.0, 10.0, 25
# Atoms at most: of values that all repeat none stands out.
MOST_ATOMS = 16
# An isolated value is an atom with fewer rows: it lies so many widths of the others from them.
LONE_ROWS, LONE_WIDTHS = 3.0, 3.0
# An atom beyond all others is a bound, if it lies no farther than the width of their middle 80 %:
# the code for a missing cell does. 0, 1 and 100 are bounds without an atom if values come as close,
# in such widths, and rows are enough to tell; 0 alone if the tail on its side is so much shorter.
CLOSE, FEWEST_ROWS, SHORTER = 0.05, 500, 0.6


def repeated(survey: Survey) -> np.ndarray:
    """Return the values (A,), ascending, that repeat far more than those beside them."""
    values, weights = survey.distinct()
    if len(values) < 3:
        return np.empty(0)
    unit = max(
        survey.weight / max(len(survey.sample[0]), 1), 1.0
    )  # rows that one of a sample means
    candidates = np.flatnonzero(weights >= LONE_ROWS * unit)
    order = np.argsort(-weights[candidates], kind="stable")[: 4 * MOST_ATOMS]
    found = [
        values[place]
        for place in candidates[order].tolist()
        if _stands_out(values, weights, place, survey.weight, unit)
    ]
    return np.sort(found[:MOST_ATOMS])


def _stands_out(
    values: np.ndarray, weights: np.ndarray, place: int, total: float, unit: float
) -> bool:
    around = np.r_[max(place - NEIGHBOURS, 0) : place, place + 1 : place + 1 + NEIGHBOURS]
    around = around[around < len(values)]
    typical = float(np.median(weights[around]))
    if weights[place] >= max(SHARE * total, ROWS * unit, TIMES * typical):
        return True
    return weights[place] >= max(LONE_ROWS * unit, 3.0 * typical) and is_isolated(
        values, values[place]
    )


def is_isolated(values: np.ndarray, value: float, widths: float = LONE_WIDTHS) -> bool:
    """Whether a value lies so many widths of most of the others, distinct and ascending, away."""
    others = values[values != value]
    if len(others) < 3:
        return False
    low, high = np.quantile(others, [0.05, 0.95])
    return bool(min(abs(value - low), abs(value - high)) > widths * (high - low))


def support_of(values: np.ndarray, atoms: Sequence[float] = ()) -> Support:
    """Return where continuous values (n,), ascending, lie, beside atoms."""
    least, most = float(values[0]), float(values[-1])
    first, middle, last, end = np.quantile(values, [0.1, 0.5, 0.9, 0.999]).tolist()
    width, close = last - first, CLOSE * (last - first)
    low = max((a for a in atoms if least - width <= a < least), default=None)
    high = min((a for a in atoms if most < a <= most + width), default=None)
    if len(values) >= FEWEST_ROWS and low is None and 0.0 < least <= close:
        tops = [top for top in (1.0, 100.0) if most < top <= most + close]
        if high is None and tops:
            return Support(0.0, tops[0])
        if high is not None or middle - least < SHORTER * (end - middle):
            low = 0.0
    return Support(low, high)

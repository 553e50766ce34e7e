"""What columns hold, and how their values become numbers with a density and come back."""

from rbig_numba.columns.angle import Angle
from rbig_numba.columns.base import Kind
from rbig_numba.columns.bounded import Bounded, Positive
from rbig_numba.columns.levels import Ordered, Unordered
from rbig_numba.columns.real import Real
from rbig_numba.columns.schema import Columns
from rbig_numba.columns.skip import Skip
from rbig_numba.columns.spike import Spike
from rbig_numba.columns.steps import Steps, Whole

__all__ = [
    "Angle",
    "Bounded",
    "Columns",
    "Kind",
    "Ordered",
    "Positive",
    "Real",
    "Skip",
    "Spike",
    "Steps",
    "Unordered",
    "Whole",
]

"""Whose line a warning is about: that of the caller, however deep it is found."""

from __future__ import annotations

import sys


def user_level() -> int:
    """Return the stacklevel, for the caller's warning, of the line outside that led to it."""
    package = __name__.partition(".")[0]
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level

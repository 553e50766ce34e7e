"""The command line: the entry point, and the one line it prints when something is wrong."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import typer

from rbig_numba.cli.commands import app, say


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0, or 2 after one line on standard error that says why."""
    handler = _Lines()
    logger = logging.getLogger("rbig_numba")
    logger.addHandler(handler)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            code = app(arguments, prog_name="rbig-numba", standalone_mode=False)
        except (ValueError, TypeError, OSError, MemoryError, typer.TyperException) as error:
            say(f"error: {_message(error)}")
            code = 2
        finally:
            logger.removeHandler(handler)
    raise SystemExit(code)


class _Lines(logging.Handler):
    """Prints what the engine logs as any other line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        say(record.getMessage())


def _message(error: Exception) -> str:
    """Return an error's text on one line."""
    text = str(error)
    if isinstance(error, typer.TyperException):
        text = error.format_message()
    elif isinstance(error, OSError) and error.strerror and error.filename:
        text = f"{error.filename}: {error.strerror}"
    return " ".join(text.split()) or type(error).__name__


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    say(f"warning: {' '.join(str(message).split())}")

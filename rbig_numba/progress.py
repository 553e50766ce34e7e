"""Progress bars on stderr: a fit's shows the log-likelihood, or what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core.event import Event, Listener, install_listener
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)


@contextmanager
def progress_bar(n_blocks: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that takes each block's record as it is fitted."""
    with _bar("block", n_blocks) as (progress, task):

        def report(record: dict[str, Any]) -> None:
            name = "train" if record["held_out"] is None else "held_out"
            label = name.replace("_", "-")
            progress.update(task, advance=1, description=f"{label} {record[name]:+.4f} nats")

        with install_listener("numba:compile", _Compilations(progress, task)):
            yield report


@contextmanager
def counting_bar(label: str, total: int) -> Iterator[Callable[[str], None]]:
    """Yield a function that takes the name of each thing as it is done."""
    with _bar(label, total) as (progress, task):
        yield lambda name: progress.update(task, advance=1, description=name)


@contextmanager
def _bar(label: str, total: int) -> Iterator[tuple[Progress, TaskID]]:
    columns = (
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress, progress.add_task("", total=total)


class _Compilations(Listener):
    """Shows what Numba compiles: a first fit may spend most of its time there."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress, self.task = progress, task
        self.names: list[str] = []

    def on_start(self, event: Event) -> None:
        """Show a function; those it calls are compiled within."""
        self.names.append(event.data["dispatcher"].__name__)
        self._show()

    def on_end(self, event: Event) -> None:
        """Show the function that called it again, if any."""
        self.names.pop()
        self._show()

    def _show(self) -> None:
        text = f"compiling kernel {self.names[0]}" if self.names else ""
        self.progress.update(self.task, description=text)

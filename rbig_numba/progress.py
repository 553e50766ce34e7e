"""Progress on stderr: what a fit has reached, what it does, and what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event as Signal
from threading import Thread
from typing import Any

from numba.core.event import Event, Listener, install_listener
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from rbig_numba.profile import Report

# Seconds between two lines where stderr is no terminal, and a bar would not be seen to move.
INTERVAL = 2.0


@contextmanager
def progress_bar(n_blocks: int) -> Iterator[Report]:
    """Yield what a fit tells its blocks and doings to; shown once rows are read, lines before."""
    bar = _FitBar(n_blocks)
    listening = install_listener("numba:compile", _Compilations(bar.compiles))
    with listening, _lines(bar.progress.console, bar.line):
        try:
            yield Report(bar.block, bar.doing)
        finally:
            bar.end()


@contextmanager
def counting_bar(label: str, total: int) -> Iterator[Callable[[str], None]]:
    """Yield a function that takes the name of each thing as it is done."""
    with _bar(label) as progress:
        task = progress.add_task("", total=total)
        yield lambda name: progress.update(task, advance=1, description=name)


def _bar(label: str) -> Progress:
    columns = (
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))


class _FitBar:
    """A bar of blocks that says how good the fit is, and what it is doing."""

    def __init__(self, n_blocks: int) -> None:
        self.progress = _bar("block")
        self.task = self.progress.add_task("", total=n_blocks)
        self.n_done, self.score, self.text, self.compiling = 0, "", "reading rows", ""

    def block(self, record: dict[str, Any]) -> None:
        """Show a block's record."""
        name = "train" if record["held_out"] is None else "held_out"
        self.score = f"{name.replace('_', '-')} {record[name]:+.4f} nats"
        self.n_done += 1
        self.doing("")

    def doing(self, text: str) -> None:
        """Show what is being done."""
        self.text = text
        self.progress.start()
        self._update()

    def compiles(self, text: str) -> None:
        """Show what is being compiled, if rows are read."""
        self.compiling = text
        self._update()

    def line(self) -> str:
        """Return what there is to say."""
        return f"block {self.n_done + 1}: {self._described()}"

    def end(self) -> None:
        """Leave the score."""
        if self.progress.live.is_started:
            self.doing("")
            self.progress.stop()

    def _update(self) -> None:
        self.progress.update(self.task, completed=self.n_done, description=self._described())

    def _described(self) -> str:
        return ", ".join(filter(None, (self.score, self.compiling or self.text)))


@contextmanager
def _lines(console: Console, line: Callable[[], str]) -> Iterator[None]:
    """Print a line every INTERVAL seconds, unless the console is a terminal."""
    ended, started = Signal(), time.perf_counter()

    def tell() -> None:
        while not ended.wait(INTERVAL):
            console.print(f"{time.perf_counter() - started:.0f} s, {line()}", highlight=False)

    teller = Thread(target=tell, daemon=True)
    if not (console.is_terminal or console.is_jupyter):
        teller.start()
    try:
        yield
    finally:
        ended.set()
        if teller.is_alive():
            teller.join()


class _Compilations(Listener):
    """Tells what Numba compiles: a first fit may spend most of its time there."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.names: list[str] = []

    def on_start(self, event: Event) -> None:
        """Tell of a function; those it calls are compiled within."""
        self.names.append(event.data["dispatcher"].__name__)
        self._tell()

    def on_end(self, event: Event) -> None:
        """Tell of the function that called it again, if any."""
        self.names.pop()
        self._tell()

    def _tell(self) -> None:
        self.tell(f"compiling kernel {self.names[0]}" if self.names else "")

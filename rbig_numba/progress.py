"""A progress bar on stderr that shows the log-likelihood."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress_bar(n_blocks: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that takes each block's record as it is fitted."""
    columns = (
        TextColumn("block"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=n_blocks)

        def report(record: dict[str, Any]) -> None:
            name = "train" if record["held_out"] is None else "held_out"
            label = name.replace("_", "-")
            progress.update(task, advance=1, description=f"{label} {record[name]:+.4f} nats")

        yield report

"""What a fitted model says of itself, for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from rbig_numba import __version__

if TYPE_CHECKING:
    from rbig_numba.estimators.ensemble import RBIGEnsemble
    from rbig_numba.estimators.rbig import RBIG


def print_report(path: Path, model: RBIG | RBIGEnsemble) -> None:
    """Print the facts and the histories of a model that was read from `path`."""
    console = Console(markup=False, highlight=False, emoji=False)
    console.print(_facts(path, model))
    for member in _members(model):
        console.print(_history(member))


def outcome(model: RBIG | RBIGEnsemble) -> str:
    """Describe the kept blocks, with the held-out mean log-density of a fit that held rows out."""
    return "; ".join(map(_outcome, _members(model)))


def _members(model: RBIG | RBIGEnsemble) -> list[RBIG]:
    return getattr(model, "estimators_", [model])


def _outcome(model: RBIG) -> str:
    kept = [record for record in model.history_ if record["kept"]]
    blocks = f"{len(kept)} blocks kept"
    if not kept or kept[-1]["held_out"] is None:
        return blocks
    return f"{blocks}, held-out {kept[-1]['held_out']:.4f} nats per row"


def _facts(path: Path, model: RBIG | RBIGEnsemble) -> Table:
    bijections = [b for member in _members(model) for b in member.flow_.bijections]
    numbers = sum(array.size for b in bijections for array in b.arrays().values())
    columns = getattr(model, "feature_names_in_", [f"{model.n_features_in_} without names"])
    grid = Table.grid(padding=(0, 2))
    grid.add_row("file", f"{path}, {path.stat().st_size:,} bytes")
    grid.add_row("read by", f"rbig-numba {__version__}")
    grid.add_row("rows", f"{model.n_samples_fit_:,}")
    grid.add_row("columns", ", ".join(columns))
    grid.add_row("parameters", ", ".join(f"{k}={v!r}" for k, v in model.get_params().items()))
    grid.add_row("flow", f"{len(bijections)} bijections, {numbers:,} numbers")
    grid.add_row("fit", outcome(model))
    return grid


def _history(model: RBIG) -> Table:
    grid = Table(title="Blocks, mean log-density in nats per row")
    headers = ("block", "kind", "about", "train", "held_out", "gain", "seconds", "kept")
    for header in headers:
        grid.add_column(
            header.replace("_", "-"), justify="left" if header in ("kind", "about") else "right"
        )
    for record in model.history_:
        grid.add_row(*(_cell(record[header]) for header in headers))
    return grid


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4f}" if isinstance(value, float) else str(value)

"""Rows of cells to encoded rows, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rbig_numba.columns import copula
from rbig_numba.columns.base import BadCellError
from rbig_numba.columns.cells import Cells, Column
from rbig_numba.columns.draws import row_draws
from rbig_numba.columns.entry import Entry
from rbig_numba.columns.schema import Columns


def matched(columns: Columns, cells: Cells, label: str) -> list[Column]:
    """Return the table's columns that are not left out, in the order of the fit.

    They are found by name if both have names, else by place; a table may lack those left out.

    Raises
    ------
    ValueError
        For a table that lacks a column, or has other ones.
    """
    kept = columns.kept
    if columns.named and cells.names is not None:
        by_name = dict(zip(cells.names, cells.columns, strict=True))
        missing = [entry.name for entry in kept if entry.name not in by_name]
        other = [name for name in cells.names if name not in set(columns)]
        if missing or other:
            what = f"lacks {missing}" if missing else f"has {other}, which the fit hadn't"
            raise ValueError(f"{label} {what}: the columns of the fit are {list(columns)}")
        return [by_name[entry.name] for entry in kept]
    if len(cells.columns) == len(columns):
        pairs = zip(columns.entries, cells.columns, strict=True)
        return [column for entry, column in pairs if entry.kind.n_encoded]
    if len(cells.columns) == len(kept):
        return cells.columns
    raise ValueError(
        f"{label} has {len(cells.columns)} columns, but the model was fitted with {len(columns)}"
    )


def numbers(columns: Columns, cells: Cells, label: str, start: int = 0) -> np.ndarray:
    """Return a table's cells as numbers (n, K), of the columns that are not left out.

    float32 if all of them are, else float64; NaN where missing. `start` is the number of the first
    row.
    """
    given, kept = matched(columns, cells, label), columns.kept
    single = all(column.cells.dtype == np.float32 for column in given)
    out = np.empty((cells.n_rows, len(kept)), np.float32 if single else np.float64, order="F")
    for j, (entry, column) in enumerate(zip(kept, given, strict=True)):
        try:
            out[:, j] = entry.kind.numbers(column.cells)
        except BadCellError as error:
            row = start + error.row
            raise ValueError(f"{label}: column {entry.name!r}, row {row}: {error}") from error
    return out


def encoded(columns: Columns, x: np.ndarray, start: int, label: str) -> np.ndarray:
    """Return encoded rows (n, K) of numbers, of which the first is row `start` of its table.

    Where in its jump an atom lies is drawn given the rest of its row (`rbig_numba.columns.copula`),
    by numbers that follow from `columns.seed`, row and column.

    Raises
    ------
    ValueError
        For a value that its column can't hold, with column and row.
    """
    if columns.passes_through:
        return x
    kept = columns.kept
    cells = np.asarray(x, dtype=np.float64, order="F")
    for entry, column in zip(kept, cells.T, strict=True):
        if (outside := entry.kind.outside(column)).any():
            row = int(np.argmax(outside))
            kind, cell = entry.kind, f"{column[row]:.10g}"
            raise ValueError(
                f"{label}: column {entry.name!r}, row {start + row}: {cell} can't be in a column "
                f"of kind {kind.kind!r}, which holds {kind.allowed}"
            )
    y = _placed(kept, cells, _draws(columns.seed, 0, start, cells.shape))
    if columns.copula is not None:
        low, high = jumps(columns, cells)
        known = np.isnan(low)
        z = np.where(known, columns.copula.scores(y), y)
        ends = np.where(known, z, low), np.where(known, z, high)
        drawn = columns.copula.drawn(
            z, *ends, lambda sweep: _draws(columns.seed, sweep + 1, start, cells.shape)
        )
        y = np.where(known, y, drawn)
    return np.asarray(y, dtype=x.dtype, order="F")


def with_copula(columns: Columns) -> Columns:
    """Return columns that were just learned from a table, with their copula, if they have atoms."""
    cells, weights = columns.sample()
    raw = zip(columns.kept, cells, strict=True)
    x = np.stack([entry.kind.numbers(column)[: copula.ROWS] for entry, column in raw], axis=1)
    outside = each(columns.kept, x, lambda entry, column: entry.kind.outside(column))
    usable = ~(outside | np.isinf(x)).any(axis=1)  # encoding all rows says where the others are
    x, weights = x[usable], weights[: copula.ROWS][usable]
    low, high = jumps(columns, x)
    if not any(entry.kind.scored for entry in columns.kept):
        return columns
    # One copula for all seeds: models that are averaged encode rows alike.
    y = _placed(columns.kept, x, _draws(0, 0, 0, x.shape))
    columns.copula = copula.copula_of(
        y, low, high, weights, lambda sweep: _draws(0, sweep + 1, 0, x.shape)
    )
    return columns


def jumps(columns: Columns, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends (n, K) of the scores of cells that are atoms; NaN of those that aren't."""
    low, high = np.full(cells.shape, np.nan), np.full(cells.shape, np.nan)
    for j, entry in enumerate(columns.kept):
        if entry.kind.scored:
            atoms = entry.kind.has_jump(cells[:, j])
            at = cells[atoms, j]
            with np.errstate(invalid="ignore"):
                low[atoms, j] = entry.kind.encode(at, np.zeros(len(at))).y
                high[atoms, j] = entry.kind.encode(at, np.ones(len(at))).y
    return low, high


def _draws(seed: int, sweep: int, start: int, shape: tuple[int, ...]) -> np.ndarray:
    n_rows, n_columns = shape
    numbers = range(sweep * n_columns, (sweep + 1) * n_columns)
    return np.stack([row_draws(seed, j, start, n_rows) for j in numbers], axis=1)


def _placed(kept: Sequence[Entry], cells: np.ndarray, places: np.ndarray) -> np.ndarray:
    pairs = zip(kept, cells.T, places.T, strict=True)
    return np.stack([entry.kind.encode(x, v).y for entry, x, v in pairs], axis=1)


def decoded(columns: Columns, y: np.ndarray) -> np.ndarray:
    """Return the numbers (n, K) of encoded rows."""
    out = np.empty(y.shape, order="F")
    for j, entry in enumerate(columns.kept):
        out[:, j] = entry.kind.decode(np.asarray(y[:, j], dtype=np.float64))
    return out


def each(
    kept: Sequence[Entry], cells: np.ndarray, function: Callable[[Entry, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return function(entry, cells of its column) of all columns, side by side."""
    columns = [function(entry, column) for entry, column in zip(kept, cells.T, strict=True)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(cells), 0), bool)

"""Rows of cells to encoded rows and back, and log-probabilities of rows with atoms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rbig_numba.columns.base import BadCellError, Encoded
from rbig_numba.columns.cells import Cells, Column
from rbig_numba.columns.draws import lattice, row_draws
from rbig_numba.columns.entry import Entry
from rbig_numba.columns.schema import Columns

# Rows whose points of the lattice are encoded at a time.
SCORED_ROWS = 32_768


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
    """Return encoded rows (n, K); where in its jump an atom is, seed, row and column tell.

    Raises
    ------
    ValueError
        For a value that its column can't hold, with column and row.
    """
    out = np.empty(x.shape, x.dtype, order="F")
    for j, entry in enumerate(columns.kept):
        cells = np.asarray(x[:, j], dtype=np.float64)
        if (outside := entry.kind.outside(cells)).any():
            row = int(np.argmax(outside))
            raise ValueError(
                f"{label}: column {entry.name!r}, row {start + row}: {cells[row]:.10g} can't be in "
                f"a column of kind {entry.kind.kind!r}, which holds {entry.kind.allowed}"
            )
        draws = row_draws(columns.seed, j, start, len(x))
        out[:, j] = entry.kind.encode(cells, draws).y
    return out


def log_prob(
    columns: Columns, density: Callable[..., np.ndarray], x: np.ndarray, n_jobs: int | None
) -> np.ndarray:
    """Return log P (n,) of rows of numbers (n, K), in nats.

    With respect to the counting measure on atoms and Lebesgue's elsewhere, in the table's units: a
    row's log-density, averaged over a lattice of places within the jumps of its atoms. -inf for a
    row with a value that its column can't hold.
    """
    parts = [
        _log_prob(columns, density, x[start : start + SCORED_ROWS], n_jobs)
        for start in range(0, len(x), SCORED_ROWS)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _log_prob(
    columns: Columns, density: Callable[..., np.ndarray], x: np.ndarray, n_jobs: int | None
) -> np.ndarray:
    kept = columns.kept
    cells = np.asarray(x, dtype=np.float64, order="F")
    outside = _each(kept, cells, lambda entry, column: entry.kind.outside(column)).any(axis=1)
    out = np.full(len(x), -np.inf)
    cells = cells[~outside]
    jumps = _each(kept, cells, lambda entry, column: entry.kind.has_jump(column))
    rows = jumps.any(axis=1)
    scores = np.empty(len(cells))
    if not rows.all():
        y, log_weight = _at(kept, cells[~rows], np.full(len(kept), 0.5))
        scores[~rows] = density(y, n_jobs) + log_weight
    if rows.any():
        # A column's place in the lattice is the same whatever other rows hold.
        points = lattice(columns.n_points, len(kept))
        total = np.full(int(rows.sum()), -np.inf)
        for point in points:
            y, log_weight = _at(kept, cells[rows], point)
            total = np.logaddexp(total, density(y, n_jobs) + log_weight)
        scores[rows] = total - np.log(len(points))
    out[~outside] = scores
    return out


def _each(
    kept: Sequence[Entry], cells: np.ndarray, function: Callable[[Entry, np.ndarray], np.ndarray]
) -> np.ndarray:
    columns = [function(entry, column) for entry, column in zip(kept, cells.T, strict=True)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(cells), 0), bool)


def _at(kept: Sequence[Entry], cells: np.ndarray, point: np.ndarray) -> Encoded:
    """Encode rows at one point of the lattice; also return the sum of their log-weights."""
    y, total = np.empty(cells.shape, order="F"), np.zeros(len(cells))
    for j, entry in enumerate(kept):
        y[:, j], log_weight = entry.kind.encode(cells[:, j], np.full(len(cells), point[j]))
        total += log_weight
    return Encoded(y, total)


def decoded(columns: Columns, y: np.ndarray) -> np.ndarray:
    """Return the numbers (n, K) of encoded rows."""
    out = np.empty(y.shape, order="F")
    for j, entry in enumerate(columns.kept):
        out[:, j] = entry.kind.decode(np.asarray(y[:, j], dtype=np.float64))
    return out

"""Log-probabilities of rows with atoms: a density's integral over their jumps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr

from rbig_numba.columns.base import LOG_SQRT_2PI
from rbig_numba.columns.coding import each, jumps
from rbig_numba.columns.draws import lattice
from rbig_numba.columns.schema import Columns

# Rows whose points of the lattice are encoded at a time.
SCORED_ROWS = 32_768

Density = Callable[..., np.ndarray]


def log_prob(columns: Columns, density: Density, x: np.ndarray, n_jobs: int | None) -> np.ndarray:
    """Return log P (n,) of rows of numbers (n, K), in nats.

    With respect to the counting measure on atoms and Lebesgue's elsewhere, in the table's units: a
    row's density is integrated over the jumps of its atoms. The integral is a mean over a lattice
    of `columns.n_points` points, drawn as the columns' copula says (Geweke, Hajivassiliou and
    Keane's sampler), which is much like the density; without any regard to other rows. -inf for a
    row with a value that its column can't hold.
    """
    parts = [
        _log_prob(columns, density, x[start : start + SCORED_ROWS], n_jobs)
        for start in range(0, len(x), SCORED_ROWS)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _log_prob(columns: Columns, density: Density, x: np.ndarray, n_jobs: int | None) -> np.ndarray:
    kept = columns.kept
    cells = np.asarray(x, dtype=np.float64, order="F")
    outside = each(kept, cells, lambda entry, column: entry.kind.outside(column)).any(axis=1)
    out = np.full(len(x), -np.inf)
    cells = cells[~outside]
    rows = each(kept, cells, lambda entry, column: entry.kind.has_jump(column)).any(axis=1)
    scores = np.empty(len(cells))
    if not rows.all():
        y, log_weight = _at(columns, cells[~rows], np.full(len(kept), 0.5))
        scores[~rows] = density(y, n_jobs) + log_weight
    if rows.any():
        total = np.full(int(rows.sum()), -np.inf)
        for point in _points(columns):
            y, log_weight = _at(columns, cells[rows], point)
            total = np.logaddexp(total, density(y, n_jobs) + log_weight)
        scores[rows] = total - np.log(columns.n_points)
    out[~outside] = scores
    return out


def _points(columns: Columns) -> np.ndarray:
    """Return the lattice (n_points, K), of as many dimensions as there are columns of atoms."""
    atomic = np.array([entry.kind.jumps for entry in columns.kept])
    points = np.full((columns.n_points, len(atomic)), 0.5)
    points[:, atomic] = lattice(columns.n_points, int(atomic.sum()))
    return points


def _at(columns: Columns, cells: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encode rows at one point of the lattice; also return their log-weights (n,).

    These are the log-slopes of continuous cells, and minus the log-density by which scores of atoms
    were drawn; of values that the fit never met also their log-mass.
    """
    y, log_weight = np.empty(cells.shape, order="F"), np.empty(cells.shape, order="F")
    for j, entry in enumerate(columns.kept):
        places = np.full(len(cells), point[j])
        y[:, j], log_weight[:, j] = entry.kind.encode(cells[:, j], places)
    if columns.copula is None:
        return y, log_weight.sum(axis=1)
    low, high = jumps(columns, cells)
    atoms = ~np.isnan(low)
    # What an atom's mass is more than that of its jump: 0 but for new values, whose jump is all.
    with np.errstate(invalid="ignore"):
        extra = log_weight - 0.5 * y * y - LOG_SQRT_2PI - np.log(ndtr(high) - ndtr(low))
    log_weight = np.where(atoms, extra, log_weight).sum(axis=1)
    z = np.where(atoms, 0.0, columns.copula.scores(y))
    drawn, log_density = columns.copula.proposed(z, low, high, point)
    return np.where(atoms, drawn, y), log_weight - log_density

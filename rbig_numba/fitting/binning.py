"""Histograms that columns are fitted to: where the bins stand, and what they hold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.base import as_columns
from rbig_numba.kernels import histogram
from rbig_numba.rounding import rounded
from rbig_numba.threads import map_threads

# 256 bins lose up to 1e-2 nats on columns with many spikes, 512 less than 1e-3 against 2,024.
N_BINS = 512
# Cells of the table that bins are looked up in, of 0.0013 standard deviations of a normal column.
N_CELLS = 4096


class Grid(NamedTuple):
    """Bins of D columns.

    Attributes
    ----------
    edges : ndarray of shape (D, 2 * N_BINS)
        Ascending; N_BINS - 1 of them at most are finite, all others are inf.
    centres : ndarray of shape (D, N_BINS)
        A finite number in or near each bin.
    tables : ndarray of shape (D, N_CELLS)
        How many edges lie below each cell of a lattice.
    lookups : ndarray of shape (D, 3)
        Origin of the lattice, cells per unit, levels of search within a cell.
    """

    edges: np.ndarray
    centres: np.ndarray
    tables: np.ndarray
    lookups: np.ndarray


def grid_of(sample: np.ndarray, weights: np.ndarray, n_jobs: int | None = None) -> Grid:
    """Place the bins of each column of a sample of rows (S, D) with weights (S,)."""
    columns = as_columns(sample)
    placed = map_threads(lambda column: _place(column, weights), columns, n_jobs)
    return Grid(*(np.stack(arrays) for arrays in zip(*placed, strict=True)))


def _place(column: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return edges, centres, table and lookup of one column."""
    x, mass = _sorted_mass(*cells(column, weights))
    edges, centres = np.full(2 * N_BINS, np.inf), np.empty(N_BINS)
    table, lookup = np.empty(N_CELLS, dtype=np.int32), np.empty(3)
    finite = edges[: N_BINS - 1]
    histogram.place_edges(x, mass, finite)
    histogram.fill_table(x, mass, finite, table, lookup)
    histogram.place_centres(finite, centres)
    return edges, centres, table, lookup


def _sorted_mass(column: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted values (S,) and the running sum of their weights."""
    if weights.min() == weights.max():  # 8,192 values are sorted in 50 us, argsort takes 150
        return np.sort(column), histogram.accumulated(weights)
    order = np.argsort(column)
    return column[order], histogram.accumulated(weights[order])


class Histograms(NamedTuple):
    """The statistic that columns are fitted to: sums (D, N_BINS, 3); see `bins_of`.

    Cells that are NaN don't count.
    """

    grid: Grid
    stage: str = "histogram"

    def zeros(self, n_columns: int) -> tuple[np.ndarray]:
        """Return empty histograms."""
        return (np.zeros((n_columns, N_BINS, 3)),)

    def add(self, columns: np.ndarray, weights: np.ndarray, sums: tuple[np.ndarray, ...]) -> None:
        """Add columns (D, N) with row weights (N,) to histograms."""
        bins, grid = np.empty(columns.shape[1], dtype=np.int32), self.grid
        for j, column in enumerate(columns):
            x, mass = cells(column, weights)
            places = bins[: len(x)]
            histogram.find_bins(x, grid.edges[j], grid.tables[j], grid.lookups[j], places)
            histogram.accumulate(x, mass, places, grid.centres[j], sums[0][j])


def cells(column: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells (n,) of a column (N,) that are there, not NaN, and their weights (n,)."""
    if not np.isnan(column.sum()):  # one pass without a mask
        return column, weights
    there = ~np.isnan(column)
    return column[there], weights[there]


def bins_of(sums: np.ndarray, grid: Grid) -> np.ndarray:
    """Return bins (D, 3, N_BINS): weight, mean and variance of the rows in each bin.

    An empty bin sits at its centre. All are rounded, so that the order of rows doesn't matter.
    """
    weights, first, second = np.moveaxis(sums, 2, 0)
    filled = np.where(weights > 0.0, weights, 1.0)
    shifts, squares = first / filled, second / filled
    units = np.where(squares > 0.0, squares, 1.0)
    variances = rounded(np.maximum(squares - shifts * shifts, 0.0), units)
    means = grid.centres + rounded(shifts, np.sqrt(units))
    return np.stack([rounded(weights, filled), means, variances], axis=1)

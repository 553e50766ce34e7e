"""The rows of a fit, their holes filled by draws from a flow given the cells that are there."""

from __future__ import annotations

import numpy as np

from rbig_numba.chunks.block import Block, Rows
from rbig_numba.chunks.local import LocalRows
from rbig_numba.chunks.stores import MemoryStore
from rbig_numba.missing.draws import filled, row_keys
from rbig_numba.missing.leading import Leading
from rbig_numba.statistics import Sample
from rbig_numba.threads import map_threads

# Draws that one is chosen from while fitting: three quarters of the rows of a fit are drawn anew
# before each block, and each candidate goes through all blocks so far.
CANDIDATES = 8


def completed(rows: LocalRows, leading: Leading, seed: int) -> LocalRows:
    """Return rows in memory without holes, on the sides that they were on.

    Draws follow from the content of a row and the seed: a fit doesn't depend on the order of rows,
    and a row of weight 2 is the same as a row twice.
    """

    def fill(columns: np.ndarray) -> np.ndarray:
        holes = np.isnan(columns).any(axis=0)
        if holes.any():
            columns = columns.copy()
            some = columns[:, holes].T.astype(np.float64)
            keys = row_keys(some, seed)
            columns[:, holes] = filled(leading, some, keys, n_candidates=CANDIDATES)[0].T
        return columns

    def fill_block(number: int) -> Block:
        block = rows.store.read(number)
        return Block(*(Rows(fill(side.columns), side.weights) for side in block))

    store = MemoryStore(map_threads(fill_block, range(len(rows.store)), rows.n_jobs))
    train, held_out = (
        Sample(sample.hashes, np.ascontiguousarray(fill(sample.rows.T).T), sample.weights)
        for sample in rows.summary.samples
    )
    return LocalRows(store, rows.summary._replace(samples=(train, held_out)), rows.n_jobs)

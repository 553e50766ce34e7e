"""Blocks of rows from a table or a model to an output, one at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rbig_numba.checks.seeds import random_state_of
from rbig_numba.checks.validation import check_finite
from rbig_numba.tables import BLOCK_ROWS, as_arrow, table_writer

if TYPE_CHECKING:
    from rbig_numba.estimators.density import DensityEstimator
    from rbig_numba.tables import TableFile


def map_blocks(
    function: Callable[[Any], np.ndarray], table: TableFile, *, named: bool = True
) -> Iterator[np.ndarray]:
    """Yield function(block) of each block of a table, with names for the estimator to compare."""
    start = 0
    for rows in table.blocks(BLOCK_ROWS):
        given = as_arrow(rows, table.names) if named and table.names else rows
        try:
            with warnings.catch_warnings():
                # Whoever opened the table was told once that only one side has names.
                warnings.filterwarnings("ignore", "X .* feature names", UserWarning)
                result = function(given)
        except ValueError as error:
            # The estimator counts from the first row of what it got.
            check_finite(rows, table.names, table.label, start, table.place)
            raise ValueError(f"{table.label}: {error}") from error
        yield result
        start += len(rows)


def sampled_blocks(
    model: DensityEstimator, n_samples: int, seed: int | None
) -> Iterator[np.ndarray]:
    """Yield blocks of rows, which are the same as if they were drawn at once."""
    random_state = random_state_of(seed)
    # At least one block, for the estimator refuses to draw none.
    for start in range(0, max(n_samples, 1), BLOCK_ROWS):
        yield model.sample(min(n_samples - start, BLOCK_ROWS), random_state=random_state)


def write_blocks(
    output: Path | None, blocks: Iterable[np.ndarray], names: Sequence[str] | None
) -> None:
    """Write blocks one after another; without an output, as CSV to standard output."""
    with table_writer(output, names) as append:
        for rows in blocks:
            append(rows)

"""Tables whose columns are encoded on their way in, and decoded on their way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from rbig_numba.checks.validation import check_finite, check_weights
from rbig_numba.checks.weighting import as_counts
from rbig_numba.chunks.block import Split
from rbig_numba.chunks.local import load_local
from rbig_numba.chunks.sources import ArraySource, Source
from rbig_numba.columns import coding, scoring
from rbig_numba.columns.frames import table_of
from rbig_numba.columns.opened import Opened
from rbig_numba.columns.schema import Columns, resolved
from rbig_numba.fitting.splitting import Rows
from rbig_numba.listing import listed
from rbig_numba.tables import BLOCK_ROWS, as_arrow
from rbig_numba.threads import BLOCK_ROWS as SOURCE_ROWS


def loader(
    estimator: Any, X: Any, sample_weight: Any, asked: Any, random_state: np.random.RandomState
) -> tuple[Callable[[Split], Rows], Columns]:
    """Learn a table's columns; return what loads its encoded rows, and them.

    Raises
    ------
    ValueError, TypeError
        For tables, weights and kinds that can't be.
    """
    opened = Opened(X)
    weights = check_weights(sample_weight, opened.n_rows)
    weights = None if weights is None else as_counts(weights)
    columns = resolved(asked, opened, weights)
    if not columns.kept:
        why = [f"{entry.name!r} ({entry.why})" for entry in columns.entries]
        raise ValueError(f"{opened.label}: every column is left out: {listed(why)}")
    if not columns.passes_through:
        columns.seed = int(random_state.randint(2**31))
        columns = coding.with_copula(columns)
    _keep_names(estimator, columns)
    source: Source = EncodedSource(columns, opened)
    if opened.in_memory:
        source = ArraySource(np.concatenate(list(source.blocks())))
    return lambda split: load_local(source, weights, split, estimator.n_jobs), columns


class EncodedSource:
    """Encoded rows of a table, in blocks."""

    in_memory = False

    def __init__(self, columns: Columns, opened: Opened) -> None:
        self.columns, self.opened = columns, opened

    def blocks(self) -> Iterator[np.ndarray]:
        """Walk over the table once."""
        for rows, start in _numbers(self.columns, self.opened, SOURCE_ROWS):
            yield coding.encoded(self.columns, rows, start, self.opened.label)


def apply(
    columns: Columns,
    X: Any,
    function: Callable[..., np.ndarray],
    n_jobs: int | None,
    *,
    scalar: bool,
) -> np.ndarray:
    """Return log-probabilities of a table, if `scalar`, or function(encoded rows, n_jobs)."""
    opened, parts = Opened(X), []
    for rows, start in _numbers(columns, opened, BLOCK_ROWS):
        if scalar:
            parts.append(scoring.log_prob(columns, function, rows, n_jobs))
        else:
            encoded = coding.encoded(columns, rows, start, opened.label)
            parts.append(function(encoded, n_jobs))
    return np.concatenate(parts)


def drawn(columns: Columns | None, rows: np.ndarray) -> Any:
    """Return encoded rows (n, K) as the table that was fitted; as they are without columns."""
    return rows if columns is None else table_of(columns, coding.decoded(columns, rows))


def _numbers(columns: Columns, opened: Opened, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yield blocks of finite numbers, and of each the number of its first row."""
    start, names = 0, [str(entry.name) for entry in columns.kept]
    for block in opened.blocks(size):
        rows = coding.numbers(columns, block, opened.label, start)
        check_finite(rows, names, opened.label, None if opened.in_memory else start)
        yield rows, start
        start += block.n_rows


def _keep_names(estimator: Any, columns: Columns) -> None:
    """Have scikit-learn keep the number of columns, and their names."""
    head: Any = np.empty((0, len(columns)))
    if columns.named and all(isinstance(name, str) for name in columns):
        head = as_arrow(head, list(columns))
    validate_data(estimator, head, reset=True, skip_check_array=True)

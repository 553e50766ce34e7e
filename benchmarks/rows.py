"""The table that the benchmarks fit, correlated, skewed columns, and how it is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

CHUNK = 250_000
# The algorithm that the competitor runs: no kinds that compete, no rows held out.
PLAIN: dict[str, Any] = {
    "blocks": "classic",
    "rotation": "pca",
    "validation_fraction": 0,
    "random_state": 0,
}


def skewed_rows(n_rows: int, seed: int, n_columns: int = 8) -> np.ndarray:
    """Softplus of a mix of normals, plus a mix of their squares; the same mixes for any seed."""
    mixing = np.random.default_rng(0)
    a, b = mixing.normal(size=(2, n_columns, n_columns)) / np.sqrt(n_columns)
    e = np.random.default_rng(seed).normal(size=(n_rows, n_columns))
    return np.logaddexp(0.0, 2.0 * (e @ a)) + 0.3 * (e * e) @ b


def skewed_chunks(n_rows: int, n_columns: int) -> Iterator[np.ndarray]:
    """Yield chunks of one large table, in float32."""
    for start in range(0, n_rows, CHUNK):
        size = min(CHUNK, n_rows - start)
        yield skewed_rows(size, 1 + start // CHUNK, n_columns).astype(np.float32)

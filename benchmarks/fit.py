"""A whole fit against the same algorithm on scikit-learn and SciPy: python -m benchmarks.fit."""

from __future__ import annotations

import statistics

import numpy as np

from benchmarks.harness import parser, report, timed
from benchmarks.notebook import Notebook
from rbig_numba import RBIG

N_ROWS, N_COLUMNS, N_BLOCKS, N_COMPONENTS = 100_000, 8, 8, 8


def skewed_rows(n_rows: int, seed: int) -> np.ndarray:
    """Correlated and skewed columns: softplus of a mix of normals, with a mix of squares."""
    mixing = np.random.default_rng(0)
    a, b = mixing.normal(size=(2, N_COLUMNS, N_COLUMNS)) / np.sqrt(N_COLUMNS)
    e = np.random.default_rng(seed).normal(size=(n_rows, N_COLUMNS))
    return np.logaddexp(0.0, 2.0 * (e @ a)) + 0.3 * (e * e) @ b


def main() -> None:
    """Time pairs of fits in turn; report medians, and ratios pair by pair."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--pairs", type=int, default=3, help="pairs of fits that are timed")
    options = arguments.parse_args()
    train, held_out = skewed_rows(N_ROWS, seed=1), skewed_rows(20_000, seed=2)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    train, held_out = (train - mean) / deviation, (held_out - mean) / deviation
    ours = RBIG(n_blocks=N_BLOCKS, n_components=N_COMPONENTS, validation_fraction=0, random_state=0)
    ours.fit(train[:1000])  # compiles
    seconds: list[tuple[float, float]] = []
    for _ in range(options.pairs):
        mine, model = timed(lambda: ours.fit(train))
        theirs, notebook = timed(lambda: Notebook(N_BLOCKS, N_COMPONENTS).fit(train))
        seconds.append((mine, theirs))
    figures = {
        "rows": N_ROWS,
        "columns": N_COLUMNS,
        "blocks": N_BLOCKS,
        "components": N_COMPONENTS,
        "rbig_numba seconds": statistics.median(mine for mine, _ in seconds),
        "scikit-learn + SciPy seconds": statistics.median(theirs for _, theirs in seconds),
        "times faster": statistics.median(theirs / mine for mine, theirs in seconds),
        "rbig_numba held-out nats": float(model.score(held_out)),
        "rbig_numba worst row": float(model.score_samples(held_out).min()),
        "scikit-learn + SciPy held-out nats": float(notebook.score_samples(held_out).mean()),
        "scikit-learn + SciPy worst row": float(notebook.score_samples(held_out).min()),
    }
    report(figures, options.json)


if __name__ == "__main__":
    main()

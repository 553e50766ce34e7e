"""What the engine finds in rows: rotations, and mixtures of columns."""

from __future__ import annotations

import numpy as np

# Rows that rotations are searched on: the engine looks at no more.
SEARCHED_ROWS = 16_384


def rotation_of(rows: np.ndarray, draws: np.random.RandomState) -> np.ndarray:
    """Return the axes (D, D) along which rows are least Gaussian."""
    from rbig_numba.bijections.ica import ica_rotation
    from rbig_numba.bijections.rotation import pca_rotation
    from rbig_numba.bijections.sliced import sliced_rotation
    from rbig_numba.fitting.candidates import SLICED_COLUMNS

    n_rows, n_columns = rows.shape
    covariance = np.cov(rows, rowvar=False, dtype=float).reshape(n_columns, n_columns)
    start = pca_rotation(covariance, n_rows, draws)
    sample = rows[draws.permutation(n_rows)[:SEARCHED_ROWS]].astype(float)
    weights = np.ones(len(sample))
    if n_columns < SLICED_COLUMNS:
        return ica_rotation(sample, weights, start, draws, -1).matrix
    return sliced_rotation(sample, weights, start, draws).matrix


def mixtures_of(rows: np.ndarray, n_components: int) -> np.ndarray:
    """Return log-weights, means and log-scales (3, D, K) of the columns' mixtures."""
    from rbig_numba.bijections.mixture import fit_column
    from rbig_numba.fitting import binning
    from rbig_numba.fitting.candidates import GRID_ROWS, ROWS_PER_COMPONENT
    from rbig_numba.fitting.latents import Side
    from rbig_numba.threads import map_threads

    mean, scale = rows.mean(axis=0, dtype=float), rows.std(axis=0, dtype=float)
    standard = np.asfortranarray((rows - mean) / scale)
    weights = np.ones(len(rows))
    step = max(1, len(rows) // GRID_ROWS)
    grid = binning.grid_of(standard[::step], weights[::step], -1)
    (sums,) = Side(standard, weights, weights, -1).gather([], binning.Histograms(grid))
    affordable = max(1, len(rows) // ROWS_PER_COMPONENT)
    n_fitted = max(1, min(n_components - 1, affordable))
    columns = map_threads(
        lambda bins: _padded(fit_column(bins, n_fitted), n_components),
        binning.bins_of(sums, grid),
        -1,
    )
    log_weights, means, log_scales = np.stack(columns, axis=1)
    scale = scale[:, None]
    return np.stack([log_weights, mean[:, None] + scale * means, log_scales + np.log(scale)])


def _padded(mixture: np.ndarray, n_components: int) -> np.ndarray:
    """Return a mixture (3, K) of K components: the background left out of one, the heaviest halved.

    A single Gaussian needs no background: it is as wide as its column.
    """
    if n_components == 1:
        return mixture[:, :1] * [[0.0], [1.0], [1.0]]
    while mixture.shape[1] < n_components:
        heaviest = mixture[0].argmax()
        mixture[0, heaviest] -= np.log(2.0)
        mixture = np.column_stack([mixture, mixture[:, heaviest]])
    return mixture

"""The demo's pictures, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from examples.demo.patches import SIDE, restore
from rbig_numba import RBIG
from rbig_numba.plotting import held_out_curve, latent_histograms

PATCHES_ACROSS = 20
PAIR_BINS = 80
GREY = colormaps["gray"].with_extremes(bad="#2c5282")  # gaps, unlike any pixel
LATENT_COLUMNS = 15  # a picture holds no more


def draw_curve(path: Path, model: RBIG) -> None:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    held_out_curve(model, figure.subplots())
    figure.savefig(path, dpi=150)


def draw_latents(path: Path, model: RBIG, held_out: np.ndarray) -> None:
    n_columns = min(LATENT_COLUMNS, held_out.shape[1])
    across = min(5, n_columns)
    down = -(-n_columns // across)
    figure = Figure(figsize=(2.6 * across + 0.6, 2.2 * down + 0.8), layout="constrained")
    axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    latent_histograms(model, held_out, axes[:n_columns])
    for ax in axes[n_columns:]:
        ax.remove()
    figure.suptitle("Held-out rows in the latent space (bars) and N(0, 1) (line)")
    figure.supylabel("density")
    figure.savefig(path, dpi=150)


def draw_patches(path: Path, real: np.ndarray, sampled: np.ndarray) -> None:
    """Draw two mosaics with one grey scale."""
    figure = Figure(figsize=(11, 5.8), layout="constrained")
    limit = float(np.quantile(np.abs(real), 0.98))
    titles = ("training patches", "patches sampled from the model")
    for ax, rows, title in zip(figure.subplots(1, 2), (real, sampled), titles, strict=True):
        ax.imshow(_mosaic(restore(rows)), cmap=GREY, vmin=-limit, vmax=limit)
        ax.set_title(title)
        ax.set_axis_off()
    figure.savefig(path, dpi=150)


def draw_pair(path: Path, real: np.ndarray, sampled: np.ndarray, names: Sequence[str]) -> None:
    """Draw the first two columns of real and of sampled rows, or the only one."""
    draw = _draw_histogram if real.shape[1] == 1 else _draw_pair
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    edges = [np.linspace(*np.quantile(c, (0.001, 0.999)), PAIR_BINS) for c in real.T[:2]]
    titles = ("training rows", "rows sampled from the model")
    for ax, rows, title in zip(axes, (real, sampled), titles, strict=True):
        draw(ax, rows, edges)
        ax.set(title=title, xlabel=names[0])
    axes[0].set_ylabel("density" if len(edges) == 1 else names[1])
    figure.savefig(path, dpi=150)


def _draw_histogram(ax: Axes, rows: np.ndarray, edges: list[np.ndarray]) -> None:
    ax.hist(rows[:, 0], edges[0], density=True)


def _draw_pair(ax: Axes, rows: np.ndarray, edges: list[np.ndarray]) -> None:
    counts = np.histogram2d(*rows.T[:2], bins=edges)[0].T
    # Logarithms keep thin regions visible beside the peak.
    ax.pcolormesh(*edges, np.log1p(counts), cmap="viridis", rasterized=True)


def _mosaic(patches: np.ndarray) -> np.ndarray:
    """Lay patches (N, 4, 4) out in a square with gaps of one pixel."""
    cell = SIDE + 1
    mosaic = np.full((PATCHES_ACROSS * cell - 1,) * 2, np.nan)
    for i, patch in enumerate(patches[: PATCHES_ACROSS**2]):
        top, left = (cell * k for k in divmod(i, PATCHES_ACROSS))
        mosaic[top : top + SIDE, left : left + SIDE] = patch
    return mosaic

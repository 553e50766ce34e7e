"""Pictures of a fitted model, drawn into axes that the caller provides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rbig_numba.estimators.rbig import RBIG

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#718096"
# Latent values beyond 5 are one in 1.7 million of N(0, 1): they are counted in the outer bins.
LATENT_EDGES = np.linspace(-5.0, 5.0, 101)
# Blocks that a plain axis has room for, each with its number.
FEW_BLOCKS = 10


def held_out_curve(model: RBIG, ax: Axes) -> None:
    """Draw the mean log-density by block, in nats per row, and the block that the model ends with.

    From ten on blocks stand on a logarithmic axis: the first few gain most. Without held-out rows
    only the curve of the training rows is drawn.

    Parameters
    ----------
    model : RBIG
        A fitted model.
    ax : Axes
        Drawn into.

    Raises
    ------
    NotFittedError
        If the model isn't fitted.
    """
    check_is_fitted(model)
    history = model.history_
    curves = {"training rows": ("train", GREY), "held-out rows": ("held_out", BLUE)}
    for label, (key, colour) in curves.items():
        values = [record[key] for record in history]
        if None not in values:
            ax.plot(_blocks(history), values, ".-", color=colour, label=label)
    n_kept = sum(record["kept"] for record in history)
    ax.axvline(n_kept, color=ORANGE, linestyle="--", label=f"kept: {n_kept} blocks")
    _block_axis(ax, len(history))
    ax.set_ylabel("mean log p in nats per row")
    ax.legend(frameon=False, loc="best")


def latent_histograms(model: RBIG, X: Any, axes: Iterable[Axes]) -> None:
    """Draw the histogram of each latent column against N(0, 1), densities on a logarithmic axis.

    Parameters
    ----------
    model : RBIG
        A fitted model.
    X : array-like (N, D)
        Rows, best such that the fit hasn't seen.
    axes : iterable of Axes
        One for each column drawn, from the first; columns without one are left out.

    Raises
    ------
    NotFittedError
        If the model isn't fitted.
    ValueError
        If X isn't finite numbers (N, D).
    """
    columns = np.asarray(model.transform(X)).T
    grid = np.linspace(LATENT_EDGES[0], LATENT_EDGES[-1], 201)
    normal = np.exp(-0.5 * grid**2) / np.sqrt(2.0 * np.pi)
    for j, (ax, column) in enumerate(zip(axes, columns, strict=False)):
        inside = np.clip(column, LATENT_EDGES[0], LATENT_EDGES[-1])
        ax.hist(inside, LATENT_EDGES.tolist(), density=True, color=BLUE, alpha=0.6)
        ax.plot(grid, normal, color=ORANGE, linewidth=1.5)
        ax.set_yscale("log")
        ax.set_ylim(1e-6, 1.0)
        ax.set_title(
            f"$z_{{{j}}}$: mean {column.mean():+.2f}, sd {column.std():.2f}", fontsize="medium"
        )


def _blocks(history: list[dict[str, Any]]) -> list[int]:
    return [record["block"] for record in history]


def _block_axis(ax: Axes, n_blocks: int) -> None:
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= n_blocks]
    if n_blocks < FEW_BLOCKS:
        ticks = [*range(1, n_blocks + 1)]
    else:
        ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("block")

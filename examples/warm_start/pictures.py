"""Pictures of flows in two columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

COLORS = {"random start": "tab:red", "fitted start": "tab:green"}


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110)
    plt.close(figure)


def latents(rows: dict[str, Any], path: Path) -> None:
    """Draw latent rows, and the histograms of their columns beside N(0, 1)."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 9), layout="constrained")
    grid = np.linspace(-4, 4, 300)
    for (label, z), (left, right) in zip(rows.items(), axes, strict=True):
        z = np.asarray(z)
        left.scatter(*z.T, s=4, alpha=0.4, color=COLORS[label])
        left.set(title=f"latent rows, {label}", xlabel="$z_1$", ylabel="$z_2$", aspect="equal")
        left.set(xlim=(-4, 4), ylim=(-4, 4))
        for j, column in enumerate(z.T):
            right.hist(
                column, bins=60, range=(-4, 4), density=True, alpha=0.5, label=f"$z_{j + 1}$"
            )
        right.plot(grid, norm.pdf(grid), color="black", label="N(0, 1)")
        right.set(title=f"columns, {label}", xlabel="$z$", ylabel="density")
        right.legend()
    _save(figure, path)


def curves(history: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Draw losses by epoch, those of held-out rows dashed."""
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for label, losses in history.items():
        axes.plot(losses["loss"], color=COLORS[label], label=f"{label}, training rows")
        axes.plot(losses["val_loss"], "--", color=COLORS[label], label=f"{label}, held-out rows")
    lowest = min(min(losses["val_loss"]) for losses in history.values())
    axes.set(
        xlabel="epoch", ylabel="negative log-likelihood, nats", ylim=(lowest - 0.1, lowest + 1)
    )
    axes.legend()
    _save(figure, path)


def densities(flows: dict[str, Any], X: np.ndarray, path: Path) -> None:
    """Draw the densities, and some rows on top."""
    side = np.linspace(-2.5, 2.5, 220, dtype="float32")
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    figure, axes = plt.subplots(1, 2, figsize=(13, 6), layout="constrained")
    for (label, flow), axis in zip(flows.items(), axes, strict=True):
        density = np.exp(np.asarray(flow.log_prob(grid))).reshape(220, 220)
        mesh = axis.pcolormesh(side, side, density, cmap="magma")
        axis.scatter(*X[:800].T, s=2, alpha=0.25, color="white")
        mass = density.sum() * (side[1] - side[0]) ** 2
        axis.set(title=f"density, {label} (integral {mass:.3f})", aspect="equal")
        axis.set(xlabel="$x_1$", ylabel="$x_2$")
        figure.colorbar(mesh, ax=axis, shrink=0.8)
    _save(figure, path)


def samples(flows: dict[str, Any], path: Path) -> None:
    """Draw 3,000 samples of each flow."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 6), layout="constrained")
    for (label, flow), axis in zip(flows.items(), axes, strict=True):
        axis.scatter(*np.asarray(flow.sample(3000, seed=2)).T, s=4, alpha=0.5, color=COLORS[label])
        axis.set(title=f"samples, {label}", xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), aspect="equal")
        axis.set(xlabel="$x_1$", ylabel="$x_2$")
    _save(figure, path)

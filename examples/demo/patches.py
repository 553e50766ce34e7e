"""Overlapping 4x4 grey patches of scikit-learn's two sample photographs, as a table."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_sample_images

SIDE = 4
TRAIN_SHARE = 0.8  # the left of each photograph; the right fifth is held out
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def load_patches(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return training and held-out patches, each (N, 15).

    No patch straddles the cut, so that the two share no pixel. Grey levels are dequantised to
    (level + U[0, 1)) / 256: without the noise the density of whole numbers has no upper bound.
    """
    rng = np.random.default_rng(seed)
    train, held_out = [], []
    for photograph in load_sample_images().images:
        levels = np.round(photograph @ LUMA)
        grey = (levels + rng.random(levels.shape)) / 256
        cut = int(TRAIN_SHARE * grey.shape[1])
        train.append(_patches(grey[:, :cut]))
        held_out.append(_patches(grey[:, cut:]))
    return np.vstack(train), np.vstack(held_out)


def restore(rows: np.ndarray) -> np.ndarray:
    """Return rows (N, 15) as patches (N, 4, 4): pixels sum to zero, so the last is known."""
    last = -rows.sum(axis=1, keepdims=True)
    return np.hstack([rows, last]).reshape(-1, SIDE, SIDE)


def _patches(grey: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(grey, (SIDE, SIDE))
    pixels = windows.reshape(-1, SIDE * SIDE)
    return (pixels - pixels.mean(axis=1, keepdims=True))[:, :-1]

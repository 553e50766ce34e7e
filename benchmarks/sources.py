"""Where the judge's tables come from: files of a folder, scikit-learn, and a generator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits, load_sample_images

from benchmarks.judging import Table

# Patches of photographs: pixels along a side, pixels from one to the next, and the column of
# pixels from which on they are tested.
SIDE, STEP, TESTED = 16, 4, 480
N_FACTORS = 10


def tables(folder: Path | None, only: Collection[str] | None = None) -> Iterator[Table]:
    """Yield the tables of a folder, and those that need none; or those of some names."""
    for name, build in (_files(folder) | OWN).items():
        if only is None or name in only:
            yield build(name)


def _files(folder: Path | None) -> dict[str, Callable[[str], Table]]:
    builders: dict[str, Callable[[str], Table]] = {}
    for path in sorted(folder.glob("*.npy")) if folder else ():
        stem = path.stem
        if stem.endswith("_val") and path.with_stem(stem[:-4] + "_train").exists():
            continue
        judged = path.with_stem(stem.removesuffix("_train") + "_val")
        if stem.endswith("_train") and judged.exists():
            builders[stem[:-6]] = partial(_of_two_files, path=path, judged=judged)
        else:
            builders[stem] = partial(_of_one_file, path=path)
    return builders


def _of_one_file(name: str, path: Path) -> Table:
    return _cut(name, np.load(path).astype(np.float64))


def _of_two_files(name: str, path: Path, judged: Path) -> Table:
    """Take them as they are, unless they hold pixels."""
    train, test = np.load(path), np.load(judged)
    if train.dtype == np.uint8:
        return _of_pixels(name, train, test)
    return _paired(name, train.astype(np.float64), test.astype(np.float64))


def _cut(name: str, rows: np.ndarray) -> Table:
    rows = _shuffled(rows)
    tenth = len(rows) // 10
    train = rows[2 * tenth :]
    rows = (rows - train.mean(axis=0)) / train.std(axis=0)
    return Table(name, rows[2 * tenth :], rows[tenth : 2 * tenth], rows[:tenth])


def _paired(name: str, train: np.ndarray, test: np.ndarray) -> Table:
    rows = _shuffled(train)
    tenth = len(rows) // 10
    return Table(name, rows[tenth:], rows[:tenth], test)


def _shuffled(rows: np.ndarray) -> np.ndarray:
    return rows[np.random.default_rng(0).permutation(len(rows))]


def _of_pixels(name: str, *pixels: np.ndarray) -> Table:
    """Make rows of patches, those to fit and those to test, standardised by the former."""
    train, test = (_dequantised(each, seed) for seed, each in enumerate(pixels))
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    return _paired(name, (train - mean) / deviation, (test - mean) / deviation)


def _dequantised(pixels: np.ndarray, seed: int) -> np.ndarray:
    """Add a step's noise, take the mean off each patch, and drop the pixel that tells no more."""
    patches = (pixels + np.random.default_rng(seed).random(pixels.shape)) / 256.0
    return (patches - patches.mean(axis=1, keepdims=True))[:, :-1]


def photographs(name: str) -> Table:
    """Cut scikit-learn's two photographs into patches: the left three quarters train."""
    images = [np.round(image.mean(axis=2)) for image in load_sample_images().images]
    return _of_pixels(
        name,
        np.concatenate([_patches(image[:, :TESTED]) for image in images]),
        np.concatenate([_patches(image[:, TESTED:]) for image in images]),
    )


def _patches(image: np.ndarray) -> np.ndarray:
    return sliding_window_view(image, (SIDE, SIDE))[::STEP, ::STEP].reshape(-1, SIDE * SIDE)


def digits(name: str) -> Table:
    rows = load_digits().data
    return _cut(name, rows + np.random.default_rng(0).random(rows.shape))


def factors(name: str, n_rows: int, n_columns: int) -> Table:
    """Make rows s f A + 0.05 (s f B)^2 + e: factors f, sizes s of rows, noise e unequal by column.

    All are normal, sizes log-normal with 0.4, standard deviations of noise uniform in [0.3, 0.6].
    """
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, N_FACTORS, n_columns)) / np.sqrt(N_FACTORS)
    deviations = rng.uniform(0.3, 0.6, size=n_columns)
    latent = np.exp(0.4 * rng.normal(size=(n_rows, 1))) * rng.normal(size=(n_rows, N_FACTORS))
    noise = deviations * rng.normal(size=(n_rows, n_columns))
    return _cut(name, latent @ a + 0.05 * (latent @ b) ** 2 + noise)


OWN: dict[str, Callable[[str], Table]] = {
    "digits": digits,
    "photographs16": photographs,
    "factors_100": partial(factors, n_rows=20_000, n_columns=100),
    "factors_300": partial(factors, n_rows=20_000, n_columns=300),
    "factors_784": partial(factors, n_rows=3_000, n_columns=784),
}
"""Those that need no file."""

"""Fit a Gaussian, a mixture of them, RBIG and its Keras flow to the same rows; score them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from rbig_keras import GaussianizationFlow, Parity, export_to_keras, parity
from rbig_numba import RBIG

MIXTURE_COMPONENTS, MIXTURE_ROWS = 10, 100_000
N_BLOCKS = 20
COMPILE_ROWS, PARITY_ROWS = 1_000, 1_000
TUNING_ROWS, TUNING_EPOCHS, BATCH_ROWS, LEARNING_RATE = 5_000, 3, 200, 1e-4
SCORED_ROWS = 20_000  # Keras takes 0.2 ms a row for 20 blocks


@dataclass(frozen=True)
class Result:
    """One line of the comparison: mean held-out log-density in nats, and seconds to get there."""

    name: str
    nats: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """All lines, and what was fitted on the way."""

    results: tuple[Result, ...]
    model: RBIG
    flow: GaussianizationFlow
    parity: Parity


def compare(train: np.ndarray, held_out: np.ndarray, report: Callable[[str], None]) -> Comparison:
    """Fit everything to training rows and score it on the same held-out rows, 20,000 at most."""
    held_out = subset(held_out, SCORED_ROWS)
    report("a Gaussian")
    results = [_mixture("Gaussian", 1, train, held_out)]
    some = subset(train, MIXTURE_ROWS)
    n_components = min(MIXTURE_COMPONENTS, len(some))
    name = f"scikit-learn mixture, {n_components} full covariances, {len(some):,} rows"
    report(name)
    results.append(_mixture(name, n_components, some, held_out))
    report("RBIG")
    model, seconds = _fit(train)
    name = f"RBIG, {sum(record['kept'] for record in model.history_)} blocks"
    results.append(Result(name, model.score(held_out), seconds))
    report("the Keras flow")
    flow, seconds = _timed(lambda: export_to_keras(model))
    results.append(Result("Keras flow, as exported", _score(flow, held_out), seconds))
    deviations = parity(model, flow, subset(held_out, PARITY_ROWS))
    rows = subset(train, TUNING_ROWS)
    report("the Keras flow's fine-tuning")
    _, seconds = _timed(lambda: _fine_tune(flow, rows))
    name = f"Keras flow, fine-tuned on {len(rows):,} rows"
    results.append(Result(name, _score(flow, held_out), seconds))
    return Comparison(tuple(results), model, flow, deviations)


def subset(rows: np.ndarray, n_rows: int) -> np.ndarray:
    """Return n_rows of the rows, drawn at random, or all in random order if there are fewer."""
    return rows[np.random.default_rng(0).permutation(len(rows))[:n_rows]]


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def _mixture(name: str, n_components: int, train: np.ndarray, held_out: np.ndarray) -> Result:
    """Fit to standardised columns, so that scikit-learn's reg_covar is small beside them."""
    mean, scale = train.mean(axis=0), train.std(axis=0)
    mixture = GaussianMixture(n_components, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 100 iterations are what it gets
        _, seconds = _timed(lambda: mixture.fit((train - mean) / scale))
    nats = mixture.score((held_out - mean) / scale) - np.log(scale).sum()
    return Result(name, float(nats), seconds)


def _fit(train: np.ndarray) -> tuple[RBIG, float]:
    RBIG(n_blocks=2).fit(subset(train, COMPILE_ROWS))  # compiles, so that the clock times the fit
    return _timed(lambda: RBIG(n_blocks=N_BLOCKS, random_state=0).fit(train))


def _score(flow: GaussianizationFlow, rows: np.ndarray) -> float:
    return float(np.mean(keras.ops.convert_to_numpy(flow.log_prob(rows)), dtype=np.float64))


def _fine_tune(flow: GaussianizationFlow, rows: np.ndarray) -> None:
    """Train on four fifths; keep the weights that are best on the rest, also the first ones."""
    fitted, kept_back = np.split(rows, [len(rows) - max(1, len(rows) // 5)])
    weights, before = flow.get_weights(), _score(flow, kept_back)
    best = keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True)
    flow.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE))
    flow.fit(
        fitted,
        validation_data=(kept_back, kept_back),
        batch_size=BATCH_ROWS,
        epochs=TUNING_EPOCHS,
        callbacks=[best],
        verbose=0,
    )
    if not _score(flow, kept_back) > before:
        flow.set_weights(weights)

"""Training that goes on from a fitted flow, and never ends below it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from rbig_keras.density import Density
from rbig_keras.guards import DivergedError
from rbig_keras.tables import is_table, row_weights

# Of the norm of all gradients together: a row far out has one of its distance squared.
GRADIENT_NORM = 10.0
# Epochs without a gain after which steps shrink, and by what.
SLOWER_AFTER, SLOWER = 3, 0.3


def fine_tune(
    flow: Density,
    x: Any,
    sample_weight: Any = None,
    validation_data: Any = None,
    *,
    learning_rate: float = 1e-3,
    patience: int = 8,
    validation_fraction: float = 0.1,
    seed: int = 0,
    **kwargs: Any,
) -> keras.callbacks.History:
    """Train a density by its exact likelihood, and keep the best of it on held-out rows.

    Adam, its steps shrinking when held-out rows gain nothing for 3 epochs, gradients clipped to a
    norm of 10; the weights that end are those of the best epoch, or those of the start if none was
    better. The learning rate is one for standardised columns: exported models begin with a layer
    that standardises.

    Parameters
    ----------
    flow : GaussianizationFlow or MixtureOfFlows
        Compiled and trained in place; what is frozen (`layer.trainable = False`) stays.
    x : array or frame (N, D), or batches
        Finite rows, as `fit` takes them; of batches none can be held out: give validation_data.
    sample_weight : array (N,), default=None
        Weights of rows.
    validation_data : array (M, D), tuple (rows, None, weights) or batches, default=None
        Held-out rows; None: a share of x.
    learning_rate : float
        Of the first steps.
    patience : int
        Epochs without a gain after which training ends.
    validation_fraction : float
        Share of x held out, drawn by `seed`.
    seed : int
        Draws held-out rows, and, as Keras's global seed, batches.
    **kwargs
        As for `keras.Model.fit`; epochs (at most) are 100 unless named, batch_size 512, verbose 0.

    Returns
    -------
    history : keras.callbacks.History
        Its `history` has "loss" and "val_loss" in nats, an epoch each; `start` (in nats) is the
        val_loss before, `best` the one after.

    Raises
    ------
    ValueError
        For rows that aren't finite, (N, D) or enough to hold some out, for a validation_fraction
        outside (0, 1), for weights that aren't a finite number >= 0 for each row, and for batches
        without validation_data. The weights then are those of the start.
    """
    if not is_table(x):
        if validation_data is None:
            raise ValueError(
                f"rows of a {type(x).__name__} can't be held out: give validation_data"
            )
    else:
        x = flow._table(x)
        if sample_weight is not None:
            sample_weight = row_weights(flow.name, sample_weight, len(x))
    if validation_data is None:
        x, sample_weight, validation_data = _split(x, sample_weight, validation_fraction, seed)
    elif not isinstance(validation_data, (tuple, list)):
        validation_data = (validation_data,)
    held_out = (*validation_data, None, None)[:3]
    kwargs = {"epochs": 100, "batch_size": 512, "verbose": 0, **kwargs}
    flow.compile(keras.optimizers.Adam(learning_rate, global_clipnorm=GRADIENT_NORM))

    def held_out_nll() -> float:
        rows, _, weights = held_out
        batch_size = kwargs["batch_size"]
        return float(flow.evaluate(rows, sample_weight=weights, batch_size=batch_size, verbose=0))

    start, weights = held_out_nll(), flow.get_weights()
    keras.utils.set_random_seed(seed)
    callbacks = [
        keras.callbacks.ReduceLROnPlateau(
            "val_loss", factor=SLOWER, patience=SLOWER_AFTER, min_delta=0.0
        ),
        keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True),
        *keras.tree.flatten(kwargs.pop("callbacks", None) or []),
    ]
    given = {"sample_weight": sample_weight, "validation_data": validation_data}
    try:
        flow.fit(x, **given, callbacks=callbacks, **kwargs)
    except DivergedError:
        pass  # the weights are those that the last epoch began with
    except ValueError:
        flow.set_weights(weights)
        raise
    history, best = flow.history, held_out_nll()
    if not best <= start:
        flow.set_weights(weights)
        best = start
    history.start, history.best = start, best
    return history


def _split(
    x: np.ndarray, weights: np.ndarray | None, fraction: float, seed: int
) -> tuple[Any, Any, Any]:
    """Return training rows and weights, and held-out data."""
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"validation_fraction={fraction!r} must be between 0 and 1")
    order = np.random.default_rng(seed).permutation(len(x))
    n_held_out = max(1, round(fraction * len(x)))
    if n_held_out >= len(x):
        raise ValueError(f"{len(x)} row(s) are too few to hold {fraction:.0%} of them out")
    held_out, train = order[:n_held_out], order[n_held_out:]
    if weights is None:
        return x[train], None, (x[held_out],)
    return x[train], weights[train], (x[held_out], None, weights[held_out])

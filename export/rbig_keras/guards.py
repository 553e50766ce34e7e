"""A loss that is NaN ends training: its weights would be NaN, or those of other rows than given."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops


class DivergedError(ValueError):
    """Weights left the finite numbers, though rows were in order."""


class FiniteLoss(keras.callbacks.Callback):
    """Ends training by a ValueError once the loss is NaN, with the weights of the last epoch."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Make the optimizer's variables: they go back to where they were, too."""
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note where the epoch begins."""
        self._epoch, self._first = epoch, 0
        self._start = [np.array(ops.convert_to_numpy(v)) for v in self._variables()]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at the mean loss of the epoch so far, NaN from the first batch that is."""
        self._check("the loss", batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Count the batches of a validation anew."""
        self._first = 0

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at the loss of validation."""
        self._check("the validation loss", batch, logs)

    def _check(self, name: str, batch: int, logs: Any) -> None:
        if not math.isnan((logs or {}).get("loss", 0.0)):
            self._first = batch + 1
            return
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        kind, reason = _reason(self.model)
        for variable, value in zip(self._variables(), self._start, strict=True):
            variable.assign(value)
        batches = f"{self._first} to {batch}" if batch > self._first else str(batch)
        raise kind(
            f"{self.model.name}: {name} is NaN in batch {batches} of epoch {self._epoch}, both "
            f"counted from 0: {reason}. The weights are those that the epoch began with"
        )

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]


def checked_loss(results: Any, model: keras.Model) -> Any:
    """Return what Keras's evaluation gave: the loss, the first of several numbers, or a dict.

    Raises
    ------
    ValueError
        If the loss is NaN.
    """
    first = results["loss"] if isinstance(results, dict) else np.ravel(results)[0]
    if math.isnan(first):
        kind, reason = _reason(model)
        raise kind(f"{model.name}: the loss is NaN: {reason}")
    return results


def _reason(model: keras.Model) -> tuple[type[ValueError], str]:
    for weight in model.weights:
        if not np.isfinite(ops.convert_to_numpy(weight)).all():
            return DivergedError, (
                f"the weights {weight.path} are not finite: lower the learning rate, or give the "
                "optimizer a global_clipnorm"
            )
    return ValueError, "its rows are not finite, or its sample weights are negative or not finite"

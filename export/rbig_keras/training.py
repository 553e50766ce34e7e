"""Training, evaluation and prediction as Keras has them, with what they are given checked first."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from rbig_keras.guards import FiniteLoss, checked_loss
from rbig_keras.tables import column_names, finite_rows, is_table, numbers, row_weights


class Trained(keras.Model):
    """A model of rows alone; methods take what `keras.Model`'s do, by position and by name.

    Rows may be arrays, tensors, lists and frames of pandas or Polars, masked arrays, or batches: a
    tf.data.Dataset, generator, PyDataset or DataLoader of rows, (rows, y) or (rows, y, weights).
    There are no targets, so y may be left out. Weights count rows: 2 is the row twice.

    Raises
    ------
    ValueError
        By every method, and before anything changes, for rows that aren't (N, D) finite numbers,
        for weights that aren't a number >= 0 for each row, or are all 0. Names row and column. Of
        batches, where they are met: names the batch, and leaves the weights of the last epoch.
    """

    input_dim: int
    steps_per_execution: int
    _free_steps = False

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Train as `keras.Model.fit` does."""
        call = _bound(super().fit, args, kwargs)
        given = call.arguments
        self._take(given, least=1)
        if (
            given.get("class_weight") is not None
            and is_table(given["x"])
            and given.get("y") is None
        ):
            raise ValueError("class_weight says what classes weigh: give y, each row's class")
        self._take_validation(given)
        self._fit_steps(given.get("steps_per_epoch"), given.get("validation_steps"))
        given["callbacks"] = _with_guard(given.get("callbacks"), self)
        return super().fit(*call.args, **call.kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Return the mean negative log-likelihood, as `keras.Model.evaluate` does."""
        call = _bound(super().evaluate, args, kwargs)
        if not call.arguments.get("kwargs"):  # else `fit` asks, which has looked at them
            self._take(call.arguments, least=1)
        self._fit_steps(call.arguments.get("steps"))
        return checked_loss(super().evaluate(*call.args, **call.kwargs), self)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the model's call gives, as `keras.Model.predict` does."""
        call = _bound(super().predict, args, kwargs)
        self._take(call.arguments)
        if is_table(call.arguments["x"]) and not len(call.arguments["x"]):
            return keras.ops.convert_to_numpy(self(call.arguments["x"]))
        steps = self.steps_per_execution
        if self._free_steps:
            self.steps_per_execution = 1  # Keras traces as many calls as there are steps in one go
        try:
            return super().predict(*call.args, **call.kwargs)
        finally:
            self.steps_per_execution = steps

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Take one step, as `keras.Model.train_on_batch` does."""
        call = _bound(super().train_on_batch, args, kwargs)
        self._take(call.arguments)
        return checked_loss(super().train_on_batch(*call.args, **call.kwargs), self)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Return the loss of one batch, as `keras.Model.test_on_batch` does."""
        call = _bound(super().test_on_batch, args, kwargs)
        self._take(call.arguments)
        return checked_loss(super().test_on_batch(*call.args, **call.kwargs), self)

    def predict_on_batch(self, x: Any) -> Any:
        """Return what the model's call gives for one batch."""
        return super().predict_on_batch(self._table(x))

    def _take(self, given: dict[str, Any], least: int = 0) -> None:
        """Put arrays in the place of tables, of so many rows at least; batches are as they are."""
        x, y, weights = (given.get(name) for name in ("x", "y", "sample_weight"))
        if not is_table(x):
            return
        given["x"] = rows = self._table(x)
        if len(rows) < least:
            raise ValueError(f"{self.name} takes rows (N, {self.input_dim}); received none")
        if weights is not None:
            given["sample_weight"] = row_weights(self.name, weights, len(rows))
            given["y"] = rows if y is None else y  # without any Keras drops the weights
        if y is not None and is_table(y):
            given["y"] = rows if y is x else numbers(f"{self.name}: y", y)

    def _take_validation(self, given: dict[str, Any]) -> None:
        data = given.get("validation_data")
        if data is None:
            return
        if not isinstance(data, (tuple, list)):
            data = (data,)
        names = ("x", "y", "sample_weight")
        parts = dict(zip(names, data, strict=False))
        if len(data) > len(names) or not is_table(parts["x"]):
            return  # Keras says what is wrong with it
        self._take(parts, least=1)
        given["validation_data"] = tuple(parts.get(name) for name in names)

    def _table(self, table: Any) -> np.ndarray:
        """Return rows (N, D), all finite, in the model's dtype."""
        array = numbers(self.name, table)
        self._check_shape(array.shape)
        return finite_rows(self.name, array, self.compute_dtype, column_names(table))

    def _check_shape(self, shape: tuple[int | None, ...]) -> None:
        expected, received = self.input_dim, tuple(shape)
        if len(received) != 2:
            raise ValueError(f"{self.name} takes rows (N, {expected}); received shape {received}")
        if received[1] != expected:
            raise ValueError(
                f"{self.name} takes rows of {expected} columns; received {received[1]} columns"
            )

    def _fit_steps(self, *numbers: int | None) -> None:
        """Make the steps of one go divide those asked for: Keras would take more of them."""
        if self.compiled and self._free_steps:
            steps = math.gcd(self.steps_per_execution, *(number or 0 for number in numbers))
            if steps < self.steps_per_execution:
                self.steps_per_execution = steps
                self.train_function = self.test_function = None


def _bound(
    method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> inspect.BoundArguments:
    return inspect.signature(method).bind(*args, **kwargs)


def _with_guard(callbacks: Any, model: keras.Model) -> Any:
    guard = FiniteLoss()
    if isinstance(callbacks, keras.callbacks.CallbackList):
        guard.set_model(model)
        callbacks.callbacks.append(guard)
        return callbacks
    return [guard, *keras.tree.flatten(callbacks or [])]

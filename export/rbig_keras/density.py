"""What trainable densities share: rows, log-densities, and training by the exact likelihood."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from rbig_keras.blocks import RowMap
from rbig_keras.formats import turn_slots
from rbig_keras.layers.base import keep_precision
from rbig_keras.special import Tensor, log_normal_pdf

# Steps that TensorFlow runs in one go; benchmarks/flow.py times single steps too.
STEPS = 16


class Density(keras.Model):
    """Base of the models: a subclass gives `_log_prob` of a tensor of rows (N, D), and `sample`.

    `compile(optimizer)` and `fit(X)` minimise the exact mean negative log-likelihood in nats;
    sample weights weigh rows in that mean, so that a weight of 2 counts as the row twice. Rows may
    be an array or a tensor (N, D), and are cast to the model's dtype; results are tensors.

    Parameters
    ----------
    input_dim : int
        D, the number of columns.
    **kwargs
        As for every Keras model: name, dtype, trainable.

    Raises
    ------
    ValueError
        By every method, for rows that aren't (N, D).
    """

    steps_per_execution: int

    def __init__(self, input_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        keep_precision(self)
        self.input_dim = input_dim

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that all models take."""
        return {**super().get_config(), "name": self.name, "dtype": self.dtype}

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (N,)."""
        self._check_finite(x)
        return self._log_prob_map(self._rows(x))

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        *,
        steps_per_execution: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Configure training as `keras.Model.compile` does; the loss is always the exact one.

        steps_per_execution, the batches from one call of callbacks' batch methods to the next, is
        16 on TensorFlow unless given, or less where a number of steps asks for it: returning to
        Python takes as long as a small flow's step.

        Raises
        ------
        ValueError
            For any other loss than None and `base_nll_loss`.
        """
        if loss not in (None, base_nll_loss):
            raise ValueError(
                f"{self.name} is trained by its exact negative log-likelihood: leave loss out, or "
                f"give base_nll_loss; got {loss!r}"
            )
        self._free_steps = steps_per_execution is None and keras.config.backend() == "tensorflow"
        steps = STEPS if self._free_steps else steps_per_execution or 1
        super().compile(optimizer, steps_per_execution=steps, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config` says: what a file holds."""
        arguments = keras.saving.deserialize_keras_object(config)
        # Of the backend that loads, not of the one that saved: PyTorch takes no other than 1.
        self.compile(**{**arguments, "steps_per_execution": None})
        self.optimizer.build(self.trainable_variables)
        turn_slots(self.optimizer, self._flatten_layers())

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        sample_weight: Any = None,
        validation_data: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Train as `keras.Model.fit` does; there are no targets, so y may be left out."""
        self._check_finite(x)
        self._fit_steps(kwargs.get("steps_per_epoch"), kwargs.get("validation_steps"))
        if isinstance(validation_data, (tuple, list)) and len(validation_data) == 3:
            rows, targets, weights = validation_data
            validation_data = (rows, _targets(rows, targets, weights), weights)
        return super().fit(
            x,
            _targets(x, y, sample_weight),
            sample_weight=sample_weight,
            validation_data=validation_data,
            **kwargs,
        )

    def evaluate(
        self, x: Any = None, y: Any = None, *, sample_weight: Any = None, **kwargs: Any
    ) -> Any:
        """Return the mean negative log-likelihood, as `keras.Model.evaluate` does."""
        self._fit_steps(kwargs.get("steps"))
        targets = _targets(x, y, sample_weight)
        return super().evaluate(x, targets, sample_weight=sample_weight, **kwargs)

    def export(self, filepath: Any, format: str = "tf_saved_model", **kwargs: Any) -> None:
        """Write the model's call for a server, as `keras.Model.export` does.

        That of a flow gives latent rows; for log-densities export `Scorer(flow)`.
        """
        self(np.zeros((1, self.input_dim)))  # Keras exports what was called once
        super().export(filepath, format=format, **kwargs)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,  # noqa: FBT001, FBT002 - the signature that Keras calls
    ) -> Tensor:
        """Return the (weighted) mean negative log-likelihood of a batch, in nats.

        y isn't used; y_pred is what the call returned for x, and saves a second pass.
        """
        nll = -self._log_prob_of(self._rows(x), y_pred)
        weights = _row_weights(x, sample_weight, nll)
        if weights is None:
            return ops.mean(nll) + self._penalties()
        total = ops.sum(weights)
        mean = ops.sum(weights * nll) / ops.where(total > 0.0, total, 1.0)
        return mean + self._penalties()

    def _fit_steps(self, *numbers: int | None) -> None:
        """Make the steps of one go divide those asked for: Keras would take more of them."""
        if self.compiled and self._free_steps:
            steps = math.gcd(self.steps_per_execution, *(number or 0 for number in numbers))
            if steps < self.steps_per_execution:
                self.steps_per_execution = steps
                self.train_function = self.test_function = None

    def _penalties(self) -> Any:
        """Return the sum of what regularizers of weights say."""
        return sum(v.regularizer(v) for v in self.trainable_variables if v.regularizer)

    @cached_property
    def _log_prob_map(self) -> RowMap:
        return RowMap(self._log_prob, self)

    def _log_prob(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _log_prob_of(self, x: Tensor, y_pred: Tensor) -> Tensor:
        """Return log p(x), from what the call returned for x where a subclass can."""
        return self._log_prob(x)

    def _rows(self, x: Tensor) -> Tensor:
        rows = ops.convert_to_tensor(x, dtype=self.compute_dtype)
        self._check_shape(rows.shape)
        return rows

    def _check_finite(self, x: Any) -> None:
        """Raise ValueError for arrays with NaN or infinity; tensors may not exist yet."""
        if isinstance(x, (np.ndarray, list)) and not np.isfinite(x).all():
            rows = np.asarray(x)
            first, *column = np.argwhere(~np.isfinite(rows))[0]
            count = int((~np.isfinite(rows)).any(axis=-1).sum())
            raise ValueError(
                f"{self.name}: {count} row(s) are not finite, the first in row {first}, "
                f"column {column[0] if column else 0}"
            )

    def _check_shape(self, shape: tuple[int | None, ...]) -> None:
        expected, received = self.input_dim, tuple(shape)
        if len(received) != 2:
            raise ValueError(f"{self.name} takes rows (N, {expected}); received shape {received}")
        if received[1] != expected:
            raise ValueError(
                f"{self.name} takes rows of {expected} columns; received {received[1]} columns"
            )


@keras.saving.register_keras_serializable(package="rbig_keras")
def base_nll_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean of -log N(y_pred; 0, I) in nats; targets aren't used.

    With the -mean(log_det) that layers add to `losses` it makes the negative log-likelihood. Given
    to `GaussianizationFlow.compile` it stands for the exact one, which needs no loss.
    """
    return -ops.mean(ops.sum(log_normal_pdf(y_pred), axis=-1))


def _row_weights(x: Tensor, sample_weight: Tensor, like: Tensor) -> Tensor:
    """Return the weight of each row: sample weights, 0 where a mask says so; None if all are 1."""
    mask = getattr(x, "_keras_mask", None)
    if sample_weight is None:
        return None if mask is None else ops.cast(mask, like.dtype)
    weights = ops.cast(ops.reshape(sample_weight, (-1,)), like.dtype)
    return weights if mask is None else weights * ops.cast(mask, like.dtype)


def _targets(x: Any, y: Any, sample_weight: Any) -> Any:
    """Return rows in place of missing targets: without any, Keras drops the sample weights."""
    return x if y is None and sample_weight is not None else y

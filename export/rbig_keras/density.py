"""What trainable densities share: rows, log-densities, and training by the exact likelihood."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from rbig_keras.blocks import RowMap
from rbig_keras.formats import adapt_slots
from rbig_keras.layers.base import keep_precision
from rbig_keras.scorer import Scorer
from rbig_keras.special import Tensor, log_normal_pdf
from rbig_keras.tables import is_symbolic
from rbig_keras.training import Trained

# Steps that TensorFlow runs in one go; benchmarks/flow.py times single steps too.
STEPS = 16
# Of a row in the gradient: at 1,400 deviations. Fewer nats weigh in full.
FAR_NATS = 1e6


class Density(Trained):
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

    def __init__(self, input_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        keep_precision(self)
        self.input_dim = input_dim

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that all models take."""
        return {**super().get_config(), "name": self.name, "dtype": self.dtype}

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (N,); -inf where it is below the dtype's range.

        Arrays must be finite; rows of a tensor that aren't give NaN. A `KerasTensor` gives one.
        """
        if isinstance(x, keras.KerasTensor):
            return Scorer(self)(x)
        return self._log_prob_map(self._given(x))

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

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return what a file says of training; its optimizer has its variables, trained or not."""
        if self.compiled and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().get_compile_config()

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config` says: what a file holds."""
        arguments = keras.saving.deserialize_keras_object(config)
        # Of the backend that loads, not of the one that saved: PyTorch takes no other than 1.
        self.compile(**{**arguments, "steps_per_execution": None})
        self.optimizer.build(self.trainable_variables)
        adapt_slots(self.optimizer, self._flatten_layers())

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

        y isn't used; y_pred is what the call returned for x, and saves a second pass. NaN if a row
        or a weight isn't valid; gradients are of the others.
        """
        nll = _bounded(-self._log_prob_of(self._rows(x), y_pred))
        weights = _row_weights(x, sample_weight, nll)
        if weights is None:
            return ops.mean(nll) + self._penalties()
        valid = ops.logical_and(weights >= 0.0, weights < np.inf)
        counted = ops.where(valid, weights, 0.0)
        total = ops.sum(counted)
        terms = ops.where(counted > 0.0, counted * nll, 0.0)
        mean = ops.sum(terms) / ops.where(total > 0.0, total, 1.0)
        return mean + ops.where(ops.all(valid), ops.zeros_like(mean), np.nan) + self._penalties()

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

    def _given(self, x: Any) -> Tensor:
        """Return rows given by a caller: tables are checked, tensors may not exist yet."""
        return self._rows(x if is_symbolic(x) else self._table(x))

    def _rows(self, x: Tensor) -> Tensor:
        rows = ops.convert_to_tensor(x, dtype=self.compute_dtype)
        try:
            shape = tuple(rows.shape)
        except ValueError as error:  # TensorFlow's word for a rank that isn't known yet
            raise ValueError(
                f"{self.name} takes rows (N, {self.input_dim}); received a tensor of unknown rank: "
                "batch the data set, or give its rows a shape"
            ) from error
        self._check_shape(shape)
        return rows


@keras.saving.register_keras_serializable(package="rbig_keras")
def base_nll_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean of -log N(y_pred; 0, I) in nats; targets aren't used.

    With the -mean(log_det) that layers add to `losses` it makes the negative log-likelihood. Given
    to `GaussianizationFlow.compile` it stands for the exact one, which needs no loss.
    """
    return -ops.mean(ops.sum(log_normal_pdf(y_pred), axis=-1))


def _bounded(nll: Tensor) -> Tensor:
    """Return -log p as it is, with gradients that fall off beyond `FAR_NATS`.

    Those of a row grow like its -log p, 1e24 at 1e12 deviations: squared by Adam they would leave
    float32, and no other row would count again.
    """
    known = ops.stop_gradient(nll)
    share = ops.where(known > FAR_NATS, ops.square(FAR_NATS / known), 1.0)
    seen = ops.where(known < np.inf, nll, 0.0) * share
    return known + (seen - ops.stop_gradient(seen))


def _row_weights(x: Tensor, sample_weight: Tensor, like: Tensor) -> Tensor:
    """Return the weight of each row: sample weights, 0 where a mask says so; None if all are 1."""
    mask = getattr(x, "_keras_mask", None)
    if sample_weight is None:
        return None if mask is None else ops.cast(mask, like.dtype)
    weights = ops.cast(ops.reshape(sample_weight, (-1,)), like.dtype)
    return weights if mask is None else weights * ops.cast(mask, like.dtype)


def checked_count(num_samples: Any) -> int:
    """Return a number of rows to draw.

    Raises
    ------
    ValueError
        If it isn't a whole number >= 0.
    """
    if not isinstance(num_samples, (int, np.integer)) or num_samples < 0:
        raise ValueError(f"num_samples must be a whole number >= 0, got {num_samples!r}")
    return int(num_samples)

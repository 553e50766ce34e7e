"""A mixture of flows, trained by its exact likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from rbig_keras.blocks import of_rows
from rbig_keras.density import Density, checked_count
from rbig_keras.flow import GaussianizationFlow
from rbig_keras.special import Tensor


@keras.saving.register_keras_serializable(package="rbig_keras")
class MixtureOfFlows(Density):
    """The weighted mean of the densities of flows: a sum has no latent space, only a density.

    `model(x)` and `model.predict(x)` give log p(x). Training and rows are those of `Density`; flows
    and weights are trained together.

    Parameters
    ----------
    flows : sequence of GaussianizationFlow
        Of the same columns and dtype.
    logits : sequence of float, default=None
        Logits of the flows' weights, one for each, which training starts from; None: equal weights.
    **kwargs
        As for every Keras model: name, dtype, trainable. The dtype must be that of the flows.
    """

    def __init__(
        self,
        flows: Sequence[GaussianizationFlow],
        logits: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(flows[0].input_dim, **kwargs)
        self.flows = list(flows)
        start = np.zeros(len(flows)) if logits is None else np.asarray(logits)
        self.logits = self.add_weight(
            shape=(len(flows),),
            initializer=lambda shape, dtype: ops.convert_to_tensor(start, dtype),
            name="logits",
        )
        self.build((None, self.input_dim))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the flows serialized; a file holds the weights."""
        flows = [keras.saving.serialize_keras_object(flow) for flow in self.flows]
        return {**super().get_config(), "flows": flows}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Make a mixture from `get_config`'s result."""
        flows = [
            keras.saving.deserialize_keras_object(flow, custom_objects=custom_objects)
            for flow in config["flows"]
        ]
        return cls(**{**config, "flows": flows})

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check the width of rows; Keras notes it, for exports."""
        self._check_shape(input_shape)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the log-densities, (N,)."""
        return (input_shape[0],)

    def call(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (N,)."""
        return of_rows(self._log_prob, self._rows(x))

    def sample(self, num_samples: int, seed: int | None = None) -> Tensor:
        """Draw rows (num_samples, D): a flow for each row, then a row of that flow."""
        num_samples, seeds = checked_count(num_samples), keras.random.SeedGenerator(seed)
        logits = ops.log_softmax(self.logits)[None]
        chosen = ops.convert_to_numpy(keras.random.categorical(logits, num_samples, seed=seeds))[0]
        counts = np.bincount(chosen, minlength=len(self.flows)).tolist()
        rows = [
            flow.sample(count, seed=seeds)
            for flow, count in zip(self.flows, counts, strict=True)
            if count or not num_samples
        ]
        places = np.argsort(np.argsort(chosen, kind="stable"))
        return ops.take(ops.concatenate(rows), places, axis=0)

    def _log_prob(self, x: Tensor) -> Tensor:
        log_probs = ops.stack([flow._log_prob(x) for flow in self.flows], axis=-1)
        terms = log_probs + ops.log_softmax(self.logits)
        # Where all densities are 0, or a row is NaN, the logarithm's gradient would be NaN.
        largest = ops.stop_gradient(ops.max(terms, axis=-1))
        finite = ops.isfinite(largest)
        total = ops.logsumexp(ops.where(finite[:, None], terms, 0.0), axis=-1)
        return ops.where(finite, total, largest)

    def _log_prob_of(self, x: Tensor, y_pred: Tensor) -> Tensor:
        return self._log_prob(x) if y_pred is None else y_pred

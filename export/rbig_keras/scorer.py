"""Log-densities as a model of their own: what a server is given."""

from __future__ import annotations

from typing import Any, Self

import keras
import numpy as np

from rbig_keras.blocks import of_rows
from rbig_keras.special import Tensor


@keras.saving.register_keras_serializable(package="rbig_keras")
class Scorer(keras.Model):
    """Maps rows (N, D) to log p (N,), in nats; shares the weights of a density.

    A flow's own call gives latent rows, and `flow.export(path)` exports just that. What shall serve
    log-densities is `Scorer(flow).export(path)`, or `export(path, format="onnx")`.

    Parameters
    ----------
    density : GaussianizationFlow or MixtureOfFlows
        Built.
    **kwargs
        As for every Keras model: name, dtype, trainable.
    """

    def __init__(self, density: keras.Model, **kwargs: Any) -> None:
        super().__init__(dtype=density.compute_dtype, **kwargs)
        self.density = density
        self(np.zeros((1, density.input_dim)))  # Keras exports what was called once

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the density serialized."""
        density = keras.saving.serialize_keras_object(self.density)
        return {"name": self.name, "trainable": self.trainable, "density": density}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Make a model from `get_config`'s result."""
        density = keras.saving.deserialize_keras_object(config["density"], custom_objects)
        return cls(**{**config, "density": density})

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the log-densities, (N,)."""
        return (input_shape[0],)

    def call(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (N,)."""
        return of_rows(self.density._log_prob, self.density._rows(x))

"""A normalizing flow made of bijective layers, trained by its exact likelihood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from rbig_keras.blocks import RowMap, of_rows
from rbig_keras.density import Density, checked_count
from rbig_keras.layers.affine import Affine
from rbig_keras.layers.base import Bijector
from rbig_keras.layers.coupling import Coupling
from rbig_keras.special import Tensor, log_normal_pdf, reach_of, within

# The power of `REACH`, 1e30 in float32, that rows are kept within between layers.
BOUND = 5.0 / 3.0


@keras.saving.register_keras_serializable(package="rbig_keras")
class GaussianizationFlow(Density):
    """Bijective layers in a row, from data x to latent z ~ N(0, I).

    `flow(x)` and `flow.predict(x)` give z. Training and rows are those of `Density`.

    Parameters
    ----------
    bijectors : sequence of Bijector
        Layers in the order of the forward map; those that aren't built are built here.
    input_dim : int
        D, the number of columns.
    **kwargs
        As for every Keras model: name, dtype, trainable. The dtype must be that of the layers.

    Raises
    ------
    ValueError
        By every method, for rows that aren't (N, D).
    """

    def __init__(self, bijectors: Sequence[Bijector], input_dim: int, **kwargs: Any) -> None:
        super().__init__(input_dim, **kwargs)
        self.bijector_layers = list(bijectors)
        self.build((None, input_dim))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the layers serialized."""
        layers = [keras.saving.serialize_keras_object(layer) for layer in self.bijector_layers]
        own = {"bijectors": layers, "input_dim": self.input_dim}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Make a flow from `get_config`'s result."""
        bijectors = [
            keras.saving.deserialize_keras_object(layer, custom_objects=custom_objects)
            for layer in config["bijectors"]
        ]
        return cls(**{**config, "bijectors": bijectors})

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the latent rows, that of the rows."""
        return tuple(input_shape)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build the layers that aren't."""
        self._check_shape(input_shape)
        for layer in self.bijector_layers:
            if not layer.built:
                layer.build(input_shape)

    def call(self, x: Tensor) -> Tensor:
        """Map rows to the latent space; adds -mean(log_det) to `losses`, as its layers would."""
        z, log_det = of_rows(self._forward, self._rows(x))
        self.add_loss(-ops.mean(log_det))
        with suppress(AttributeError):  # JAX's arrays outside of a compiled step take no attributes
            z.log_det = log_det
        return z

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z (N, D) and log |det dz/dx| (N,)."""
        return self._forward_map(self._given(x))

    def forward_with_intermediates(self, x: Tensor) -> list[Tensor]:
        """Return rows (N, D) as they are, and behind each layer; the last are z."""
        return of_rows(self._states, self._given(x))

    def invert(self, z: Tensor) -> Tensor:
        """Map latent rows (N, D) back to data."""
        return self._inverse_map(self._given(z))

    def sample(self, num_samples: int, seed: int | None = None) -> Tensor:
        """Draw rows (num_samples, D) of the density."""
        shape = (checked_count(num_samples), self.input_dim)
        return self.invert(keras.random.normal(shape, dtype=self.compute_dtype, seed=seed))

    def forget_compiled(self) -> None:
        """Drop what was compiled of the flow: it holds what layers have besides weights."""
        for name in ("_forward_map", "_inverse_map", "_log_prob_map"):
            self.__dict__.pop(name, None)
        self.train_function = self.test_function = self.predict_function = None

    @cached_property
    def _forward_map(self) -> RowMap:
        return RowMap(self._forward, self)

    @cached_property
    def _inverse_map(self) -> RowMap:
        return RowMap(self._inverse, self)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Rows that aren't finite stay NaN, and the gradients of the others finite.
        finite = ops.all(ops.isfinite(x), axis=-1)
        x, total = ops.where(finite[:, None], x, 0.0), ops.zeros_like(x[:, 0])
        for layer, outward in self._walk():
            x, log_det = layer.forward_and_log_det(_bounded(x) if outward else x)
            total = total + log_det
        return ops.where(finite[:, None], x, np.nan), ops.where(finite, total, np.nan)

    def _states(self, x: Tensor) -> list[Tensor]:
        states = [x]
        for layer, outward in self._walk():
            x = _bounded(states[-1]) if outward else states[-1]
            states.append(layer.forward_and_log_det(x)[0])
        return states

    def _walk(self) -> Iterator[tuple[Bijector, bool]]:
        """Yield layers, and whether rows may come to them from where sums overflow."""
        outward = True
        for layer in self.bijector_layers:
            yield layer, outward and not isinstance(layer, Affine)
            outward = isinstance(layer, (Affine, Coupling))

    def _log_prob(self, x: Tensor) -> Tensor:
        z, log_det = self._forward(x)
        return ops.sum(log_normal_pdf(z), axis=-1) + log_det

    def _log_prob_of(self, x: Tensor, y_pred: Tensor) -> Tensor:
        if not hasattr(y_pred, "log_det"):
            return self._log_prob(x)
        return ops.sum(log_normal_pdf(y_pred), axis=-1) + y_pred.log_det

    def _inverse(self, z: Tensor) -> Tensor:
        for layer in reversed(self.bijector_layers):
            z, _ = layer.inverse_and_log_det(z)
        return z


def _bounded(x: Tensor) -> Tensor:
    """Return rows whose sums stay finite; far beyond `REACH` there is no density to change."""
    return within(x, reach_of(x) ** BOUND)

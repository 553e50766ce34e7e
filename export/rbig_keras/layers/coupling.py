"""Columns shifted and scaled by what other columns predict of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from rbig_keras.layers.base import Bijector
from rbig_keras.layers.halves import checked_halves
from rbig_keras.special import Tensor, at_least, matmul, reach_of, tanh, within
from rbig_numba.kernels.coefficients import MAX_LOG_SCALE, REACH


@keras.saving.register_keras_serializable(package="rbig_keras")
class Coupling(Bijector):
    """y_A = x_A, y_B = (x_B - mean(x_A)) / sigma(x_A) for the given columns A and the others B.

    With h = tanh(min(1, R / |x_A|) x_A @ projections + biases), R = sqrt(A) + 1, the mean is
    [1, h, x_A] @ location, and log sigma = S tanh([1, h] @ log_scale / S), S = 3. Weights, all
    trainable: `projections` (A, H), `biases` (H,), `location` (1 + H + A, B), `log_scale`
    (1 + H, B). A new layer is the identity map.

    Parameters
    ----------
    given : sequence of int
        1 for each column of A, 0 for each of B.
    num_features : int
        H, the number of functions tanh.
    **kwargs
        As for every Keras layer: name, dtype, trainable.
    """

    def __init__(self, given: Sequence[int], num_features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.given = [int(value) for value in given]
        self.halves = checked_halves(self.name, self.given)
        self.num_features = num_features

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"given": self.given, "num_features": self.num_features}
        return {**super().get_config(), **own}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights of the identity map: features at random, none of them used."""
        self.halves.check_columns(self.name, input_shape[-1])
        n_known, n_other, n_features = (
            len(self.halves.known),
            len(self.halves.other),
            self.num_features,
        )
        self.projections = self.add_weight(
            shape=(n_known, n_features), initializer="glorot_uniform", name="projections"
        )
        self.biases = self.add_weight(shape=(n_features,), initializer="zeros", name="biases")
        self.location = self.add_weight(
            shape=(1 + n_features + n_known, n_other), initializer="zeros", name="location"
        )
        self.log_scale = self.add_weight(
            shape=(1 + n_features, n_other), initializer="zeros", name="log_scale"
        )

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Standardise the columns B, given A."""
        known, other = self.halves.split(x)
        mean, log_sigma = self._predictions(known)
        y = self.halves.join(known, (other - mean) * ops.exp(-log_sigma))
        return y, -ops.sum(log_sigma, axis=-1)

    def _inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the columns B to their own units, given A."""
        known, other = self.halves.split(y)
        mean, log_sigma = self._predictions(known)
        x = self.halves.join(known, other * ops.exp(log_sigma) + mean)
        return x, ops.sum(log_sigma, axis=-1)

    def _predictions(self, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log sigma of the columns B, both (N, B)."""
        reach = math.sqrt(len(self.halves.known)) + REACH
        near = within(known, reach_of(known))
        distance = ops.sqrt(at_least(ops.sum(near * near, axis=-1, keepdims=True), reach**2))
        seen = near * (reach / distance)
        features = tanh(matmul(seen, self.projections) + self.biases)
        bounded = ops.concatenate([ops.ones_like(known[:, :1]), features], axis=-1)
        mean = matmul(ops.concatenate([bounded, known], axis=-1), self.location)
        free = matmul(bounded, self.log_scale)
        return mean, MAX_LOG_SCALE * tanh(free / MAX_LOG_SCALE)

"""Standardisation of columns, kept as it was fitted."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from rbig_keras.layers.base import Bijector
from rbig_keras.special import Tensor


@keras.saving.register_keras_serializable(package="rbig_keras")
class Affine(Bijector):
    """y = (x - shift - shift_residual) / scale; three weights (D,), scale > 0, none trainable.

    `shift_residual` is what rounding `shift` to the layer's dtype leaves over. Without it a float32
    column of 1e5 with a standard deviation of 0.1 is off by 4e-3 nats, though its own x is exact.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights of the identity map."""
        shape = (input_shape[-1],)
        self.shift = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="shift"
        )
        self.shift_residual = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="shift_residual"
        )
        self.scale = self.add_weight(shape=shape, initializer="ones", trainable=False, name="scale")

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Standardise rows."""
        return ((x - self.shift) - self.shift_residual) / self.scale, self._log_det(x)

    def _inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return to the columns' own units."""
        return (y * self.scale + self.shift_residual) + self.shift, -self._log_det(y)

    def _log_det(self, rows: Tensor) -> Tensor:
        return ops.zeros_like(rows[:, 0]) - ops.sum(ops.log(self.scale))


def affine_arrays(shift: np.ndarray, scale: np.ndarray, dtype: str) -> dict[str, np.ndarray]:
    """Return the weights of the `Affine` that equals (x - shift) / scale."""
    # Too large a shift is refused, with its name, where it is assigned.
    with np.errstate(over="ignore"):
        residual = shift - shift.astype(dtype)
    return {"shift": shift, "shift_residual": residual, "scale": scale}

"""What every layer of the flow is: a bijection of rows with an exact log-determinant.

Legend: N rows, D columns, K components; log-densities and log-determinants in nats.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from rbig_keras.special import Tensor


class Bijector(keras.layers.Layer):
    """An invertible Keras layer.

    A subclass makes its weights in `build((..., D))` and gives the two maps below; both take rows
    (N, D) of the layer's own dtype. Called as a layer it casts, builds itself, returns rows and, on
    the way forward, adds -mean(log_det) to `losses`: with the latent rows' negative log-density
    that makes the loss of any model that layers are put into. A `GaussianizationFlow` has a loss of
    its own and doesn't count these.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        if keras.config.backend() == "jax" and self.compute_dtype == "float64":
            _check_jax_keeps_doubles(self.name)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map rows (N, D) towards the latent space; return them and log |det dy/dx| (N,)."""
        raise NotImplementedError

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map rows (N, D) back towards the data; return them and log |det dx/dy| (N,)."""
        raise NotImplementedError

    def call(self, x: Tensor, *, inverse: bool = False) -> Tensor:
        """Return the mapped rows (N, D)."""
        if inverse:
            return self.inverse_and_log_det(x)[0]
        y, log_det = self.forward_and_log_det(x)
        self.add_loss(-ops.mean(log_det))
        return y


def _check_jax_keeps_doubles(name: str) -> None:
    import jax

    if not jax.config.jax_enable_x64:
        raise ValueError(
            f"{name}: JAX rounds float64 to float32 unless the environment says JAX_ENABLE_X64=1"
        )

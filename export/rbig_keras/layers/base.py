"""What every layer of the flow is: a bijection of rows with an exact log-determinant.

Legend: N rows, D columns, K components; log-densities and log-determinants in nats.
"""

from __future__ import annotations

import keras

from rbig_keras.special import Tensor


class Bijector(keras.layers.Layer):
    """An invertible Keras layer.

    A subclass makes its weights in `build((..., D))` and gives the two maps below; both take rows
    (N, D) of the layer's own dtype. Called as a layer it casts, builds itself and returns rows.
    """

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map rows (N, D) towards the latent space; return them and log |det dy/dx| (N,)."""
        raise NotImplementedError

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map rows (N, D) back towards the data; return them and log |det dx/dy| (N,)."""
        raise NotImplementedError

    def call(self, x: Tensor, *, inverse: bool = False) -> Tensor:
        """Return the mapped rows (N, D)."""
        return (self.inverse_and_log_det(x) if inverse else self.forward_and_log_det(x))[0]

"""What every layer of the flow is: a bijection of rows with an exact log-determinant.

Legend: N rows, D columns, K components; log-densities and log-determinants in nats.
"""

from __future__ import annotations

from typing import Any, Self

import keras
from keras import ops

from rbig_keras.special import Tensor

# Of the layers' configurations in files; grows when an older version would misread them. Format 1
# had Householder's reflectors as columns, and couplings of one mixture for all columns.
FORMAT = 2


class Bijector(keras.layers.Layer):
    """An invertible Keras layer.

    A subclass makes its weights in `build((..., D))` and gives two maps, `_forward` and `_inverse`,
    of rows (N, D) of the layer's own dtype. The methods here cast rows and build the layer. Called
    as a layer it returns rows and, on the way forward, adds -mean(log_det) to `losses`: with the
    latent rows' negative log-density that makes the loss of any model that layers are put into. A
    `GaussianizationFlow` has a loss of its own and doesn't count these.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        keep_precision(self)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, and the format they are in."""
        return {**super().get_config(), "format": FORMAT}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a layer from `get_config`'s result.

        Raises
        ------
        ValueError
            If it is of a newer version. Names the layer.
        """
        arguments = {name: value for name, value in config.items() if name != "format"}
        if config.get("format", FORMAT) > FORMAT:
            raise ValueError(
                f"{config.get('name')} ({cls.__name__}) was written by a newer rbig_keras, in "
                f"format {config['format']}; this one reads up to {FORMAT}: upgrade rbig-numba"
            )
        return cls(**arguments)

    def forward_and_log_det(self, x: Any) -> tuple[Tensor, Tensor]:
        """Map rows (N, D) towards the latent space; return them and log |det dy/dx| (N,)."""
        return self._forward(self._rows(x))

    def inverse_and_log_det(self, y: Any) -> tuple[Tensor, Tensor]:
        """Map rows (N, D) back towards the data; return them and log |det dx/dy| (N,)."""
        return self._inverse(self._rows(y))

    def inverse(self, y: Any) -> Tensor:
        """Map rows (N, D) back towards the data."""
        return self.inverse_and_log_det(y)[0]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of rows, which all layers keep."""
        return tuple(input_shape)

    def call(self, x: Tensor, *, inverse: bool = False) -> Tensor:
        """Return the mapped rows (N, D)."""
        if inverse:
            return self.inverse(x)
        y, log_det = self.forward_and_log_det(x)
        self.add_loss(-ops.mean(log_det))
        return y

    def _rows(self, x: Any) -> Tensor:
        rows = ops.convert_to_tensor(x, dtype=self.compute_dtype)
        if not self.built:
            self.build(rows.shape)
        return rows

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def _inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


def keep_precision(layer: keras.layers.Layer) -> None:
    """Make a layer compute in the dtype of its weights, whatever a mixed policy says.

    Raises
    ------
    ValueError
        If that is half precision, or JAX isn't allowed doubles. Names the layer.
    """
    dtype = layer.variable_dtype
    if layer.compute_dtype != dtype:
        layer.dtype_policy = keras.DTypePolicy(dtype)
    if dtype not in ("float32", "float64"):
        raise ValueError(f"{layer.name}: {dtype} can't hold tails; take float32 or float64")
    if dtype == "float64" and keras.config.backend() == "jax":
        import jax

        if not jax.config.jax_enable_x64:
            raise ValueError(
                f"{layer.name}: JAX rounds float64 to float32 unless the environment says "
                "JAX_ENABLE_X64=1"
            )

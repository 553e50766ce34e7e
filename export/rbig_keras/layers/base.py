"""What every layer of the flow is: a bijection of rows with an exact log-determinant.

Legend: N rows, D columns, K components; log-densities and log-determinants in nats.
"""

from __future__ import annotations

from typing import Any, Self

import keras
from keras import backend, ops

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

    A fine layer is one of a float32 flow that repeats a model in float64. Components may be 1,000
    times narrower than their columns: there rounding rows, or means, to float32 is 1e-4 nats. So
    fine layers keep what rounding leaves of their weights, as weights that aren't trained, and
    those before the first mixture return float64 rows: what they are compared with is subtracted
    in float64, and only the difference is rounded.

    Parameters
    ----------
    fine : bool, default=False
        Whether the layer keeps what rounding leaves.
    **kwargs
        As for every Keras layer: name, dtype, trainable.
    """

    takes_wide = False  # rows of float64, whatever the layer's own dtype

    def __init__(self, *, fine: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking, self.fine = True, fine
        keep_precision(self)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, and the format they are in."""
        own = {"format": FORMAT, **({"fine": True} if self.fine else {})}
        return {**super().get_config(), **own}

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
        y, log_det = self._forward(self._rows(x))
        return ops.cast(y, self.compute_dtype), log_det

    def push(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Do the same with rows from another layer, in whose digits they stay."""
        return self._forward(x if self.takes_wide else ops.cast(x, self.compute_dtype))

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

    def add_residuals(self, *names: str) -> None:
        """Make the weights of a fine layer that hold what rounding leaves of others."""
        for name in names if self.fine else ():
            weight = self.add_weight(
                shape=getattr(self, name).shape,
                initializer="zeros",
                trainable=False,
                name=f"{name}_residual",
            )
            setattr(self, f"{name}_residual", weight)

    def as_wide_as(self, x: Tensor, name: str) -> Tensor:
        """Return a weight in the dtype of rows, with what rounding left of it if that is wider."""
        weight = ops.cast(getattr(self, name), x.dtype)
        if not self.fine or backend.standardize_dtype(x.dtype) == self.compute_dtype:
            return weight
        return weight + ops.cast(getattr(self, f"{name}_residual"), x.dtype)

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

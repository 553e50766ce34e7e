"""What makes a coupling's mixtures of the columns given: networks, bounds of scales, masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
import numpy as np

from rbig_keras.special import Tensor, tanh

# Scales of standardised columns from e^-8 = 3e-4 to e^8: the engine's floor is 1e-3.
BOUND = 8.0


def default_half_mask(input_dim: int, *, flip: bool = False) -> np.ndarray:
    """Return 1 for the first half of the columns and 0 for the others, (D,); flipped the opposite.

    Of an odd number of columns the middle one belongs to the second half.
    """
    first = np.arange(input_dim) < input_dim // 2
    return np.where(first, 0, 1) if flip else np.where(first, 1, 0)


def make_mlp_conditioner(
    input_dim: int,
    output_dim: int,
    hidden: Sequence[int] = (64, 64),
    activation: str | Callable[[Tensor], Tensor] = "relu",
    **kwargs: Any,
) -> keras.Sequential:
    """Return a network (N, input_dim) -> (N, output_dim), the last kernel of which is zero.

    Its output thus starts as its last bias, whatever the input (Kingma and Dhariwal 2018, "Glow").
    Further arguments, such as dtype, are those of every layer.
    """
    layers = [keras.layers.Dense(size, activation=activation, **kwargs) for size in hidden]
    last = keras.layers.Dense(output_dim, kernel_initializer="zeros", **kwargs)
    return keras.Sequential([keras.Input((input_dim,)), *layers, last])


def make_shared_mlp_conditioner(
    input_dim: int,
    num_components: int,
    hidden: Sequence[int] = (64, 64),
    activation: str | Callable[[Tensor], Tensor] = "relu",
    **kwargs: Any,
) -> keras.Sequential:
    """Return the network of a coupling with `shared_mixture`: one mixture for all its columns."""
    return make_mlp_conditioner(input_dim, 3 * num_components, hidden, activation, **kwargs)


@keras.saving.register_keras_serializable(package="rbig_keras")
class LogScaleClamp:
    """centre + half tanh(slope raw / half): log-scales between low and high.

    Parameters
    ----------
    low, high : float
        Natural logarithms of the least and the greatest scale.
    slope : float
        At the centre; (high - low) / 4 makes it low + (high - low) / (1 + e^-raw).

    Raises
    ------
    ValueError
        Unless low < high and slope > 0.
    """

    def __init__(self, low: float = -BOUND, high: float = BOUND, slope: float = 1.0) -> None:
        if not (low < high and slope > 0.0):
            raise ValueError(
                f"LogScaleClamp: low < high and slope > 0 are needed, got {low}, {high}, {slope}"
            )
        self.low, self.high, self.slope = low, high, slope

    def __call__(self, raw: Tensor) -> Tensor:
        """Return log-scales within the bounds."""
        centre, half = 0.5 * (self.high + self.low), 0.5 * (self.high - self.low)
        return centre + half * tanh(raw * (self.slope / half))

    def inverse(self, log_scales: np.ndarray) -> np.ndarray:
        """Return what is mapped to log-scales; not finite where these aren't within the bounds."""
        centre, half = 0.5 * (self.high + self.low), 0.5 * (self.high - self.low)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.arctanh((log_scales - centre) / half) * (half / self.slope)

    def get_config(self) -> dict[str, float]:
        """Return the constructor's arguments."""
        return {"low": self.low, "high": self.high, "slope": self.slope}

    @classmethod
    def from_config(cls, config: dict[str, float]) -> Self:
        """Make a clamp from `get_config`'s result."""
        return cls(**config)


tanh_log_scale_clamp = LogScaleClamp()
sigmoid_log_scale_clamp = LogScaleClamp(slope=0.5 * BOUND)


def last_dense(conditioner: Any) -> keras.layers.Dense | None:
    """Return the last layer of a network that has a kernel and a bias, None if none has."""
    layers = getattr(conditioner, "layers", [conditioner])
    dense = [layer for layer in layers if hasattr(layer, "kernel") and hasattr(layer, "bias")]
    return dense[-1] if dense else None


def set_constant(dense: keras.layers.Dense, packed: np.ndarray) -> None:
    """Make a layer return the same numbers (3, B, K), whatever it is given."""
    dense.kernel.assign(np.zeros(dense.kernel.shape))
    dense.bias.assign(packed.ravel())

"""What makes a coupling's mixtures of the columns given: networks, bounds of scales, masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from rbig_keras.special import Tensor, tanh


def default_half_mask(d: int) -> np.ndarray:
    """Return booleans (d,), true for the first d // 2 columns."""
    return np.arange(d) < d // 2


def make_mlp_conditioner(
    d_b: int,
    num_components: int,
    hidden: Sequence[int] = (64, 64),
    activation: str | Callable[[Tensor], Tensor] = "relu",
    **kwargs: Any,
) -> keras.Sequential:
    """Return a network (N, A) -> (N, 3 d_b K), whose last kernel and bias are zero.

    Its output thus starts as its last bias, whatever the input (Kingma and Dhariwal 2018, "Glow"):
    a coupling with it is the identity map. A, the number of columns given, is known once the
    coupling is built. Further arguments, such as dtype, are those of every layer.
    """
    return keras.Sequential(_dense(3 * d_b * num_components, hidden, activation, **kwargs))


def make_shared_mlp_conditioner(
    d_b: int,
    num_components: int,
    hidden: Sequence[int] = (64, 64),
    activation: str | Callable[[Tensor], Tensor] = "relu",
    **kwargs: Any,
) -> keras.Sequential:
    """Return a network (N, A) -> (N, 3 d_b K) that makes one mixture for all columns.

    Its last dense layer returns (N, 3 K); the rest is as in `make_mlp_conditioner`.
    """
    layers = _dense(3 * num_components, hidden, activation, **kwargs)
    return keras.Sequential([*layers, RepeatedMixture(d_b, num_components, **kwargs)])


def _dense(
    output_dim: int, hidden: Sequence[int], activation: Any, **kwargs: Any
) -> list[keras.layers.Layer]:
    layers = [keras.layers.Dense(size, activation=activation, **kwargs) for size in hidden]
    return [*layers, keras.layers.Dense(output_dim, kernel_initializer="zeros", **kwargs)]


@keras.saving.register_keras_serializable(package="rbig_keras")
class RepeatedMixture(keras.layers.Layer):
    """Repeats one mixture (N, 3 K) for each of B columns: (N, 3 B K).

    Parameters
    ----------
    d_b, num_components : int
        B and K.
    **kwargs
        As for every Keras layer: name, dtype, trainable.
    """

    def __init__(self, d_b: int, num_components: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # what it repeats keeps its dtype
        self.d_b, self.num_components = d_b, num_components

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "d_b": self.d_b, "num_components": self.num_components}

    def call(self, mixture: Tensor) -> Tensor:
        """Return the mixture of every column."""
        packed = ops.reshape(mixture, (-1, 3, 1, self.num_components))
        repeated = ops.repeat(packed, self.d_b, axis=2)
        return ops.reshape(repeated, (-1, 3 * self.d_b * self.num_components))


def repeating(conditioner: Any, d_b: int, num_components: int) -> keras.Model:
    """Return a network of one mixture (N, 3 K) as one that returns that of every column.

    Format 1 of couplings has such networks. Raises ValueError for layers that aren't models.
    """
    if not isinstance(conditioner, (keras.Sequential, keras.Model)):
        raise ValueError(
            f"{conditioner.name}, a {type(conditioner).__name__}, makes one mixture for all "
            "columns; of such files only those with Sequential or functional conditioners load"
        )
    repeat = RepeatedMixture(d_b, num_components)
    if isinstance(conditioner, keras.Sequential):
        conditioner.add(repeat)
        return conditioner
    return keras.Model(conditioner.inputs, repeat(conditioner.output), name=conditioner.name)


@keras.saving.register_keras_serializable(package="rbig_keras")
class LogScaleClamp:
    """centre + half tanh(slope raw / half): log-scales between low and high.

    Parameters
    ----------
    low, high : float
        Natural logarithms of the least and the greatest scale. The defaults, scales of e^-8 = 3e-4
        to e^8, hold every fit in standardised columns: the engine's floor is 1e-3.
    slope : float
        At the centre.

    Raises
    ------
    ValueError
        Unless low < high and slope > 0.
    """

    def __init__(self, low: float = -8.0, high: float = 8.0, slope: float = 1.0) -> None:
        if not (low < high and slope > 0.0):
            raise ValueError(
                f"LogScaleClamp: low < high and slope > 0 are needed, got {low}, {high}, {slope}"
            )
        self.low, self.high, self.slope = low, high, slope

    def __call__(self, raw: Any) -> Tensor:
        """Return log-scales within the bounds."""
        centre, half = 0.5 * (self.high + self.low), 0.5 * (self.high - self.low)
        return centre + half * tanh(ops.convert_to_tensor(raw) * (self.slope / half))

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


def tanh_log_scale_clamp(bound: float = 3.0) -> LogScaleClamp:
    """Return raw -> bound tanh(raw)."""
    return LogScaleClamp(-bound, bound, slope=bound)


def sigmoid_log_scale_clamp(
    min_log_scale: float = -3.0, max_log_scale: float = 3.0
) -> LogScaleClamp:
    """Return raw -> min_log_scale + (max_log_scale - min_log_scale) / (1 + e^-raw)."""
    return LogScaleClamp(min_log_scale, max_log_scale, slope=0.25 * (max_log_scale - min_log_scale))


def last_dense(conditioner: Any) -> keras.layers.Dense | None:
    """Return the last layer of a network that has a kernel and a bias, None if none has."""
    layers = getattr(conditioner, "layers", [conditioner])
    dense = [layer for layer in layers if hasattr(layer, "kernel") and hasattr(layer, "bias")]
    return dense[-1] if dense else None


def set_constant(dense: keras.layers.Dense, packed: np.ndarray) -> None:
    """Make a layer return the same numbers (3, B, K), whatever it is given."""
    dense.kernel.assign(np.zeros(dense.kernel.shape))
    dense.bias.assign(packed.ravel())

"""Gaussianization of columns by mixtures that a network makes of the other columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from rbig_keras.conditioners import repeating, tanh_log_scale_clamp
from rbig_keras.layers.base import Bijector
from rbig_keras.layers.halves import checked_halves
from rbig_keras.mixtures import MixtureOfGaussians, checked_clip, checked_components
from rbig_keras.special import REACH, Tensor, within


@keras.saving.register_keras_serializable(package="rbig_keras")
class MixtureCDFCoupling(Bijector):
    """y_A = x_A, y_B = Phi^-1(F(x_B)) with mixtures F that a network makes of x_A.

    Ho et al. (2019), "Flow++", section 3.1, with a Gaussian for their logistic distributions and
    no affine map behind it. Once built, `d_a` and `d_b` are the numbers of columns in A and B.

    Parameters
    ----------
    mask : sequence of bool
        True for each column of A, which is given to the network, false for each of B.
    conditioner : keras.Model or keras.layers.Layer
        Maps (N, A) to (N, 3 B K): logits, means and log-scales before the clamp, each (B, K).
    num_components : int
        K.
    bisect_steps, bisect_range, eps : int, float, float
        Kept and not used, as in `MixtureCDFGaussianization`.
    log_scale_clamp : callable, default=None
        Bounds of the components' log-scales, such as a `LogScaleClamp`; None:
        `tanh_log_scale_clamp(3.0)`.
    clip : float, default=None
        As in `MixtureCDFGaussianization`.
    **kwargs
        As for every Keras layer: name, dtype, trainable.

    Raises
    ------
    ValueError
        If A or B is empty; when built, if the mask or the conditioner has another width.
    """

    def __init__(
        self,
        mask: Sequence[bool] | np.ndarray,
        conditioner: Any,
        num_components: int = 8,
        bisect_steps: int = 40,
        bisect_range: float = 50.0,
        eps: float = 1e-6,
        log_scale_clamp: Callable[[Tensor], Tensor] | None = None,
        *,
        clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mask = np.asarray(mask, dtype=bool)
        self.halves = checked_halves(self.name, self.mask)
        self.d_a, self.d_b = len(self.halves.known), len(self.halves.other)
        self.conditioner = conditioner
        self.num_components, self.clip = checked_components(num_components), checked_clip(clip)
        self.bisect_steps, self.bisect_range, self.eps = bisect_steps, bisect_range, eps
        self.log_scale_clamp = (
            tanh_log_scale_clamp() if log_scale_clamp is None else log_scale_clamp
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, conditioner and clamp serialized."""
        serialize = keras.saving.serialize_keras_object
        names = ("num_components", "bisect_steps", "bisect_range", "eps", "clip")
        own = {
            "mask": self.mask.tolist(),
            "conditioner": serialize(self.conditioner),
            "log_scale_clamp": serialize(self.log_scale_clamp),
        }
        return {**super().get_config(), **own, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a layer from `get_config`'s result; format 1 says which networks are shared."""
        deserialize = keras.saving.deserialize_keras_object
        parts = {name: deserialize(config[name]) for name in ("conditioner", "log_scale_clamp")}
        arguments = {k: v for k, v in config.items() if k != "shared_mixture"} | parts
        if config.get("shared_mixture"):
            d_b = len(config["mask"]) - sum(config["mask"])
            arguments["conditioner"] = repeating(
                parts["conditioner"], d_b, config["num_components"]
            )
        return super().from_config(arguments)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build the conditioner, and check what it returns."""
        self.halves.check_columns(self.name, input_shape[-1])
        if not self.conditioner.built:
            self.conditioner.build((None, self.d_a))
        expected = 3 * self.d_b * self.num_components
        width = self.conditioner.compute_output_shape((None, self.d_a))[-1]
        if width != expected:
            raise ValueError(
                f"{self.name}: the conditioner output width must be 3 x {self.d_b} column(s) x "
                f"{self.num_components} components = {expected}, it is {width}"
            )

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussianize the columns B, given A."""
        known, other = self.halves.split(x)
        z, log_slope = self.mixture(known).gaussianize(other, self.clip)
        return self.halves.join(known, z), ops.sum(log_slope, axis=-1)

    def _inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the columns B to their own distributions, given A."""
        known, other = self.halves.split(y)
        mixture = self.mixture(known)
        x = mixture.quantile(other)
        log_slope = mixture.gaussianize(x, self.clip)[1]
        return self.halves.join(known, x), -ops.sum(log_slope, axis=-1)

    def mixture(self, known: Tensor) -> MixtureOfGaussians:
        """Return the mixtures of the columns B (N, B, K), given the columns A."""
        shape = (-1, 3, self.d_b, self.num_components)
        seen = within(known, REACH["float32"])  # networks may compute in less than the layer
        packed = ops.reshape(ops.cast(self.conditioner(seen), known.dtype), shape)
        return MixtureOfGaussians(packed[:, 0], packed[:, 1], self.log_scale_clamp(packed[:, 2]))

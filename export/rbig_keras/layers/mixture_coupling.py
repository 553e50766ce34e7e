"""Gaussianization of columns by mixtures that a network makes of the other columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops

from rbig_keras.conditioners import LogScaleClamp, tanh_log_scale_clamp
from rbig_keras.layers.base import Bijector
from rbig_keras.layers.halves import checked_halves
from rbig_keras.mixtures import MixtureOfGaussians, checked_clip
from rbig_keras.special import REACH, Tensor, within


@keras.saving.register_keras_serializable(package="rbig_keras")
class MixtureCDFCoupling(Bijector):
    """y_A = x_A, y_B = Phi^-1(F(x_B)) with mixtures F that a network makes of x_A.

    Ho et al. (2019), "Flow++", section 3.1, with a Gaussian for their logistic distributions and
    no affine map behind it.

    Parameters
    ----------
    mask : sequence of int
        1 for each column of A, which is given to the network, 0 for each of B.
    conditioner : keras.Model or keras.layers.Layer
        Maps (N, A) to (N, 3 B K): logits, means and log-scales before the clamp, each (B, K).
    num_components : int
        K.
    shared_mixture : bool, default=False
        Whether all columns of B have one mixture; the conditioner then returns (N, 3 K).
    log_scale_clamp : LogScaleClamp
        Bounds of the components' scales.
    clip : float, default=None
        As in `MixtureCDFGaussianization`.
    **kwargs
        As for every Keras layer: name, dtype, trainable.

    Raises
    ------
    ValueError
        When built, if A or B is empty, or the mask or the conditioner has another width.
    """

    def __init__(
        self,
        mask: Sequence[int],
        conditioner: Any,
        num_components: int,
        *,
        shared_mixture: bool = False,
        log_scale_clamp: LogScaleClamp = tanh_log_scale_clamp,
        clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mask = [int(value) for value in mask]
        self.conditioner = conditioner
        self.num_components = num_components
        self.shared_mixture = shared_mixture
        self.log_scale_clamp = log_scale_clamp
        self.clip = checked_clip(clip)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, conditioner and clamp serialized."""
        serialize = keras.saving.serialize_keras_object
        own = {
            "mask": self.mask,
            "conditioner": serialize(self.conditioner),
            "num_components": self.num_components,
            "shared_mixture": self.shared_mixture,
            "log_scale_clamp": serialize(self.log_scale_clamp),
            "clip": self.clip,
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a layer from `get_config`'s result."""
        deserialize = keras.saving.deserialize_keras_object
        parts = {name: deserialize(config[name]) for name in ("conditioner", "log_scale_clamp")}
        return super().from_config({**config, **parts})

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build the conditioner, and check what it returns."""
        self.halves = checked_halves(self.name, self.mask, input_shape[-1])
        known = len(self.halves.known)
        if not self.conditioner.built:
            self.conditioner.build((None, known))
        self._n_mixtures = 1 if self.shared_mixture else len(self.halves.other)
        expected = 3 * self._n_mixtures * self.num_components
        shape = self.conditioner.compute_output_shape((None, known))
        if shape[-1] != expected:
            raise ValueError(
                f"{self.name}: the conditioner must return 3 x {self._n_mixtures} mixture(s) x "
                f"{self.num_components} components = {expected} columns, it returns {shape[-1]}"
            )

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussianize the columns B, given A."""
        known, other = self.halves.split(x)
        z, log_slope = self.mixture(known).gaussianize(other, self.clip)
        return self.halves.join(known, z), ops.sum(log_slope, axis=-1)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the columns B to their own distributions, given A."""
        known, other = self.halves.split(y)
        mixture = self.mixture(known)
        x = mixture.quantile(other)
        log_slope = mixture.gaussianize(x, self.clip)[1]
        return self.halves.join(known, x), -ops.sum(log_slope, axis=-1)

    def mixture(self, known: Tensor) -> MixtureOfGaussians:
        """Return the mixtures of the columns B (N, B, K), or (N, 1, K), given the columns A."""
        shape = (-1, 3, self._n_mixtures, self.num_components)
        seen = within(known, REACH["float32"])  # networks may compute in less than the layer
        packed = ops.reshape(ops.cast(self.conditioner(seen), known.dtype), shape)
        return MixtureOfGaussians(packed[:, 0], packed[:, 1], self.log_scale_clamp(packed[:, 2]))

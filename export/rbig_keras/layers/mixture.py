"""Gaussianization of columns by mixtures of Gaussians, in log space throughout."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from rbig_keras.layers.base import Bijector
from rbig_keras.mixtures import MixtureOfGaussians, checked_clip
from rbig_keras.special import Tensor


@keras.saving.register_keras_serializable(package="rbig_keras")
class MixtureCDFGaussianization(Bijector):
    """Per column z = Phi^-1(F(x)), F(x) = sum_k w_k Phi((x - m_k) / s_k).

    Weights, trainable, all (D, K): `log_weights` (logits: w = softmax over K), `means`,
    `log_scales`. A new layer is the identity map; all its components are the same.

    Parameters
    ----------
    num_components : int
        K, the number of components per column.
    clip : float, default=None
        Bounds of F as other packages have them: `clip` and 1 - `clip`, for their figures. Beyond,
        the map is no bijection: z stops at Phi^-1(1 - clip), and what stands for log dz/dx is
        log f(x) - log phi(z).
    **kwargs
        As for every Keras layer: name, dtype, trainable.
    """

    def __init__(self, num_components: int, clip: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_components, self.clip = num_components, checked_clip(clip)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"num_components": self.num_components, "clip": self.clip}
        return {**super().get_config(), **own}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights of the identity map."""
        shape = (input_shape[-1], self.num_components)
        self.log_weights = self.add_weight(shape=shape, initializer="zeros", name="log_weights")
        self.means = self.add_weight(shape=shape, initializer="zeros", name="means")
        self.log_scales = self.add_weight(shape=shape, initializer="zeros", name="log_scales")

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussianize columns."""
        z, log_slope = self._mixture().gaussianize(x, self.clip)
        return z, ops.sum(log_slope, axis=-1)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return to the columns' own distributions."""
        mixture = self._mixture()
        x = mixture.quantile(y)
        return x, -ops.sum(mixture.gaussianize(x, self.clip)[1], axis=-1)

    def _mixture(self) -> MixtureOfGaussians:
        return MixtureOfGaussians(self.log_weights, self.means, self.log_scales)

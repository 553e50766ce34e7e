"""Gaussianization of columns by mixtures of Gaussians, in log space throughout."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from rbig_keras.layers.base import Bijector
from rbig_keras.mixtures import MixtureOfGaussians, checked_clip, checked_components
from rbig_keras.rows import checked_rows
from rbig_keras.special import Tensor

# Of components started from rows.
LEAST_SCALE = 0.1


@keras.saving.register_keras_serializable(package="rbig_keras")
class MixtureCDFGaussianization(Bijector):
    """Per column z = Phi^-1(F(x)), F(x) = sum_k w_k Phi((x - m_k) / s_k).

    Weights, trainable, all (D, K): `logits` (w = softmax over K), `means`, `log_scales`.

    Parameters
    ----------
    num_components : int
        K, the number of components per column.
    bisect_steps, bisect_range, eps : int, float, float
        Kept and written to files, for code that has them, and not used: the inverse is a Newton
        search between exact ends, to rounding, and F needs no bounds in log space. See `clip`.
    init_mean_range, init_log_scale : float
        A new layer's means are uniform in +-init_mean_range, by the seed of
        `keras.utils.set_random_seed`; its log-scales are init_log_scale, its logits 0.
    clip : float, default=None
        Bounds of F as other packages have them: `clip` and 1 - `clip`, for their figures. Beyond,
        the map is no bijection: z stops at Phi^-1(1 - clip), and what stands for log dz/dx is
        log f(x) - log phi(z).
    **kwargs
        As for every Keras layer: name, dtype, trainable.
    """

    def __init__(
        self,
        num_components: int,
        bisect_steps: int = 40,
        bisect_range: float = 50.0,
        eps: float = 1e-6,
        init_mean_range: float = 3.0,
        init_log_scale: float = 0.0,
        *,
        clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_components, self.clip = checked_components(num_components), checked_clip(clip)
        self.bisect_steps, self.bisect_range, self.eps = bisect_steps, bisect_range, eps
        self.init_mean_range, self.init_log_scale = init_mean_range, init_log_scale

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ["num_components", "bisect_steps", "bisect_range", "eps"]
        names += ["init_mean_range", "init_log_scale", "clip"]
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights."""
        shape = (input_shape[-1], self.num_components)
        reach = self.init_mean_range
        self.logits = self.add_weight(shape=shape, initializer="zeros", name="logits")
        self.means = self.add_weight(
            shape=shape, initializer=keras.initializers.RandomUniform(-reach, reach), name="means"
        )
        self.log_scales = self.add_weight(
            shape=shape,
            initializer=keras.initializers.Constant(self.init_log_scale),
            name="log_scales",
        )

    def adapt_means_from_quantiles(self, x: Any) -> None:
        """Start from rows (N, D): a column's means at its quantiles of levels (k + 1/2) / K.

        All scales become the mean of the columns' standard deviations over K, at least 0.1; that
        mean itself where K is 1. Logits become 0. Builds the layer if it isn't.

        Raises
        ------
        ValueError
            If x isn't (n, d) with n >= 2, has another d than the layer, or isn't finite.
        """
        rows = checked_rows(self.name, x, self.means.shape[0] if self.built else None)
        if not self.built:
            self.build(rows.shape)
        levels = (np.arange(self.num_components) + 0.5) / self.num_components
        scale = float(rows.std(axis=0).mean()) / self.num_components
        if self.num_components > 1 or scale == 0.0:
            scale = max(scale, LEAST_SCALE)
        self.logits.assign(np.zeros(self.logits.shape))
        self.means.assign(np.quantile(rows, levels, axis=0).T)
        self.log_scales.assign(np.full(self.log_scales.shape, np.log(scale)))

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussianize columns."""
        z, log_slope = self._mixture().gaussianize(x, self.clip)
        return z, ops.sum(log_slope, axis=-1)

    def _inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return to the columns' own distributions."""
        mixture = self._mixture()
        x = mixture.quantile(y)
        return x, -ops.sum(mixture.gaussianize(x, self.clip)[1], axis=-1)

    def _mixture(self) -> MixtureOfGaussians:
        return MixtureOfGaussians(self.logits, self.means, self.log_scales)

"""Gaussianization of all columns at once, by a mixture of Gaussians with full covariances."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from rbig_keras.gaussianize import gaussianize
from rbig_keras.layers.base import Bijector
from rbig_keras.root import monotone_root
from rbig_keras.special import Tensor, at_most, log_ndtr, magnitude, matmul, reach_of

NEGLIGIBLE, MARGIN = 1e-3, 1e-2


@keras.saving.register_keras_serializable(package="rbig_keras")
class JointMixture(Bijector):
    """z_j = Phi^-1(F_j(x_j | x_1 ... x_j-1)), F_j the conditional distribution under a mixture.

    Within component k, u_j = (x_j - m_j - sum_{i<j} b_ji (x_i - m_i)) / s_j is N(0, 1) for every j
    and independent of the others. Weights, all trainable: `logits` (K,), `means` and
    `log_scales` (K, D), `slopes` (K, D, D), of which only what stands below the diagonal counts. A
    new layer is the identity map; all its components are the same.

    Parameters
    ----------
    num_components : int
        K.
    **kwargs
        As for every Keras layer: name, dtype, trainable.
    """

    def __init__(self, num_components: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_components = num_components

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "num_components": self.num_components}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights of the identity map."""
        size = input_shape[-1]
        shape = (self.num_components, size)
        self.logits = self.add_weight(shape=shape[:1], initializer="zeros", name="logits")
        self.means = self.add_weight(shape=shape, initializer="zeros", name="means")
        self.log_scales = self.add_weight(shape=shape, initializer="zeros", name="log_scales")
        self.slopes = self.add_weight(shape=(*shape, size), initializer="zeros", name="slopes")

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussianize all columns side by side: in x, what each depends on is known."""
        log_scales, x = ops.expand_dims(self.log_scales, -1), ops.transpose(x)
        means = ops.expand_dims(self.means, -1)
        means = means + matmul(ops.tril(self.slopes, k=-1), x[None] - means)
        shares = _log_shares((x[None] - means) * ops.exp(-log_scales), log_scales)
        before = matmul(ops.cast(np.tri(x.shape[0], k=-1), x.dtype), shares)
        log_weights = ops.log_softmax(_column_of(self.logits)[..., None] + before, axis=0)
        z, log_slope = gaussianize(x, log_weights, means, log_scales)
        return ops.transpose(z), ops.sum(log_slope, axis=0)

    def _inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Invert one column after the other by a safeguarded Newton search."""
        slopes, scales = ops.tril(self.slopes, k=-1), ops.exp(self.log_scales)
        log_weights = ops.log_softmax(_column_of(self.logits) + ops.zeros_like(y[:, 0]), axis=0)
        x: list[Tensor] = []
        deviations: list[Tensor] = []
        for j in range(y.shape[1]):
            own, log_scales = _column_of(self.means[:, j]), _column_of(self.log_scales[:, j])
            means = own + ops.zeros_like(log_weights)
            if j > 0:
                before = ops.stack(deviations, axis=-1)
                means = means + matmul(before, slopes[:, j, :j, None])[..., 0]
            low, high = _bracket(y[:, j], means, _column_of(scales[:, j]), log_weights)
            column = partial(
                gaussianize, log_weights=log_weights, means=means, log_scales=log_scales
            )
            x.append(monotone_root(column, y[:, j], low, high))
            deviations.append(x[j] - own)
            u = (x[j] - means) * ops.exp(-log_scales)
            log_weights = ops.log_softmax(log_weights + _log_shares(u, log_scales), axis=0)
        rows = ops.stack(x, axis=1)
        return rows, -self._forward(rows)[1]


def _column_of(parameters: Tensor) -> Tensor:
    """Return parameters (K,) as (K, 1)."""
    return ops.expand_dims(parameters, -1)


def _bracket(
    z: Tensor, means: Tensor, scales: Tensor, log_weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Return ends (N,) between which F(x) = Phi(z): the least and the greatest m_k + s_k z.

    Components that hold less than NEGLIGIBLE of the smaller tail, all of them together, move z by
    less than MARGIN; far out they would cost 30 bisections.
    """
    tail = log_ndtr(-ops.abs(z)) + math.log(NEGLIGIBLE / means.shape[0])
    counts = log_weights >= tail
    ends, margin = means + scales * z, MARGIN * scales
    low = ops.min(ops.where(counts, ends - margin, np.inf), axis=0)
    return low, ops.max(ops.where(counts, ends + margin, -np.inf), axis=0)


def _log_shares(u: Tensor, log_scales: Tensor) -> Tensor:
    """Return log phi(u) / s (K, ...), less a number common to all components.

    What is left over are differences of squares, small where it matters: the squares themselves,
    1e6 and more far out, would lose 0.06 to rounding in float32.
    """
    distance = at_most(magnitude(u), reach_of(u))
    nearest = ops.stop_gradient(ops.min(distance, axis=0, keepdims=True))
    return -0.5 * (distance - nearest) * (distance + nearest) - log_scales

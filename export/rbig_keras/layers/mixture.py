"""Gaussianization of columns by mixtures of Gaussians, in log space throughout."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from rbig_keras.layers.base import Bijector
from rbig_keras.layers.root import monotone_root
from rbig_keras.special import (
    LOG_SQRT_2PI,
    Tensor,
    log_mills,
    log_normal_pdf,
    magnitude,
    ndtri_exp,
)


@keras.saving.register_keras_serializable(package="rbig_keras")
class MixtureCDFGaussianization(Bijector):
    """Per column z = Phi^-1(F(x)), F(x) = sum_k w_k Phi((x - m_k) / s_k).

    Weights, trainable, all (D, K): `log_weights` (logits: w = softmax over K), `means`,
    `log_scales`. A new layer is the identity map; all its components are the same.

    Parameters
    ----------
    num_components : int
        K, the number of components per column.
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
        shape = (input_shape[-1], self.num_components)
        self.log_weights = self.add_weight(shape=shape, initializer="zeros", name="log_weights")
        self.means = self.add_weight(shape=shape, initializer="zeros", name="means")
        self.log_scales = self.add_weight(shape=shape, initializer="zeros", name="log_scales")

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussianize columns."""
        z, log_slope = self._columns(x)
        return z, ops.sum(log_slope, axis=-1)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Invert the columns by a safeguarded Newton search.

        F lies between the least and the greatest Phi((x - m_k) / s_k), so the root lies between the
        least and the greatest m_k + s_k y: an exact bracket, however far out.
        """
        ends = self.means + ops.exp(self.log_scales) * y[..., None]
        x = monotone_root(self._columns, y, ops.min(ends, axis=-1), ops.max(ends, axis=-1))
        return x, -ops.sum(self._columns(x)[1], axis=-1)

    def _columns(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and log dz/dx, both (N, D)."""
        log_weights = ops.log_softmax(self.log_weights, axis=-1)
        u = (x[..., None] - self.means) * ops.exp(-self.log_scales)
        return gaussianize(u, log_weights, self.log_scales)


def gaussianize(u: Tensor, log_weights: Tensor, log_scales: Tensor) -> tuple[Tensor, Tensor]:
    """Return z = Phi^-1(sum_k w_k Phi(u_k)) and log dz/dx, u_k = (x - m_k) / s_k.

    Components are the last axis of u (..., K); weights, which sum to 1, and scales broadcast to it.
    """
    distance = magnitude(u)
    log_ratio = log_mills(distance)
    log_tail = log_normal_pdf(distance) + log_ratio
    side = ops.stop_gradient(_side(u, log_weights, log_tail))
    # From here on v <= 0 is the way into the smaller tail: T = sum_k w_k Phi(v_k) <= 1/2.
    v = u * side[..., None]
    # The pivot, w phi(v) of the component that holds most of T, is taken out of all terms: far out,
    # where they are exp(-5e5), f / T comes from small differences. In float32 log f - log T alone
    # would be off by 0.03 there.
    pivot, nearest = _pivot(log_weights, ops.relu(-v))
    out = 0.5 * nearest * nearest
    log_w = log_weights - (pivot + out)
    log_pdf = -0.5 * (distance - nearest) * (distance + nearest) - LOG_SQRT_2PI
    log_upper = ops.log1p(-ops.exp(log_tail)) + out
    log_cdf = ops.where(v < 0.0, log_pdf + log_ratio, log_upper)
    log_f = ops.logsumexp(log_w - log_scales + log_pdf, axis=-1)
    log_t = ops.logsumexp(log_w + log_cdf, axis=-1)
    z = ndtri_exp(log_t + pivot[..., 0])
    # log phi(z) = log T - log M(-z), so the large exponents never enter the log-determinant.
    return z * side, log_f - log_t + log_mills(-z)


def _pivot(log_weights: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest of w exp(-out^2 / 2), as a logarithm, and its `out`, both (..., 1)."""
    share = log_weights - 0.5 * out * out
    largest = ops.max(share, axis=-1, keepdims=True)
    its_own = ops.max(ops.where(share >= largest, out, 0.0), axis=-1, keepdims=True)
    return ops.stop_gradient(largest), ops.stop_gradient(its_own)


def _side(u: Tensor, log_weights: Tensor, log_tail: Tensor) -> Tensor:
    """Return 1 where F(x) <= 1/2 and -1 elsewhere, from mass below less mass above."""
    tail, weights = ops.exp(log_weights + log_tail), ops.exp(log_weights)
    below = ops.where(u < 0.0, 2.0 * tail - weights, weights - 2.0 * tail)
    excess = ops.sum(below, axis=-1)
    return ops.where(excess < 0.0, ops.ones_like(excess), -1.0)

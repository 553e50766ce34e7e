"""A diagonal Gaussianization flow as it is usually written in Keras: what ours is timed against.

Layer by layer: reflections one after the other, the mixture's density and distribution function
each on their own, probabilities clipped, log-determinants by `add_loss`.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

CLIP = 1e-6


class PlainHouseholder(keras.layers.Layer):
    """Reflections, one after the other."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the reflectors (D, D)."""
        shape = (input_shape[-1], input_shape[-1])
        self.kernel = self.add_weight(shape=shape, initializer="random_normal", name="kernel")

    def call(self, x: Any) -> Any:
        """Reflect rows."""
        for j in range(self.kernel.shape[0]):
            v = self.kernel[j]
            norm = ops.sum(v * v) + 1e-12
            x = x - 2.0 * ops.sum(x * v, axis=-1, keepdims=True) * v / norm
        return x


class PlainMixture(keras.layers.Layer):
    """Phi^-1(F(x)) of each column, F a mixture of Gaussians, clipped."""

    def __init__(self, num_components: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_components = num_components

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make logits, means and log-scales (D, K)."""
        shape = (input_shape[-1], self.num_components)
        self.logits = self.add_weight(shape=shape, initializer="zeros", name="logits")
        self.means = self.add_weight(shape=shape, initializer="random_normal", name="means")
        self.log_scales = self.add_weight(shape=shape, initializer="zeros", name="log_scales")

    def call(self, x: Any) -> Any:
        """Gaussianize columns, and add -mean(log_det) to the losses."""
        weights = ops.softmax(self.logits, axis=-1)
        u = (ops.expand_dims(x, -1) - self.means) / ops.exp(self.log_scales)
        cdf = ops.sum(weights * 0.5 * (1.0 + ops.erf(u / math.sqrt(2.0))), axis=-1)
        cdf = ops.clip(cdf, CLIP, 1.0 - CLIP)
        z = math.sqrt(2.0) * ops.erfinv(2.0 * cdf - 1.0)
        log_pdf = -0.5 * ops.square(u) - self.log_scales - 0.5 * math.log(2.0 * math.pi)
        log_f = ops.logsumexp(ops.log_softmax(self.logits, axis=-1) + log_pdf, axis=-1)
        log_normal = -0.5 * ops.square(z) - 0.5 * math.log(2.0 * math.pi)
        self.add_loss(-ops.mean(ops.sum(log_f - log_normal, axis=-1)))
        return z


def plain_flow(input_dim: int, num_blocks: int, num_components: int) -> keras.Sequential:
    """Return blocks of a rotation and a mixture for each column."""
    layers = [keras.Input((input_dim,))]
    for _ in range(num_blocks):
        layers += [PlainHouseholder(), PlainMixture(num_components)]
    return keras.Sequential(layers)

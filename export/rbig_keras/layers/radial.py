"""Gaussianization of radii: groups of columns whose sizes move together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from rbig_keras.layers.base import Bijector
from rbig_keras.mixtures import MixtureOfGaussians
from rbig_keras.special import Tensor, at_least, at_most, matmul, within
from rbig_numba.kernels.coefficients import LOG_RADIUS_MAX, LOG_RADIUS_REACH, wilson_hilferty


@keras.saving.register_keras_serializable(package="rbig_keras")
class Radial(Bijector):
    """y = x g(z) / r in each group of m columns, r = |x|, z = Phi^-1(F(log r)).

    F is a mixture of Gaussians, g(z) all but the quantile of chi(m): see `wilson_hilferty`. Closer
    to the origin than any component reaches, and beyond e^32, y is proportional to x. Weights,
    trainable, all (G, K): `logits`, `means`, `log_scales`. A new layer maps the
    typical radius, that of z = 0, to itself with slope 1; it can't be the identity elsewhere.

    Parameters
    ----------
    groups : sequence of int
        The number of each column's group, 0 ... G - 1; or -1: left alone.
    num_components : int
        K, the number of components per group.
    **kwargs
        As for every Keras layer: name, dtype, trainable.
    """

    def __init__(self, groups: Sequence[int], num_components: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups = [int(group) for group in groups]
        self.num_components = num_components
        self._membership = np.equal.outer(self.groups, range(max(self.groups) + 1))
        self._sizes = self._membership.sum(axis=0)
        # Columns left alone take the factor behind those of the groups, which is 1.
        self._factor_of = np.where(np.array(self.groups) < 0, len(self._sizes), self.groups)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"groups": self.groups, "num_components": self.num_components}
        return {**super().get_config(), **own}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights of the map that touches the identity at typical radii."""
        if input_shape[-1] != len(self.groups):
            raise ValueError(
                f"groups has {len(self.groups)} columns, the rows have {input_shape[-1]}"
            )
        shape = (len(self._sizes), self.num_components)
        log_g, log_rate = self._radii(ops.zeros((len(self._sizes),), dtype=self.dtype))
        self.logits = self.add_weight(shape=shape, initializer="zeros", name="logits")
        self.means = self.add_weight(shape=shape, initializer=_rows(log_g), name="means")
        self.log_scales = self.add_weight(
            shape=shape, initializer=_rows(log_rate), name="log_scales"
        )

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussianize radii."""
        limits = self._limits()
        log_r = self._log_radii(x, limits)
        log_g, slope = self._outward(log_r)
        return self._stretched(x, log_r, log_g, limits, slope)

    def _inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return to the radii of the data."""
        limits = self._outward(self._limits())[0]
        log_g = self._log_radii(y, limits)
        z = self._latents(log_g)
        log_r = self._mixture().quantile(z)
        return self._stretched(y, log_g, log_r, limits, -self._outward(log_r)[1])

    def _limits(self) -> Tensor:
        """Return the least and the greatest log r (2, G) that F maps."""
        nearest = ops.min(self.means - LOG_RADIUS_REACH * ops.exp(self.log_scales), axis=-1)
        low = at_least(nearest, -LOG_RADIUS_MAX)
        return ops.stack([low, ops.zeros_like(low) + LOG_RADIUS_MAX])

    def _log_radii(self, rows: Tensor, limits: Tensor) -> Tensor:
        """Return log |x| of each group (N, G), within limits."""
        near = within(rows, math.exp(1.0 + LOG_RADIUS_MAX))  # sums of squares shall stay finite
        squares = matmul(near * near, ops.cast(self._membership, rows.dtype))
        log_r = 0.5 * ops.log(at_least(squares, math.exp(-2.0 * LOG_RADIUS_MAX)))
        return at_most(at_least(log_r, limits[0]), limits[1])

    def _columns(self, log_r: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and log dz / d log r, both (N, G)."""
        return self._mixture().gaussianize(log_r)

    def _mixture(self) -> MixtureOfGaussians:
        return MixtureOfGaussians(self.logits, self.means, self.log_scales)

    def _outward(self, log_r: Tensor) -> tuple[Tensor, Tensor]:
        """Return log g and log (d log g / d log r), both (N, G)."""
        z, slope = self._columns(log_r)
        log_g, log_rate = self._radii(z)
        return log_g, slope + log_rate

    def _radii(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return log g(z) and log (d log g / dz), both (N, G)."""
        m, centre, slope, curvature = self._constants(z)
        h = centre + slope * z
        q = ops.sqrt(h * h + curvature * curvature)
        size = ops.abs(h) + q
        b = ops.where(h > 0.0, 0.5 * size, 0.5 * curvature * curvature / size)
        return 0.5 * ops.log(m) + 1.5 * ops.log(b), ops.log(1.5 * slope) - ops.log(q)

    def _latents(self, log_g: Tensor) -> Tensor:
        """Return the z (N, G) of log g(z)."""
        m, centre, slope, curvature = self._constants(log_g)
        b = ops.exp((2.0 * log_g - ops.log(m)) / 3.0)
        return (b - 0.25 * curvature * curvature / b - centre) / slope

    def _constants(self, like: Tensor) -> list[Tensor]:
        """Return m and what `wilson_hilferty` says of it, each (G,)."""
        constants = [(float(m), *wilson_hilferty(int(m))) for m in self._sizes]
        return [
            ops.convert_to_tensor(values, like.dtype) for values in zip(*constants, strict=True)
        ]

    def _stretched(
        self, rows: Tensor, before: Tensor, after: Tensor, limits: Tensor, slope: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return rows of log-radii `after` instead of `before` (N, G), and the log-determinant."""
        log_factor = after - before
        inside = ops.logical_and(before > limits[0], before < limits[1])
        log_dets = self._constants(rows)[0] * log_factor + ops.where(inside, slope, 0.0)
        factors = ops.exp(ops.pad(log_factor, [[0, 0], [0, 1]]))
        return rows * ops.take(factors, self._factor_of, axis=-1), ops.sum(log_dets, axis=-1)


def _rows(column: Tensor) -> Callable[..., Tensor]:
    """Return an initializer of arrays (G, K), all columns of which are the one given."""

    def fill(shape: tuple[int, int], dtype: str | None = None) -> Tensor:
        return ops.cast(column, dtype)[:, None] + ops.zeros(shape, dtype)

    return fill

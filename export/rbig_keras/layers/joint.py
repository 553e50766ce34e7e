"""Gaussianization of all columns at once, by a mixture of Gaussians of several scales a shape."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Self

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

    The mixture has S components of each of K shapes: component (k, s) is N(m_k, a_ks C_k). Within
    it u_j = (x_j - m_j - sum_{i<j} b_ji (x_i - m_i)) / (s_j sqrt(a_s)) is N(0, 1) for every j and
    independent of the others; what x_j is compared with doesn't depend on s. Weights, all
    trainable: `logits` (K, S), `means` and `log_scales` (K, D), `slopes` (K, D, D), of which only
    what stands below the diagonal counts, and `log_sizes` (K, S), log sqrt(a). A new layer is the
    identity map; all its components are the same.

    Parameters
    ----------
    num_components : int
        K, the number of shapes.
    num_scales : int
        S, the number of scales of each shape.
    columns : (int, int) or None
        The columns that the mixture is of, from the first up to, not with, the second: D of them.
        The others stay as they are. None takes all.
    **kwargs
        As for every Keras layer: name, dtype, trainable.

    Raises
    ------
    ValueError
        If one of the numbers isn't at least 1, or if there are no such columns.
    """

    of_one_scale = False  # of a file from before scales

    def __init__(
        self,
        num_components: int,
        num_scales: int = 1,
        columns: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if min(num_components, num_scales) < 1:
            raise ValueError(
                f"{self.name}: num_components and num_scales must be 1 or more, got "
                f"{num_components} and {num_scales}"
            )
        if columns is not None and not 0 <= columns[0] < columns[1]:
            raise ValueError(f"{self.name}: columns are (first, last + 1), got {columns}")
        self.num_components, self.num_scales = num_components, num_scales
        self.columns = None if columns is None else (int(columns[0]), int(columns[1]))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {
            "num_components": self.num_components,
            "num_scales": self.num_scales,
            "columns": self.columns,
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a layer from `get_config`'s result; old ones say nothing of scales."""
        layer = super().from_config(config)
        layer.of_one_scale = "num_scales" not in config
        return layer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights of the identity map."""
        n_columns: Any = input_shape[-1]
        start, stop = self.columns or (0, n_columns)
        if stop > n_columns:
            raise ValueError(f"{self.name}: no columns {self.columns} in rows of {n_columns}")
        self.band, size = slice(start, stop), stop - start
        shape, of_scales = (self.num_components, size), (self.num_components, self.num_scales)
        self.logits = self.add_weight(shape=of_scales, initializer="zeros", name="logits")
        self.means = self.add_weight(shape=shape, initializer="zeros", name="means")
        self.log_scales = self.add_weight(shape=shape, initializer="zeros", name="log_scales")
        self.slopes = self.add_weight(shape=(*shape, size), initializer="zeros", name="slopes")
        self.log_sizes = self.add_weight(shape=of_scales, initializer="zeros", name="log_sizes")

    def save_own_variables(self, store: Any) -> None:
        """Write the weights by name: files from before scales numbered them."""
        for weight in self.weights:
            store[weight.name] = ops.convert_to_numpy(weight)

    def load_own_variables(self, store: Any) -> None:
        """Read the weights; files from before scales have logits (K,) and no sizes."""
        numbered = "0" in store
        for number, weight in enumerate(self.weights[:-1] if numbered else self.weights):
            array = store[str(number) if numbered else weight.name]
            weight.assign(np.reshape(array, weight.shape) if numbered else array)
        if numbered:
            self.log_sizes.assign(np.zeros(self.log_sizes.shape))

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_det = self._forward_band(x[:, self.band])
        return self._beside(x, z), log_det

    def _inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        x = self._inverse_band(y[:, self.band])
        return self._beside(y, x), -self._forward_band(x)[1]

    def _beside(self, rows: Tensor, mapped: Tensor) -> Tensor:
        """Return rows whose columns of the mixture were mapped."""
        if mapped.shape[1] == rows.shape[1]:
            return mapped
        parts = rows[:, : self.band.start], mapped, rows[:, self.band.stop :]
        return ops.concatenate(parts, axis=1)

    def _forward_band(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussianize all columns side by side: in x, what each depends on is known."""
        log_scales, x = ops.expand_dims(self._all_log_scales(), -1), ops.transpose(x)
        means = ops.expand_dims(self.means, -1)
        means = means + matmul(ops.tril(self.slopes, k=-1), x[None] - means)
        means = ops.repeat(means, self.num_scales, axis=0)
        shares = _log_shares((x[None] - means) * ops.exp(-log_scales), log_scales)
        before = matmul(ops.cast(np.tri(x.shape[0], k=-1), x.dtype), shares)
        log_weights = ops.log_softmax(_flat(self.logits)[..., None] + before, axis=0)
        z, log_slope = gaussianize(x, log_weights, means, log_scales)
        return ops.transpose(z), ops.sum(log_slope, axis=0)

    def _inverse_band(self, y: Tensor) -> Tensor:
        """Invert one column after the other by a safeguarded Newton search."""
        slopes, all_log_scales = ops.tril(self.slopes, k=-1), self._all_log_scales()
        log_weights = ops.log_softmax(_flat(self.logits) + ops.zeros_like(y[:, 0]), axis=0)
        x: list[Tensor] = []
        deviations: list[Tensor] = []
        for j in range(y.shape[1]):
            own, log_scales = self.means[:, j, None], all_log_scales[:, j, None]
            means = own + ops.zeros_like(y[:, 0])
            if j > 0:
                before = ops.stack(deviations, axis=-1)
                means = means + matmul(before, slopes[:, j, :j, None])[..., 0]
            means = ops.repeat(means, self.num_scales, axis=0)
            low, high = _bracket(y[:, j], means, ops.exp(log_scales), log_weights)
            column = partial(
                gaussianize, log_weights=log_weights, means=means, log_scales=log_scales
            )
            x.append(monotone_root(column, y[:, j], low, high))
            deviations.append(x[j] - own)
            u = (x[j] - means) * ops.exp(-log_scales)
            log_weights = ops.log_softmax(log_weights + _log_shares(u, log_scales), axis=0)
        return ops.stack(x, axis=1)

    def _all_log_scales(self) -> Tensor:
        """Return log-scales of all components (K S, D), those of a shape side by side."""
        log_scales = self.log_scales[:, None] + self.log_sizes[..., None]
        return ops.reshape(log_scales, (-1, log_scales.shape[-1]))


def _flat(parameters: Tensor) -> Tensor:
    """Return parameters (K, S) as (K S, 1)."""
    return ops.reshape(parameters, (-1, 1))


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
    """Return log phi(u) / s of all components (C, ...), less a number common to them.

    What is left over are differences of squares, small where it matters: the squares themselves,
    1e6 and more far out, would lose 0.06 to rounding in float32.
    """
    distance = at_most(magnitude(u), reach_of(u))
    nearest = ops.stop_gradient(ops.min(distance, axis=0, keepdims=True))
    return -0.5 * (distance - nearest) * (distance + nearest) - log_scales

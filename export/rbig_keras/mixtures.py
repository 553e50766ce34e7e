"""Mixtures of Gaussians of columns: what layers are made of, in log space throughout."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

from keras import ops

from rbig_keras.gaussianize import gaussianize
from rbig_keras.root import monotone_root
from rbig_keras.special import Tensor, at_least, at_most, log_ndtr, log_normal_pdf


class MixtureOfGaussians(NamedTuple):
    """One mixture per column, or one per row and column.

    All parameters are tensors (D, K) or (N, D, K); rows are (N, D).

    Attributes
    ----------
    log_weights : tensor
        Logits: weights are their softmax over K.
    means, log_scales : tensor
        Of the components.
    """

    log_weights: Tensor
    means: Tensor
    log_scales: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density of each number, in nats."""
        log_weights, means, log_scales = self._rows_last()
        u = (ops.transpose(x) - means) * ops.exp(-log_scales)
        return ops.transpose(ops.logsumexp(log_weights + log_normal_pdf(u) - log_scales, axis=0))

    def log_cdf(self, x: Tensor) -> Tensor:
        """Return log F(x), in nats; F is the distribution function."""
        log_weights, means, log_scales = self._rows_last()
        u = (ops.transpose(x) - means) * ops.exp(-log_scales)
        return ops.transpose(ops.logsumexp(log_weights + log_ndtr(u), axis=0))

    def gaussianize(self, x: Tensor, clip: float | None = None) -> tuple[Tensor, Tensor]:
        """Return z = Phi^-1(F(x)) and log dz/dx = log f(x) - log phi(z).

        With F clipped to [clip, 1 - clip], the former stops and the latter is no derivative.
        """
        z, log_slope = map(ops.transpose, gaussianize(ops.transpose(x), *self._rows_last()))
        if clip is None:
            return z, log_slope
        limit = -NormalDist().inv_cdf(clip)
        clipped = at_least(at_most(z, limit), -limit)
        return clipped, log_slope + 0.5 * (clipped - z) * (clipped + z)

    def quantile(self, z: Tensor) -> Tensor:
        """Return the x of F(x) = Phi(z), by a safeguarded Newton search.

        F lies between the least and the greatest Phi((x - m_k) / s_k), so the root lies between the
        least and the greatest m_k + s_k z: an exact bracket, however far out.
        """
        ends = self.means + ops.exp(self.log_scales) * z[..., None]
        return monotone_root(self.gaussianize, z, ops.min(ends, axis=-1), ops.max(ends, axis=-1))

    def _rows_last(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return log-weights, means and log-scales (K, D, 1) or (K, D, N).

        Loops are along the last axis: of rows, long however few columns and components there are.
        """
        log_weights = ops.log_softmax(self.log_weights, axis=-1)
        tables = (log_weights, self.means, self.log_scales)
        if len(log_weights.shape) == 3:
            return tuple(ops.transpose(table, (2, 1, 0)) for table in tables)
        return tuple(ops.expand_dims(ops.transpose(table), -1) for table in tables)


def checked_clip(clip: float | None) -> float | None:
    """Return a bound of probabilities as it is.

    Raises
    ------
    ValueError
        If it isn't between 0 and 1/2.
    """
    if clip is not None and not 0.0 < clip < 0.5:
        raise ValueError(f"clip must be between 0 and 0.5, or None, got {clip}")
    return clip

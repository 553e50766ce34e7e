"""Mixtures of Gaussians of columns: what layers are made of, in log space throughout."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from keras import backend, ops

from rbig_keras.gaussianize import gaussianize
from rbig_keras.root import monotone_root
from rbig_keras.special import Tensor, at_least, at_most, log_ndtr, log_normal_pdf


class MixtureOfGaussians:
    """One mixture per column, or one per row and column.

    Parameters and rows may be tensors or arrays; rows are cast to the means' dtype.

    Parameters
    ----------
    logits, means, log_scales : tensor (D, K) or (N, D, K)
        Of the components; weights are the logits' softmax over K.
    """

    def __init__(self, logits: Any, means: Any, log_scales: Any) -> None:
        self.means = ops.convert_to_tensor(means)
        self.logits = ops.convert_to_tensor(logits, self.means.dtype)
        self.log_scales = ops.convert_to_tensor(log_scales, self.means.dtype)

    def log_pdf(self, x: Any) -> Tensor:
        """Return the log-density of each number (N, D), in nats."""
        log_weights, means, log_scales = self._rows_last()
        u = (self._transposed(x) - means) * ops.exp(-log_scales)
        return ops.transpose(ops.logsumexp(log_weights + log_normal_pdf(u) - log_scales, axis=0))

    def pdf(self, x: Any) -> Tensor:
        """Return the density at each number (N, D)."""
        return ops.exp(self.log_pdf(x))

    def log_cdf(self, x: Any) -> Tensor:
        """Return log F(x) (N, D), in nats; F is the distribution function."""
        log_weights, means, log_scales = self._rows_last()
        u = (self._transposed(x) - means) * ops.exp(-log_scales)
        return ops.transpose(ops.logsumexp(log_weights + log_ndtr(u), axis=0))

    def cdf(self, x: Any) -> Tensor:
        """Return F(x) (N, D)."""
        return ops.exp(self.log_cdf(x))

    def gaussianize(self, x: Any, clip: float | None = None) -> tuple[Tensor, Tensor]:
        """Return z = Phi^-1(F(x)) and log dz/dx = log f(x) - log phi(z), both (N, D).

        With F clipped to [clip, 1 - clip], the former stops and the latter is no derivative.
        """
        z, log_slope = map(ops.transpose, gaussianize(self._transposed(x), *self._rows_last()))
        if clip is None:
            return z, log_slope
        limit = _limit(clip, backend.standardize_dtype(z.dtype))
        clipped = at_least(at_most(z, limit), -limit)
        return clipped, log_slope + 0.5 * (clipped - z) * (clipped + z)

    def quantile(self, z: Tensor) -> Tensor:
        """Return the x of F(x) = Phi(z), by a safeguarded Newton search.

        F lies between the least and the greatest Phi((x - m_k) / s_k), so the root lies between the
        least and the greatest m_k + s_k z: an exact bracket, however far out.
        """
        ends = self.means + ops.exp(self.log_scales) * z[..., None]
        return monotone_root(self.gaussianize, z, ops.min(ends, axis=-1), ops.max(ends, axis=-1))

    def _transposed(self, x: Any) -> Tensor:
        return ops.transpose(ops.convert_to_tensor(x, self.means.dtype))

    def _rows_last(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return log-weights, means and log-scales (K, D, 1) or (K, D, N).

        Loops are along the last axis: of rows, long however few columns and components there are.
        """
        tables = (ops.log_softmax(self.logits, axis=-1), self.means, self.log_scales)
        if len(self.logits.shape) == 3:
            return tuple(ops.transpose(table, (2, 1, 0)) for table in tables)
        return tuple(ops.expand_dims(ops.transpose(table), -1) for table in tables)


def _limit(clip: float, dtype: str) -> float:
    """Return Phi^-1(1 - clip), 1 - clip rounded to a dtype as where F is clipped.

    In float32 1 - 1e-6 is 1 - 1.01e-6: components 8 times narrower than their columns, 8 blocks of
    them, make 0.003 of z into several nats.
    """
    return NormalDist().inv_cdf(float(np.asarray(1.0 - clip, dtype)))


def checked_components(num_components: int) -> int:
    """Return a number of components as it is.

    Raises
    ------
    ValueError
        If it isn't at least 1.
    """
    if num_components < 1:
        raise ValueError(f"num_components must be at least 1, got {num_components}")
    return num_components


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

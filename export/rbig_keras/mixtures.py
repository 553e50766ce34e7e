"""Mixtures of Gaussians of columns: what layers are made of, in log space throughout."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

from keras import ops

from rbig_keras.root import monotone_root
from rbig_keras.special import (
    LOG_SQRT_2PI,
    Tensor,
    at_least,
    at_most,
    log_mills,
    log_ndtr,
    log_normal_pdf,
    magnitude,
    ndtri_exp,
)


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
        log_terms = log_normal_pdf(self._deviations(x)) - self.log_scales
        return ops.logsumexp(ops.log_softmax(self.log_weights, axis=-1) + log_terms, axis=-1)

    def log_cdf(self, x: Tensor) -> Tensor:
        """Return log F(x), in nats; F is the distribution function."""
        log_terms = log_ndtr(self._deviations(x))
        return ops.logsumexp(ops.log_softmax(self.log_weights, axis=-1) + log_terms, axis=-1)

    def gaussianize(self, x: Tensor, clip: float | None = None) -> tuple[Tensor, Tensor]:
        """Return z = Phi^-1(F(x)) and log dz/dx = log f(x) - log phi(z).

        With F clipped to [clip, 1 - clip], the former stops and the latter is no derivative.
        """
        log_weights = ops.log_softmax(self.log_weights, axis=-1)
        z, log_slope = gaussianize(self._deviations(x), log_weights, self.log_scales)
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

    def _deviations(self, x: Tensor) -> Tensor:
        return (x[..., None] - self.means) * ops.exp(-self.log_scales)


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
    # Not log1p, which ONNX lacks: what is lost is 1e-16 (6e-8 in float32) of the sum below.
    log_upper = ops.log(1.0 - ops.exp(log_tail)) + out
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

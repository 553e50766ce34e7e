"""Flows with their usual layers, started from data or for standardised columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from rbig_keras.conditioners import (
    LogScaleClamp,
    default_half_mask,
    last_dense,
    make_mlp_conditioner,
    make_shared_mlp_conditioner,
    set_constant,
    tanh_log_scale_clamp,
)
from rbig_keras.flow import GaussianizationFlow
from rbig_keras.layers import (
    Bijector,
    FixedOrtho,
    Householder,
    MixtureCDFCoupling,
    MixtureCDFGaussianization,
)
from rbig_keras.layers.halves import checked_halves
from rbig_keras.push import pushed
from rbig_keras.special import Tensor
from rbig_keras.starts import start_rows, varying

# Scale of the components of a new mixture relative to that of the column; means at quantiles shrink
# by sqrt(1 - WIDTH^2), so that the column's variance stays. A normal column is mapped to almost
# itself; beyond 4.1 deviations a block stretches by 1 / WIDTH at most. With scales K times narrower
# than the column, as is usual, a row of 10 deviations is at 1e5 after 8 blocks.
WIDTH = 0.7
# Of N(0, 1), where no rows are given.
NORMAL_ROWS = 4096


def make_gaussianization_flow(
    input_dim: int,
    num_blocks: int = 8,
    num_reflectors: int | None = None,
    num_components: int = 8,
    pca_init_data: Any = None,
    mixture_init_data: Any = None,
    *,
    clip: float | None = None,
    dtype: str = "float32",
) -> GaussianizationFlow:
    """Make a diagonal flow: blocks of a rotation and a mixture for each column.

    Chen and Gopinath (2000), "Gaussianization"; trained by gradients, Meng et al. (2020),
    "Gaussianization flows".

    Parameters
    ----------
    input_dim : int
        D, the number of columns.
    num_blocks : int
        Blocks.
    num_reflectors : int, default=None
        Reflections in a rotation; None: D, which make any rotation. They start at random: see
        `keras.utils.set_random_seed`.
    num_components : int
        K, the number of components per column.
    pca_init_data : array (N, D), default=None
        Rows to whose principal axes a fixed rotation in front of the blocks turns.
    mixture_init_data : array (N, D), default=None
        Rows from whose quantiles mixtures start, each from the rows as they reach it. None: from
        those of N(0, 1).
    clip : float, default=None
        As in `MixtureCDFGaussianization`. With it mixtures start as where clipping is usual: all at
        the quantiles of the rows as given, with one scale, max(deviation / K, 0.1).
    dtype : {"float32", "float64"}
        Of the weights and of all arithmetic.

    Returns
    -------
    GaussianizationFlow
        Built.

    Raises
    ------
    ValueError
        For rows that aren't (N, D), finite and varying, N >= 2; num_reflectors out of range.
    """
    layers: list[Bijector] = []
    if pca_init_data is not None:
        rows = start_rows(pca_init_data, input_dim, dtype)
        layers.append(FixedOrtho.from_pca(rows, dtype=dtype))
    for _ in range(num_blocks):
        layers.append(Householder(num_reflectors, "random_normal", dtype=dtype))
        layers.append(MixtureCDFGaussianization(num_components, clip, dtype=dtype))
    flow = GaussianizationFlow(layers, input_dim, dtype=dtype)
    if mixture_init_data is None:
        mixture_init_data = np.random.default_rng(0).normal(size=(NORMAL_ROWS, input_dim))
    rows = varying(start_rows(mixture_init_data, input_dim, dtype))
    if clip is None:
        start_mixtures(flow, rows)
    else:
        _start_as_given(flow, rows)
    return flow


def make_coupling_flow(
    input_dim: int,
    num_blocks: int = 4,
    num_components: int = 8,
    hidden: Sequence[int] = (64, 64),
    activation: str | Callable[[Tensor], Tensor] = "relu",
    mask: Sequence[int] | None = None,
    *,
    shared_mixture: bool = False,
    include_rotation: bool = True,
    num_reflectors: int | None = None,
    log_scale_clamp: LogScaleClamp = tanh_log_scale_clamp,
    dtype: str = "float32",
) -> GaussianizationFlow:
    """Make a coupling flow: blocks of a rotation and two couplings, each half given the other.

    Parameters
    ----------
    input_dim : int
        D >= 2, the number of columns.
    num_blocks : int
        Blocks.
    num_components : int
        K, the number of components per column.
    hidden, activation : sequence of int, str or callable
        Of the conditioners: see `make_mlp_conditioner`.
    mask : sequence of int, default=None
        1 for each column that the first coupling of a block is given, 0 for each that it maps; the
        second has it the other way round. None: `default_half_mask`.
    shared_mixture : bool
        Whether all columns that a coupling maps have one mixture.
    include_rotation : bool
        Whether blocks begin with a rotation.
    num_reflectors : int, default=None
        Of rotations, as in `make_gaussianization_flow`.
    log_scale_clamp : LogScaleClamp
        Bounds of the components' scales.
    dtype : {"float32", "float64"}
        Of the weights and of all arithmetic.

    Returns
    -------
    GaussianizationFlow
        Built. At the start its couplings are blind to the columns given.

    Raises
    ------
    ValueError
        For masks of another width, or without a 0 and a 1, and num_reflectors out of range.
    """
    first = default_half_mask(input_dim) if mask is None else np.array(mask)
    checked_halves("make_coupling_flow", first.tolist(), input_dim)

    def coupling(given: np.ndarray) -> Bijector:
        n_known = int(given.sum())
        n_mixtures = 1 if shared_mixture else input_dim - n_known
        if shared_mixture:
            conditioner = make_shared_mlp_conditioner(
                n_known, num_components, hidden, activation, dtype=dtype
            )
        else:
            output_dim = 3 * n_mixtures * num_components
            conditioner = make_mlp_conditioner(n_known, output_dim, hidden, activation, dtype=dtype)
        means = np.sqrt(1.0 - WIDTH**2) * _normal_quantiles(num_components)
        raw = np.full_like(means, log_scale_clamp.inverse(np.log(WIDTH)))
        packed = np.stack([np.zeros_like(means), means, raw])
        set_constant(last_dense(conditioner), np.repeat(packed[:, None], n_mixtures, axis=1))
        return MixtureCDFCoupling(
            given.tolist(),
            conditioner,
            num_components,
            shared_mixture=shared_mixture,
            log_scale_clamp=log_scale_clamp,
            dtype=dtype,
        )

    layers: list[Bijector] = []
    for _ in range(num_blocks):
        if include_rotation:
            layers.append(Householder(num_reflectors, "random_normal", dtype=dtype))
        layers += [coupling(first), coupling(1 - first)]
    return GaussianizationFlow(layers, input_dim, dtype=dtype)


def _levels(n_components: int) -> np.ndarray:
    return (np.arange(n_components) + 0.5) / n_components


def _normal_quantiles(n_components: int) -> np.ndarray:
    return np.array([NormalDist().inv_cdf(level) for level in _levels(n_components)])


def start_mixtures(flow: GaussianizationFlow, rows: np.ndarray) -> None:
    """Start all mixtures of columns at the quantiles of rows (N, D), pushed from layer to layer."""
    for layer in flow.bijector_layers:
        if isinstance(layer, MixtureCDFGaussianization):
            mean, deviation = rows.mean(axis=0), rows.std(axis=0)
            quantiles = np.quantile(rows, _levels(layer.num_components), axis=0)
            means = mean + np.sqrt(1.0 - WIDTH**2) * (quantiles - mean)
            _set_mixture(layer, means, WIDTH * deviation)
        rows = pushed(layer, rows)


def _start_as_given(flow: GaussianizationFlow, rows: np.ndarray) -> None:
    for layer in flow.bijector_layers:
        if isinstance(layer, MixtureCDFGaussianization):
            quantiles = np.quantile(rows, _levels(layer.num_components), axis=0)
            scale = max(rows.std() / layer.num_components, 0.1)
            _set_mixture(layer, quantiles, np.full(rows.shape[1], scale))


def _set_mixture(layer: MixtureCDFGaussianization, means: np.ndarray, scales: np.ndarray) -> None:
    """Assign means (K, D) and scales (D,) that all components of a column have."""
    layer.means.assign(means.T)
    layer.log_scales.assign(np.log(scales)[:, None] + np.zeros(layer.num_components))

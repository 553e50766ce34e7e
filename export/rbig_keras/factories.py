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
from rbig_keras.layers.mixture import LEAST_SCALE
from rbig_keras.special import Tensor
from rbig_keras.starts import start_rows

# Scale of the components of a new mixture relative to that of columns. A block stretches by
# 1 / WIDTH at most: with scales K times narrower than columns, as is usual, rows of two moons are
# at 5e6 after 8 blocks, and log-densities at -3e11. In couplings means are shrunk by
# sqrt(1 - WIDTH^2) besides, which maps normal columns to almost themselves; all at 0, as the
# network alone would have them, components would stay equal in training.
WIDTH = 0.7
# Of N(0, 1), where no rows are given.
NORMAL_ROWS = 4096


def make_gaussianization_flow(
    input_dim: int,
    num_blocks: int = 6,
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
        Rows, as given and not as they reach a mixture, at whose quantiles the means of all mixtures
        start: see `MixtureCDFGaussianization.adapt_means_from_quantiles`. Scales are 0.7 times the
        columns' mean deviation, or with `clip` as that method has them. None: rows of N(0, 1).
    clip : float, default=None
        As in `MixtureCDFGaussianization`.
    dtype : {"float32", "float64"}
        Of the weights and of all arithmetic.

    Returns
    -------
    GaussianizationFlow
        Built.

    Raises
    ------
    ValueError
        For no columns; rows that aren't (N, D), finite and varying, N >= 2; num_reflectors out of
        range.
    """
    if input_dim < 1:
        raise ValueError(f"input_dim must be at least 1, got {input_dim}")
    layers: list[Bijector] = []
    if pca_init_data is not None:
        rows = start_rows("pca_init_data", pca_init_data, input_dim, dtype)
        layers.append(FixedOrtho.from_pca(rows, dtype=dtype))
    if mixture_init_data is None:
        mixture_init_data = np.random.default_rng(0).normal(size=(NORMAL_ROWS, input_dim))
    rows = start_rows("mixture_init_data", mixture_init_data, input_dim, dtype)
    for _ in range(num_blocks):
        mixture = MixtureCDFGaussianization(num_components, clip=clip, dtype=dtype)
        mixture.adapt_means_from_quantiles(rows)
        if clip is None:
            _widen(mixture, rows)
        # The flow builds rotations behind all mixtures: with the draws of other packages.
        layers += [Householder(num_reflectors, dtype=dtype), mixture]
    return GaussianizationFlow(layers, input_dim, dtype=dtype)


def _widen(mixture: MixtureCDFGaussianization, rows: np.ndarray) -> None:
    scale = max(WIDTH * float(rows.std(axis=0).mean()), LEAST_SCALE)
    mixture.log_scales.assign(np.full(mixture.log_scales.shape, np.log(scale)))


def make_coupling_flow(
    input_dim: int,
    num_blocks: int = 4,
    num_components: int = 8,
    hidden: Sequence[int] = (64, 64),
    activation: str | Callable[[Tensor], Tensor] = "relu",
    mask: Sequence[bool] | None = None,
    shared_mixture: bool = False,  # noqa: FBT001, FBT002 - the order that callers know
    include_rotation: bool = True,  # noqa: FBT001, FBT002
    num_reflectors: int | None = None,
    *,
    log_scale_clamp: LogScaleClamp | None = None,
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
    mask : sequence of bool, default=None
        True for each column that the first coupling of a block is given, false for each that it
        maps; the second has it the other way round. None: `default_half_mask`.
    shared_mixture : bool
        Whether all columns that a coupling maps have one mixture.
    include_rotation : bool
        Whether blocks begin with a rotation.
    num_reflectors : int, default=None
        Of rotations, as in `make_gaussianization_flow`.
    log_scale_clamp : LogScaleClamp, default=None
        Bounds of the components' scales; None: `LogScaleClamp()`.
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
    first = default_half_mask(input_dim) if mask is None else np.asarray(mask)
    halves = checked_halves("make_coupling_flow", first)
    halves.check_columns("make_coupling_flow", input_dim)
    clamp = LogScaleClamp() if log_scale_clamp is None else log_scale_clamp
    make_conditioner = make_shared_mlp_conditioner if shared_mixture else make_mlp_conditioner

    def coupling(given: np.ndarray) -> MixtureCDFCoupling:
        d_b = int((~given).sum())
        network = make_conditioner(d_b, num_components, hidden, activation, dtype=dtype)
        return MixtureCDFCoupling(
            given, network, num_components, log_scale_clamp=clamp, dtype=dtype
        )

    layers: list[Bijector] = []
    for _ in range(num_blocks):
        if include_rotation:
            layers.append(Householder(num_reflectors, dtype=dtype))
        layers += [coupling(first.astype(bool)), coupling(~first.astype(bool))]
    flow = GaussianizationFlow(layers, input_dim, dtype=dtype)
    for layer in layers:
        if isinstance(layer, MixtureCDFCoupling):
            _spread(layer, clamp)
    return flow


def _spread(layer: MixtureCDFCoupling, clamp: LogScaleClamp) -> None:
    """Start all mixtures of a coupling close to N(0, 1), of components that differ."""
    levels = (np.arange(layer.num_components) + 0.5) / layer.num_components
    quantiles = np.array([NormalDist().inv_cdf(level) for level in levels])
    means = np.sqrt(1.0 - WIDTH**2) * quantiles
    packed = np.stack([0.0 * means, means, np.full_like(means, clamp.inverse(np.log(WIDTH)))])
    dense: Any = last_dense(layer.conditioner)
    n_mixtures = dense.units // packed.size
    set_constant(dense, np.repeat(packed[:, None], n_mixtures, axis=1))

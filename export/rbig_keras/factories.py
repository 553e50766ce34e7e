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
from rbig_keras.rows import checked_rows
from rbig_keras.special import Tensor

# Scale of the components of a coupling's new mixture; their means are quantiles of N(0, 1) shrunk
# by sqrt(1 - WIDTH^2), so that the variance is 1: normal columns are mapped to almost themselves.
# All at 0, as the network alone would have them, components would stay equal in training.
WIDTH = 0.7


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
        Rows from whose quantiles all mixtures start, rows as given and not as they reach a mixture:
        see `MixtureCDFGaussianization.adapt_means_from_quantiles`. None: at random.
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
        For rows that aren't (N, D), and num_reflectors out of range.
    """
    layers: list[Bijector] = []
    if pca_init_data is not None:
        rows = checked_rows("pca_init_data", pca_init_data, input_dim)
        layers.append(FixedOrtho.from_pca(rows, dtype=dtype))
    if mixture_init_data is not None:
        mixture_init_data = checked_rows("mixture_init_data", mixture_init_data, input_dim)
    for _ in range(num_blocks):
        mixture = MixtureCDFGaussianization(num_components, clip=clip, dtype=dtype)
        if mixture_init_data is not None:
            mixture.adapt_means_from_quantiles(mixture_init_data)
        # Built behind all mixtures, by the flow: with the draws of other packages.
        layers += [Householder(num_reflectors, dtype=dtype), mixture]
    return GaussianizationFlow(layers, input_dim, dtype=dtype)


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
    dense = last_dense(layer.conditioner)
    n_mixtures = dense.units // packed.size
    set_constant(dense, np.repeat(packed[:, None], n_mixtures, axis=1))

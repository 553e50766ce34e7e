"""A flow's layers fitted one after the other, without gradients: where training starts from.

Rotation-based iterative Gaussianization within a given architecture: Laparra, Camps-Valls and Malo
(2011), "Iterative Gaussianization: from ICA to random rotations", arXiv:1602.00229. Needs the
engine, `rbig_numba`; everything else of this package runs without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rbig_keras.conditional import fit_coupling
from rbig_keras.fits import mixtures_of, rotation_of
from rbig_keras.flow import GaussianizationFlow
from rbig_keras.layers import (
    Affine,
    Bijector,
    FixedOrtho,
    Householder,
    MixtureCDFCoupling,
    MixtureCDFGaussianization,
)
from rbig_keras.layers.affine import affine_arrays
from rbig_keras.layers.rotation import householder_arrays
from rbig_keras.push import pushed
from rbig_keras.rows import checked_rows


def initialize_flow_from_ig(
    flow: GaussianizationFlow,
    x: Any,
    random_state: int | None = 0,
    *,
    conditioner: str = "zero",
) -> np.ndarray:
    """Fit each layer to the rows in front of it, and push these through it.

    Rotations turn to where columns are least Gaussian, as in the engine; mixtures are fitted by its
    EM, one component being the wide background that keeps tails in bounds. Rows go through the
    layers' own arithmetic. Mixtures draw nothing: a column's fit depends on its rows only.

    Parameters
    ----------
    flow : GaussianizationFlow
        Of `Householder`, `FixedOrtho` (left as they are), `Affine`, `MixtureCDFGaussianization` and
        `MixtureCDFCoupling` layers. Changed in place, once all layers are fitted.
    x : array (N, D)
        N >= 2 finite rows.
    random_state : int, default=None
        Seeds the searches for rotations, each by the number of its block; None is 0.
    conditioner : {"zero", "fit"}
        Couplings start blind to the columns given, their last kernel being exactly 0, or from a
        ridge regression on what the conditioner's last layer sees. Either way a `log_scale_clamp`
        too narrow for the fit is replaced by a wider one.

    Returns
    -------
    z : ndarray (N, D)
        The rows behind the last layer, in the flow's dtype.

    Raises
    ------
    TypeError
        If it isn't a flow.
    ValueError
        For rows that aren't (n, d) with d = input_dim, finite and varying; for a kind of layer that
        can't be fitted, a conditioner without a last Dense layer, and a clamp that isn't a
        `LogScaleClamp`. Names the layer. The flow then is as it was.
    """
    if not isinstance(flow, GaussianizationFlow):
        raise TypeError(f"flow must be a GaussianizationFlow, got {type(flow).__name__}")
    if conditioner not in ("zero", "fit"):
        raise ValueError(f"conditioner must be 'zero' or 'fit', got {conditioner!r}")
    state = _checked(x, flow)
    before, clamps = flow.get_weights(), _clamps(flow)
    try:
        for layer, block in zip(flow.bijector_layers, _blocks(flow), strict=True):
            draws = np.random.RandomState([0 if random_state is None else random_state, block])
            state = _fitted(layer, state, draws, conditioner)
            if not np.isfinite(state).all():
                raise ValueError(f"{layer.name}: rows behind it are not finite")
    except BaseException:
        flow.set_weights(before)
        for layer, clamp in clamps.items():
            layer.log_scale_clamp = clamp
        raise
    if clamps != _clamps(flow):
        flow.forget_compiled()
    return state


def _clamps(flow: GaussianizationFlow) -> dict[MixtureCDFCoupling, Any]:
    couplings = [each for each in flow.bijector_layers if isinstance(each, MixtureCDFCoupling)]
    return {layer: layer.log_scale_clamp for layer in couplings}


def _blocks(flow: GaussianizationFlow) -> list[int]:
    """Return the number of the block, from 0, which a rotation begins, that each layer is in.

    By these, not by layers' own numbers, rotations of a diagonal and of a coupling flow draw alike.
    """
    rotations = [isinstance(layer, Householder) for layer in flow.bijector_layers]
    return np.maximum(np.cumsum(rotations) - 1, 0).tolist()


def _checked(x: Any, flow: GaussianizationFlow) -> np.ndarray:
    rows = checked_rows(flow.name, x, flow.input_dim).astype(flow.compute_dtype)
    constant = np.flatnonzero(rows.min(axis=0) == rows.max(axis=0)).tolist()
    if constant:
        raise ValueError(f"{flow.name}: column(s) {constant} are constant")
    return rows


def _fitted(
    layer: Bijector, rows: np.ndarray, draws: np.random.RandomState, conditioner: str
) -> np.ndarray:
    """Fit one layer to rows (N, D), and return them behind it."""
    if isinstance(layer, MixtureCDFCoupling):
        return fit_coupling(layer, rows, draws, conditioner)
    if isinstance(layer, Householder):
        _assign(layer, householder_arrays(rotation_of(rows, draws), layer.v.shape[0]))
    elif isinstance(layer, MixtureCDFGaussianization):
        names = ("logits", "means", "log_scales")
        _assign(layer, dict(zip(names, mixtures_of(rows, layer.num_components), strict=True)))
    elif isinstance(layer, Affine):
        mean, scale = rows.mean(axis=0, dtype=float), rows.std(axis=0, dtype=float)
        _assign(layer, affine_arrays(mean, scale, layer.compute_dtype))
    elif not isinstance(layer, FixedOrtho):
        raise ValueError(f"{layer.name}: layers of kind {type(layer).__name__} can't be fitted")
    return pushed(layer, rows)


def _assign(layer: Bijector, arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        getattr(layer, name).assign(array)

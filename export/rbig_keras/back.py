"""From a Keras flow back to a model of the engine: scores and samples without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from rbig_keras.flow import GaussianizationFlow
from rbig_keras.layers import (
    Affine,
    Bijector,
    Coupling,
    FixedOrtho,
    Householder,
    JointMixture,
    MixtureCDFGaussianization,
    Radial,
)

if TYPE_CHECKING:
    from rbig_numba import RBIG

Arrays = dict[str, np.ndarray]


def import_from_keras(flow: GaussianizationFlow) -> RBIG:
    """Turn a flow, trained or not, into a fitted model of the engine.

    Parameters
    ----------
    flow : GaussianizationFlow
        Of layers that `export_to_keras` makes, and of those of `make_gaussianization_flow`.

    Returns
    -------
    model : RBIG
        With default parameters and an empty `history_`: `score_samples`, `sample`, `save` and
        `fit_more` work as after a fit. Arithmetic is in float64.

    Raises
    ------
    TypeError
        If it isn't a flow.
    ValueError
        For a layer that has no counterpart (`MixtureCDFCoupling`, clipped mixtures), and for
        weights that aren't finite. Names the layer.
    """
    from rbig_numba.estimators.metadata import restored
    from rbig_numba.estimators.rbig import RBIG
    from rbig_numba.flow import Flow
    from rbig_numba.storage import KINDS

    if not isinstance(flow, GaussianizationFlow):
        raise TypeError(f"flow must be a GaussianizationFlow, got {type(flow).__name__}")
    bijections = []
    for layer in flow.bijector_layers:
        if type(layer) not in _READERS or getattr(layer, "clip", None) is not None:
            raise ValueError(
                f"{layer.name} ({type(layer).__name__}) has no counterpart in the engine"
            )
        kind, read = _READERS[type(layer)]
        if not all(np.isfinite(_array(weight)).all() for weight in layer.weights):
            raise ValueError(f"{layer.name} has weights that are not finite")
        arrays = {name: np.ascontiguousarray(array) for name, array in read(layer).items()}
        bijections.append(KINDS[kind](**arrays))
    metadata = {
        "parameters": {},
        "history": [],
        "n_features_in": flow.input_dim,
        "n_samples_fit": 0,
        "feature_names_in": None,
    }
    return restored(RBIG, Flow(tuple(bijections)), metadata)


def _array(weight: Any) -> np.ndarray:
    return ops.convert_to_numpy(weight).astype(np.float64)


def _affine(layer: Affine) -> Arrays:
    shift = _array(layer.shift) + _array(layer.shift_residual)
    reach = np.array(np.inf if layer.reach is None else float(layer.reach))
    return {"shift": shift, "scale": _array(layer.scale), "reach": reach}


def _mixture(layer: Any) -> Arrays:
    logits = _array(layer.logits)
    return {
        "log_weights": logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True),
        "means": _array(layer.means),
        "log_scales": _array(layer.log_scales),
    }


def _joint(layer: JointMixture) -> Arrays:
    names = ("means", "log_scales", "slopes", "log_sizes")
    logits = _array(layer.logits)
    weights = {name: _array(getattr(layer, name)) for name in names}
    weights["slopes"] = np.tril(weights["slopes"], -1)
    weights["first"] = np.array([float(layer.band.start)])
    return {"log_weights": logits - np.logaddexp.reduce(logits, axis=None)} | weights


def _radial(layer: Radial) -> Arrays:
    return _mixture(layer) | {"groups": np.array(layer.groups)}


def _coupling(layer: Coupling) -> Arrays:
    names = ("projections", "biases", "location", "log_scale")
    weights = {name: _array(getattr(layer, name)) for name in names}
    return weights | {"given": np.array(layer.given)}


def _fixed_ortho(layer: FixedOrtho) -> Arrays:
    """Return the nearest orthogonal matrix: one rounded to float32 is orthogonal to 1e-7 only."""
    left, _, right = np.linalg.svd(_array(layer.q))
    return {"matrix": left @ right}


def _householder(layer: Householder) -> Arrays:
    """Return the rotation that the reflectors make in float64: orthogonal to 1e-15, not to 1e-7."""
    exact = Householder(layer.v.shape[0], dtype="float64")
    exact.build((None, layer.v.shape[1]))
    exact.set_weights([_array(weight) for weight in layer.weights])
    return {"matrix": _array(exact.orthogonal())}


_READERS: dict[type[Bijector], tuple[str, Callable[[Any], Arrays]]] = {
    Affine: ("affine", _affine),
    Coupling: ("coupling", _coupling),
    FixedOrtho: ("rotation", _fixed_ortho),
    Householder: ("rotation", _householder),
    JointMixture: ("joint", _joint),
    MixtureCDFGaussianization: ("mixture", _mixture),
    Radial: ("radial", _radial),
}

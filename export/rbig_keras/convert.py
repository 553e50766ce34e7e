"""From a fitted model of the engine to a Keras model that computes the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from rbig_keras.ensemble import MixtureOfFlows
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
from rbig_keras.layers.affine import affine_arrays
from rbig_keras.layers.rotation import householder_arrays

DTYPES = ("float32", "float64")

Arrays = dict[str, np.ndarray]
Builder = Callable[..., tuple[Bijector, Arrays]]


def export_to_keras(
    model: Any,
    dtype: str = "float32",
    *,
    trainable_rotation: bool = True,
    into: GaussianizationFlow | None = None,
) -> GaussianizationFlow | MixtureOfFlows:
    """Turn a fitted model into a Keras flow, one layer per bijection.

    Parameters
    ----------
    model : RBIG or RBIGEnsemble
        A fitted model.
    dtype : {"float32", "float64"}
        Of the weights and of all arithmetic.
    trainable_rotation : bool
        Rotations become `Householder` layers, which stay orthogonal in training, or, if false,
        `FixedOrtho` layers.
    into : GaussianizationFlow, default=None
        A flow of the same architecture and dtype, compiled perhaps, that takes the numbers over.

    Returns
    -------
    flow : GaussianizationFlow or MixtureOfFlows
        Layers hold the bijections' arrays as weights, log-weights as `logits`. An ensemble becomes
        a mixture of its members' flows, of equal weights.

    Raises
    ------
    NotFittedError
        If the model isn't fitted.
    ValueError
        For a model that encodes its columns, which no layer does yet. For an unknown dtype, for an
        array that the dtype can't hold, and for a kind of bijection that has no layer. For a flow
        that the model doesn't fit onto; names the first layer that differs, and leaves the flow as
        it is.
    """
    check_is_fitted(model)
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {DTYPES}, got {dtype!r}")
    columns = getattr(model, "columns_", None)
    if columns is not None and not columns.passes_through:
        raise ValueError(
            "the model encodes its columns (columns_), for which there is no layer yet: fit with "
            "columns=None to export it"
        )
    builders = {**_BUILDERS, "rotation": _householder if trainable_rotation else _fixed_ortho}
    if hasattr(model, "estimators_"):
        flows = [_flow(builders, member.flow_, dtype) for member in model.estimators_]
        return MixtureOfFlows(flows, dtype=dtype)
    flow = _flow(builders, model.flow_, dtype)
    return flow if into is None else _moved(flow, into)


def _moved(flow: GaussianizationFlow, into: GaussianizationFlow) -> GaussianizationFlow:
    """Return a flow with the weights of another one of the same layers."""
    pairs = zip_longest(flow.bijector_layers, into.bijector_layers)
    for number, (mine, theirs) in enumerate(pairs):
        if _described(mine) != _described(theirs):
            raise ValueError(
                f"the model doesn't fit onto {into.name}: layer {number} is {_described(mine)} in "
                f"the model, {_described(theirs)} in the flow"
            )
    into.set_weights(flow.get_weights())
    return into


def _described(layer: Bijector | None) -> str:
    if layer is None:
        return "missing"
    shapes = ", ".join(f"{weight.name} {tuple(weight.shape)}" for weight in layer.weights)
    reach = f", reach {layer.reach}" if isinstance(layer, Affine) else ""
    return f"{type(layer).__name__} ({shapes}{reach})"


def _flow(builders: dict[str, Builder], flow: Any, dtype: str) -> GaussianizationFlow:
    layers = [
        _layer(builders, bijection, flow.n_features, name=f"{bijection.kind}_{i}", dtype=dtype)
        for i, bijection in enumerate(flow.bijections)
    ]
    return GaussianizationFlow(layers, flow.n_features, dtype=dtype)


def _layer(builders: dict[str, Builder], bijection: Any, n_columns: int, **kwargs: Any) -> Bijector:
    """Return the built layer of one bijection, with its arrays."""
    if bijection.kind not in builders:
        raise ValueError(f"no layer for bijections of kind {bijection.kind!r}, only {[*builders]}")
    layer, arrays = builders[bijection.kind](bijection.arrays(), **kwargs)
    layer.build((None, n_columns))
    for name, array in arrays.items():
        getattr(layer, name).assign(_cast(array, layer.dtype, f"{layer.name}.{name}"))
    return layer


def _cast(array: np.ndarray, dtype: str, name: str) -> np.ndarray:
    limits = np.finfo(dtype)
    size = np.abs(array)
    if size.max() > limits.max or (name.endswith(".scale") and size.min() < limits.tiny):
        raise ValueError(f"{name} doesn't fit into {dtype}; export with dtype='float64'")
    return array.astype(dtype)


def _affine(arrays: Arrays, **kwargs: Any) -> tuple[Bijector, Arrays]:
    reach = float(arrays.pop("reach"))
    layer = Affine(reach if np.isfinite(reach) else None, **kwargs)
    return layer, affine_arrays(**arrays, dtype=kwargs["dtype"])


def _mixture(arrays: Arrays, **kwargs: Any) -> tuple[Bijector, Arrays]:
    return MixtureCDFGaussianization(arrays["means"].shape[1], **kwargs), _with_logits(arrays)


def _with_logits(arrays: Arrays) -> Arrays:
    """Return arrays under the layers' names: logits may be log-weights, whose softmax they are."""
    return {"logits" if name == "log_weights" else name: each for name, each in arrays.items()}


def _fixed_ortho(arrays: Arrays, **kwargs: Any) -> tuple[Bijector, Arrays]:
    return FixedOrtho(arrays["matrix"], **kwargs), {}


def _householder(arrays: Arrays, **kwargs: Any) -> tuple[Bijector, Arrays]:
    return Householder(**kwargs), householder_arrays(arrays["matrix"])


def _coupling(arrays: Arrays, **kwargs: Any) -> tuple[Bijector, Arrays]:
    given = arrays["given"].astype(int).tolist()
    weights = {name: array for name, array in arrays.items() if name != "given"}
    return Coupling(given, len(arrays["biases"]), **kwargs), weights


def _joint(arrays: Arrays, **kwargs: Any) -> tuple[Bijector, Arrays]:
    n_shapes, n_scales = arrays["log_weights"].shape
    first = int(arrays["first"][0])
    columns = (first, first + arrays["means"].shape[1])
    weights = {name: array for name, array in arrays.items() if name != "first"}
    return JointMixture(n_shapes, n_scales, columns, **kwargs), _with_logits(weights)


def _radial(arrays: Arrays, **kwargs: Any) -> tuple[Bijector, Arrays]:
    groups = arrays["groups"].astype(int).tolist()
    weights = {name: array for name, array in arrays.items() if name != "groups"}
    return Radial(groups, arrays["means"].shape[1], **kwargs), _with_logits(weights)


_BUILDERS: dict[str, Builder] = {
    "affine": _affine,
    "coupling": _coupling,
    "joint": _joint,
    "mixture": _mixture,
    "radial": _radial,
}

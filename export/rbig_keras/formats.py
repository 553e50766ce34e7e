"""What older files need besides their layers' own `from_config` and `load_own_variables`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def adapt_slots(optimizer: Any, layers: Iterable[Any]) -> None:
    """Have an optimizer that will be loaded fit what a file keeps of older layers' weights.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        Built; its variables of a weight are named after the weight.
    layers : iterable of keras.layers.Layer
        Those whose `v` the file has in columns say so by `of_columns`; joint mixtures that have no
        sizes in it, and logits (K,), by `of_one_scale`.
    """
    layers = list(layers)
    turned = _starts(layer.v for layer in layers if getattr(layer, "of_columns", False))
    old = [layer for layer in layers if getattr(layer, "of_one_scale", False)]
    widened, added = (
        _starts(getattr(layer, name) for layer in old) for name in ("logits", "log_sizes")
    )
    load = optimizer.load_own_variables

    def load_adapted(store: Any) -> None:
        del optimizer.load_own_variables  # this function, of this one file
        stored = (np.asarray(store[str(number)]) for number in range(len(store.keys())))
        arrays = {}
        for number, variable in enumerate(optimizer.variables):
            new = variable.name.startswith(added)
            array = np.zeros(variable.shape) if new else next(stored)
            if variable.name.startswith(turned):
                array = array.T
            if variable.name.startswith(widened):
                array = array[:, None]
            arrays[str(number)] = array
        load(arrays)

    if turned or old:
        optimizer.load_own_variables = load_adapted


def _starts(weights: Iterable[Any]) -> tuple[str, ...]:
    """Return what the names of an optimizer's variables of some weights start with."""
    return tuple(weight.path.replace("/", "_") + "_" for weight in weights)

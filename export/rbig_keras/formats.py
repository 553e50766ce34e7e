"""What files of format 1 need besides their layers' own `from_config` and `load_own_variables`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def turn_slots(optimizer: Any, layers: Iterable[Any]) -> None:
    """Have an optimizer that will be loaded turn what it keeps of reflectors in columns.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        Built; its variables of a weight are named after the weight.
    layers : iterable of keras.layers.Layer
        Those whose `v` the file has in columns say so by `of_columns`.
    """
    turned = [layer.v for layer in layers if getattr(layer, "of_columns", False)]
    starts = tuple(v.path.replace("/", "_") + "_" for v in turned)
    load = optimizer.load_own_variables

    def load_turned(store: Any) -> None:
        del optimizer.load_own_variables  # this function, of this one file
        arrays = {name: np.asarray(store[name]) for name in store.keys()}  # noqa: SIM118 - no dict
        for number, variable in enumerate(optimizer.variables):
            if variable.name.startswith(starts):
                arrays[str(number)] = arrays[str(number)].T
        load(arrays)

    if turned:
        optimizer.load_own_variables = load_turned

"""Functions of rows run block by block, and as a graph where tracing it pays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import backend, ops, tree

from rbig_keras.special import Tensor

RowFunction = Callable[[Tensor], Any]
"""Maps rows (N, D) to tensors whose first axis is N."""

# Numbers (rows times columns) in a block: with 8 components a temporary is 16 MB in float32. Blocks
# of a quarter take 1.5 times as long: the operations' dispatch counts.
BLOCK = 2**19
# Tracing a flow of 8 mixtures takes 2 s, the inverse 7 s; a graph then is 3 to 4 times faster.
GRAPH_BLOCKS = 2


def by_blocks(function: RowFunction, graph: RowFunction, rows: Tensor) -> Any:
    """Apply a function, or from `GRAPH_BLOCKS` blocks on its graph, to rows (N, D) in blocks."""
    n_rows, n_columns = rows.shape
    size = max(1, BLOCK // n_columns)
    if n_rows is None or n_rows <= size:
        return function(rows)
    run = graph if n_rows > GRAPH_BLOCKS * size else function
    parts = [run(rows[start : start + size]) for start in range(0, n_rows, size)]
    return tree.map_structure(lambda *part: ops.concatenate(part), *parts)


def pushed(layer: Any, rows: np.ndarray) -> np.ndarray:
    """Return rows (N, D) behind a `Bijector`, in its dtype."""
    function = layer.forward_and_log_det
    state = ops.convert_to_tensor(rows, dtype=layer.compute_dtype)
    return ops.convert_to_numpy(by_blocks(function, function, state)[0])


def as_graph(function: RowFunction, n_columns: int, dtype: str) -> RowFunction:
    """Return the function as a TensorFlow graph; on other backends as it is.

    A graph reads the weights anew at each call. `jax.jit` would freeze them into the compiled code.
    """
    if backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, input_signature=[tf.TensorSpec((None, n_columns), dtype)])

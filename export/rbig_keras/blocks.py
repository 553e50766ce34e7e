"""Functions of rows, run block by block and compiled where that pays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import backend, ops, tree

from rbig_keras.special import Tensor

RowFunction = Callable[[Tensor], Any]
"""Maps rows (N, D) to tensors whose first axis is N."""

# Numbers (rows times columns) in a block: with 8 components a temporary is 16 MB in float32. Blocks
# of a quarter take 1.5 times as long: the operations' dispatch counts.
BLOCK = 2**19
# XLA's loops have no temporaries to speak of, and run fastest within the caches.
XLA_BLOCK = 2**17
# On TensorFlow tracing a flow of 8 mixtures takes 2 s, the inverse 7 s; it then is 3 to 4 times
# faster. JAX compiles each operation in any case, and loops at each call: the inverse of 1,000 rows
# took 7 s each time, and takes 4 s once compiled as a whole, then 0.02 s.
GRAPH_BLOCKS = 2


class RowMap:
    """A function of rows that reads a layer's weights.

    Parameters
    ----------
    function : RowFunction
        A method of the layer.
    layer : keras.layers.Layer
        Built.
    xla : bool
        Compile by XLA on TensorFlow too: takes longer, and pays where the function is called often.
    """

    def __init__(
        self, function: RowFunction, layer: keras.layers.Layer, *, xla: bool = False
    ) -> None:
        self._function, self._layer = function, layer
        self._xla = xla
        self._compiled = _compiled(self._on_weights, xla=xla)

    def __call__(self, rows: Tensor, weights: Sequence[Any] | None = None) -> Any:
        """Map rows (N, D), with the layer's own weights or those of another of its kind."""
        if weights is None and not self._pays(rows):
            return by_blocks(self._function, rows, BLOCK)
        values = [ops.convert_to_tensor(w) for w in weights or self._layer.weights]
        block = XLA_BLOCK if self._xla else BLOCK
        return by_blocks(lambda rows: self._compiled(values, rows), rows, block)

    def _pays(self, rows: Tensor) -> bool:
        if backend.backend() == "tensorflow":
            n_rows, n_columns = rows.shape
            return n_rows is not None and n_rows * n_columns > GRAPH_BLOCKS * BLOCK
        return bool(backend.backend() == "jax")

    def _on_weights(self, values: list[Tensor], rows: Tensor) -> Any:
        """Weights are arguments: constants would be frozen into the compiled code."""
        with keras.StatelessScope(list(zip(self._layer.weights, values, strict=True))):
            return self._function(rows)


def of_rows(function: RowFunction, rows: Tensor) -> Any:
    """Apply a function to rows (N, D), or to none: Keras refuses maxima of nothing."""
    if rows.shape[0] != 0:
        return function(rows)
    one = function(ops.zeros((1, rows.shape[1]), dtype=rows.dtype))
    return tree.map_structure(lambda part: part[:0], one)


def by_blocks(function: RowFunction, rows: Tensor, block: int) -> Any:
    """Apply a function to rows (N, D) in blocks of equal shape: the last repeats some rows."""
    n_rows, n_columns = rows.shape
    size = max(1, block // n_columns)
    if n_rows is None or n_rows <= size:
        return of_rows(function, rows)
    last = n_rows - size
    parts = [function(rows[start : start + size]) for start in range(0, last, size)]
    fresh = len(parts) * size - last
    parts.append(tree.map_structure(lambda part: part[fresh:], function(rows[last:])))
    return tree.map_structure(lambda *part: ops.concatenate(part), *parts)


def _compiled(function: Callable[..., Any], *, xla: bool) -> Callable[..., Any]:
    if backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=xla, autograph=False, reduce_retracing=not xla)
    if backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function

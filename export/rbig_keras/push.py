"""Rows pushed through layers one after the other, while these are being fitted."""

from __future__ import annotations

from functools import lru_cache

import keras
import numpy as np
from keras import ops

from rbig_keras import blocks
from rbig_keras.layers import Bijector, MixtureCDFGaussianization


def pushed(layer: Bijector, rows: np.ndarray) -> np.ndarray:
    """Return rows (N, D) behind a layer, in its dtype.

    Mixtures take nearly all of the time; of many rows they run compiled, once for all layers of a
    shape. 100,000 x 8 rows take 0.7 s without and 0.07 s once a second has gone into that.
    """
    state = ops.convert_to_tensor(rows, dtype=layer.compute_dtype)
    many = rows.size > blocks.BLOCK or keras.config.backend() == "jax"
    if many and isinstance(layer, MixtureCDFGaussianization):
        alike = _map_alike(layer.num_components, layer.clip, layer.compute_dtype, rows.shape[1])
        return ops.convert_to_numpy(alike(state, layer.weights)[0])
    return ops.convert_to_numpy(blocks.by_blocks(layer.forward_and_log_det, state, blocks.BLOCK)[0])


@lru_cache(maxsize=8)
def _map_alike(
    num_components: int, clip: float | None, dtype: str, n_columns: int
) -> blocks.RowMap:
    layer = MixtureCDFGaussianization(num_components, clip=clip, dtype=dtype)
    layer.build((None, n_columns))
    return blocks.RowMap(layer.forward_and_log_det, layer, xla=True)

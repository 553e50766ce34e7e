"""The kernels that Python calls, with the types it calls them with: what is compiled ahead.

`tests/test_first_use.py` compares them with what fits of all kinds ask for.
"""

from __future__ import annotations

from typing import Any

from numba import boolean, float64, int32, int64, types, uint64

from rbig_numba.kernels import (
    coupling,
    em,
    hashing,
    histogram,
    holes_draws,
    holes_em,
    joint,
    joint_em,
    joint_inverse,
    linear,
    mixture,
    negentropy,
    radial,
    search,
)

_ROW, _ROWS, _CUBE = float64[::1], float64[:, ::1], float64[:, :, ::1]
_BINS = int32[::1]
_SHAPES = types.Tuple((_ROWS, _ROWS, _CUBE, _ROWS))
_SUMS = types.Tuple((_ROWS, _ROWS, _ROWS, _CUBE, _ROW))
_PAIRS = types.UniTuple(int64[::1], 2)
_MAPPED = types.Tuple((_ROWS, _ROWS, _ROWS, _CUBE, _ROWS))
_LIMITS, _CONSTANTS = types.UniTuple(float64, 2), types.UniTuple(float64, 3)

# What a first fit needs, then what it may not need; the longest to compile go first.
_FIT: list[tuple[Any, tuple[types.Type, ...]]] = [
    (joint.forward, (_ROWS, _MAPPED, _ROWS, _ROW)),
    (em.ascend, (_ROWS, float64, int64, float64, _ROWS)),
    (mixture.forward, (_ROWS, _ROWS, _ROWS, _ROWS, _ROWS, _ROW)),
    (joint_em.add_statistics, (_ROWS, _ROW, _SHAPES, _PAIRS, _SUMS)),
    (joint_em.mark_likely, (_ROWS, _ROW, _SHAPES, float64, boolean[:, ::1])),
    (linear.rotate, (_ROWS, _ROWS, _ROWS)),
    (search.merge_cheapest, (_ROWS, _ROWS)),
    (histogram.place_edges, (_ROW, _ROW, _ROW)),
    (search.clusters, (_ROWS, float64, int64, _ROWS)),
    (negentropy.best_angle, (_ROW, _ROW, _ROW)),
    (histogram.fill_table, (_ROW, _ROW, _ROW, _BINS, _ROW)),
    (coupling.fill_features, (_ROWS, types.slice2_type, _ROWS, _ROW, _ROWS)),
    (linear.add_products, (_ROWS, _ROW, _ROW, _ROWS)),
    (histogram.find_bins, (_ROW, _ROW, _BINS, _ROW, _BINS)),
    (hashing.hash_rows, (_ROWS, uint64, uint64[::1])),
    (search.halved, (_ROWS,)),
    (histogram.accumulated, (_ROW,)),
    (histogram.place_centres, (_ROW, _ROW)),
    (histogram.accumulate, (_ROW, _ROW, _BINS, _ROW, _ROWS)),
    (linear.add_sums, (_ROWS, _ROW, _ROW)),
]
_LATER: list[tuple[Any, tuple[types.Type, ...]]] = [
    (joint_inverse.inverse, (_ROWS, _MAPPED, _ROWS, _ROW)),
    (mixture.inverse, (_ROWS, _ROWS, _ROWS, _ROWS, _ROWS, _ROW)),
    (coupling.predict, (_ROWS, _ROWS, _ROW, _ROWS, _ROWS, _ROWS, _ROWS, _ROW)),
    (radial.latents, (_ROW, int64, _CONSTANTS, _ROW)),
    (radial.radii, (_ROW, int64, _CONSTANTS, _ROW, _ROW)),
    (radial.log_radii, (_ROWS, int64[::1], _LIMITS, _ROW)),
    (radial.scale, (_ROWS, int64[::1], _ROW, _ROWS)),
    (holes_em.add_statistics, (_ROWS, _ROW, _SHAPES, _CUBE, _PAIRS, _SUMS)),
    (holes_em.mark_likely, (_ROWS, _ROW, _SHAPES, _CUBE, float64, boolean[:, ::1])),
    (holes_draws.draw, (_ROWS, _SHAPES, _CUBE, uint64[::1], _ROW, _ROW, _CUBE)),
]
FIT = len(_FIT)
ENTRIES = _FIT + _LATER

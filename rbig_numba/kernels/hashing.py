"""A number for each row that depends on its content only: draws without regard to order."""

from __future__ import annotations

import numpy as np

from rbig_numba.kernels.jit import float_bits, kernel

# SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)


@kernel
def hash_rows(columns, seed, hashes):
    """Fill hashes (N,), uint64 and uniform, from the rows of columns (D, N), float64.

    Equal rows have equal hashes, whatever rows stand beside them; 0.0 and -0.0 are equal.
    """
    hashes[:] = seed
    for i in range(columns.shape[0]):
        for r in range(columns.shape[1]):
            bits = np.uint64(float_bits(columns[i, r] + 0.0))
            hashes[r] = mix(hashes[r], bits)


@kernel
def mix(h, bits):
    """Return another number, uint64 and uniform, of a hash and some bits."""
    h = (h ^ bits) + _GAMMA
    h = (h ^ (h >> _30)) * _MIX_1
    h = (h ^ (h >> _27)) * _MIX_2
    return h ^ (h >> _31)

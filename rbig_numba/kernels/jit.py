"""The one place that says how kernels are compiled and cached."""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import intrinsic, overload


def _sources_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_DIGEST = _sources_digest()


class _PackageCache(FunctionCache):
    """Numba's on-disk cache, stamped with the digest of all kernels together.

    Numba stamps an entry with the file of its own function only, so that a caller compiled before
    one of its callees was edited in another file silently keeps the old machine code.
    """

    def __init__(self, py_func: Callable[..., Any]) -> None:
        super().__init__(py_func)
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=_DIGEST,
        )


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a kernel: releases the GIL, 1/0 is inf as in NumPy, fused multiply-adds allowed.

    Of the fast-math flags only `contract` is set: the others let LLVM reorder sums (results would
    depend on the batch) or drop NaN and inf.
    """
    return _compiled(function, {"contract"})


def sum_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a kernel whose sums LLVM may reorder, so that they run in vectors: 4 times faster.

    For statistics of blocks whose rows are fixed; never for results of rows.
    """
    return _compiled(function, {"contract", "reassoc"})


def _compiled(function: Callable[..., Any], flags: set[str]) -> Callable[..., Any]:
    # Nothing calls kernels from C: without entry points for it a first fit compiles 1 s less.
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    compiled = numba.njit(**options, fastmath=flags)(function)
    if not numba.config.DISABLE_JIT:
        # No folder can be written to: Numba raises, and every process compiles for itself.
        with contextlib.suppress(RuntimeError):
            compiled._cache = _PackageCache(function)
    return compiled


def float_bits(value: float) -> int:
    """Return the IEEE 754 bits of a double."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def bits_float(bits: int) -> float:
    """Return the double of the given IEEE 754 bits."""
    return float(struct.unpack("<d", struct.pack("<q", (bits + 2**63) % 2**64 - 2**63))[0])


def _bitcast(source: types.Type, target: types.Type, llvm_type: ir.Type) -> Any:
    @intrinsic
    def cast(typing_context: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], llvm_type)

        return target(source), codegen

    return cast


_to_bits = _bitcast(types.float64, types.int64, ir.IntType(64))
_to_float = _bitcast(types.int64, types.float64, ir.DoubleType())


@overload(float_bits, inline="always")
def _float_bits(value):
    return lambda value: _to_bits(value)


@overload(bits_float, inline="always")
def _bits_float(bits):
    return lambda bits: _to_float(bits)

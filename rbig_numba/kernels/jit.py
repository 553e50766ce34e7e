"""The one place that says how kernels are compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from rbig_numba.kernels.cache import KernelCache

_PACKAGE = __name__.rpartition(".")[0]


class Kernel:
    """A function compiled twice: for kernels that call it, and, if need be, for Python.

    What Python calls needs a wrapper that unpacks arguments, a sixth of the time to compile a small
    function; 75 of 96 kernels are called by others only. A function without a wrapper would crash
    the interpreter when it is called from Python: here it can't be reached.
    """

    def __init__(self, function: Callable[..., Any], flags: set[str]) -> None:
        functools.update_wrapper(self, function)
        self.py_func, self._flags = function, flags
        self.entry = self._dispatcher("")

    def __call__(self, *arguments: Any) -> Any:
        """Run it on what Python has."""
        return self.entry(*arguments)

    @functools.cached_property
    def inner(self) -> Any:
        """The dispatcher for kernels that call this one."""
        return self._dispatcher("inner", no_cpython_wrapper=True)

    @property
    def cache(self) -> KernelCache:
        """Where the function for Python comes from."""
        return self.entry._cache

    @property
    def _numba_type_(self) -> types.Type:
        """What Numba takes a kernel for that is called by another."""
        return self.inner._numba_type_

    def _dispatcher(self, suffix: str, **options: bool) -> Any:
        # Nothing calls kernels from C: without entry points for it a first fit compiles 1 s less.
        compiled = numba.njit(
            nogil=True,
            error_model="numpy",
            no_cfunc_wrapper=True,
            fastmath=self._flags,
            **options,
        )(self.py_func)
        module, _, name = self.py_func.__module__.rpartition(".")
        # The cache's key covers the sources of this package only.
        if module == _PACKAGE:
            parts = name, self.py_func.__qualname__, suffix
            compiled._cache = KernelCache(".".join(filter(None, parts)))
        return compiled


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
    if not numba.config.DISABLE_JIT:
        return Kernel(function, flags)

    @functools.wraps(function)
    def interpreted(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arguments)

    return interpreted


def float_bits(value: float) -> np.int64:
    """Return the IEEE 754 bits of a double."""
    return np.float64(value).view(np.int64)


def bits_float(bits: int) -> np.float64:
    """Return the double of the given IEEE 754 bits."""
    return np.int64(bits).view(np.float64)


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

"""The normal distribution, one number at a time, with both tails to full relative accuracy.

Everything is branch-free arithmetic where it is called in a loop over rows, so that LLVM turns
that loop into vector code; only `quantile_of_log` beyond p = exp(-750) loops.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from rbig_numba.kernels.coefficients import (
    ATANH,
    EXP2,
    MILLS_BOTTOM,
    MILLS_TOP,
    QUANTILE_BOTTOM,
    QUANTILE_LOG_MIN,
    QUANTILE_TOP,
)
from rbig_numba.kernels.jit import bits_float, float_bits, kernel

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
LN2 = math.log(2.0)

# Cody and Waite (1980): ln 2 in two parts, the first with so many trailing zero bits that
# n * _LN2_HIGH is exact.
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_LOG2_E = 1.0 / math.log(2.0)
# Adding 1.5 * 2^52 leaves the nearest integer in the low bits of the mantissa.
_ROUNDER = 1.5 * 2.0**52
_EXP_MIN = -708.0
_MANTISSA = (1 << 52) - 1
_SQRT_HALF_BITS = float_bits(math.sqrt(0.5))
# x = m 2^n with m in [sqrt(1/2), sqrt(2)): n + 1023 in the exponent bits of this offset.
_OFFSET = (1023 << 52) - _SQRT_HALF_BITS
_TWO_52 = 2.0**52
_TWO_52_BITS = float_bits(_TWO_52)
_MEDIAN = math.sqrt(2.0 * math.log(2.0))
# exp(-u^2 / 2) = 2^(-v^2) with v = u HALF_LOG2: a multiplication less in the loops over rows.
HALF_LOG2 = math.sqrt(0.5 * _LOG2_E)


def _written_out(builder: Any, coefficients: tuple[float, ...], t: Any) -> Any:
    """Emit a polynomial in two chains of Horner's rule, or four if long: half the latency."""
    # LLVM counts 30 operations and calls whoever holds them, which ends vectorisation.
    builder.function.attributes.add("alwaysinline")
    n_chains = 4 if len(coefficients) > 16 else 2
    powers = [t, builder.fmul(t, t)]
    if n_chains == 4:
        powers.append(builder.fmul(powers[1], powers[1]))

    def step(total: Any, x: Any, addend: Any) -> Any:
        product = builder.fmul(total, x, flags=("contract",))
        return builder.fadd(product, addend, flags=("contract",))

    constants, chains = _loaded(builder, coefficients), []
    for first in range(n_chains):
        *lower, total = constants[first::n_chains]
        for coefficient in reversed(lower):
            total = step(total, powers[-1], coefficient)
        chains.append(total)
    for power in powers[:-1]:
        chains = [step(chains[i + 1], power, chains[i]) for i in range(0, len(chains), 2)]
    return chains[0]


def _loaded(builder: Any, constants: tuple[float, ...]) -> list[Any]:
    """Read constants from a variable, which LLVM does ahead of the loops.

    JIT code has no short address for a literal: each one cost the loop a 64-bit move and a
    broadcast next to its multiply-add. What LLVM can't recompute it keeps on the stack as whole
    vectors, and multiply-adds read it there: 3.1 instead of 2.3 ns per element and component.
    """
    array = ir.ArrayType(ir.DoubleType(), len(constants))
    name = "rbig.constants." + hashlib.sha256(repr(constants).encode()).hexdigest()[:16]
    table = builder.module.globals.get(name)
    if table is None:
        table = ir.GlobalVariable(builder.module, array, name)
        table.linkage = "weak"
        table.initializer = ir.Constant(array, constants)
    index, unchanging = ir.IntType(32), builder.module.add_metadata([])
    values = []
    for i in range(len(constants)):
        value = builder.load(builder.gep(table, [index(0), index(i)]))
        value.set_metadata("invariant.load", unchanging)
        values.append(value)
    return values


def _align_stack(builder: Any) -> Any:
    """Ask for a slot at a multiple of 64, which the frame then starts at too, and for 512 bits.

    The latter is said of whole functions: not within a caller, of which it isn't said.
    """
    builder.function.attributes.add("noinline")
    # LLVM knows attributes of any name, llvmlite only those without a value.
    set.add(builder.function.attributes, '"prefer-vector-width"="512"')
    with builder.goto_entry_block():
        slot = builder.alloca(ir.IntType(64))
        slot.align = 64
        builder.asm(ir.FunctionType(ir.VoidType(), [slot.type]), "", "r", [slot], True)


def _series(coefficients: tuple[float, ...]) -> Callable[[float], float]:
    """Return a polynomial, lowest power first.

    As an intrinsic it costs nothing to compile on its own (a kernel per length took 0.1 s), and no
    caller can fail to unroll it.
    """

    def value(t: float) -> float:
        total = 0.0
        for coefficient in reversed(coefficients):
            total = total * t + coefficient
        return total

    @intrinsic
    def emitted(typing_context: Any, t: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _written_out(builder, coefficients, args[0])

        return types.float64(types.float64), codegen

    @overload(value, inline="always")
    def _value(t):
        return lambda t: emitted(t)

    return value


def _constant(value: float) -> Callable[[], float]:
    def get() -> float:
        return value

    @intrinsic
    def emitted(typing_context: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _loaded(builder, (value,))[0]

        return types.float64(), codegen

    @overload(get, inline="always")
    def _get():
        return lambda: emitted()

    return get


def aligned_stack() -> None:
    """Have a kernel's vectors on the stack lie within cache lines, and as wide as the machine's.

    Else every other read of a constant crosses two, in some processes and not in others, which
    cost 10 % of the time; and with AVX-512 LLVM takes half a register, as it may slow down all
    else: here whole ones take a fifth of the time off.
    """


@intrinsic
def _aligned_stack(typing_context: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _align_stack(builder)
        return context.get_dummy_value()

    return types.none(), codegen


@overload(aligned_stack, inline="always")
def _overload_aligned_stack():
    return lambda: _aligned_stack()


# 2^(-v^2) stays normal here, times Mills ratio and weight too: subnormals cost 100 cycles.
_V_MAX = _constant(31.0)
_ROUNDER_LOADED = _constant(_ROUNDER)
_exp2 = _series(EXP2)
_atanh = _series(ATANH)
# From here on the expansion at infinity is right to 1e-17 with these terms: -1, 3, -15, ...
_U_FAR = 38.0
_mills_far = _series(tuple((-1.0) ** k * math.prod(range(1, 2 * k, 2)) for k in range(8)))
_mills_top, _mills_bottom = _series(MILLS_TOP), _series(MILLS_BOTTOM)
_quantile_top, _quantile_bottom = _series(QUANTILE_TOP), _series(QUANTILE_BOTTOM)


@kernel
def exp_negative(x):
    """exp(x) for x <= 709, within 3 ulp; 0 below -708, before results turn subnormal."""
    shifted = max(x, _EXP_MIN) * _LOG2_E + _ROUNDER
    n = shifted - _ROUNDER
    r = (max(x, _EXP_MIN) - n * _LN2_HIGH) - n * _LN2_LOW
    value = bits_float(float_bits(_exp2(r * _LOG2_E)) + (float_bits(shifted) << 52))
    return value if x >= _EXP_MIN else 0.0


@kernel
def split(x):
    """Return n, as a double, and m in [sqrt(1/2), sqrt(2)), x = m 2^n > 0 and not subnormal."""
    offset = float_bits(x) + _OFFSET
    # AVX2 converts no 64-bit integers: n goes into the mantissa of 2^52.
    n = bits_float(((offset >> 52) & 0xFFF) + _TWO_52_BITS) - (_TWO_52 + 1023.0)
    return n, bits_float((offset & _MANTISSA) + _SQRT_HALF_BITS)


@kernel
def log_positive(x):
    """log(x) for x > 0 and not subnormal, within 2 ulp: n ln 2 + 2 atanh((m - 1) / (m + 1))."""
    n, m = split(x)
    s = (m - 1.0) / (m + 1.0)
    return n * _LN2_HIGH + (n * _LN2_LOW + 2.0 * (s + s * s * s * _atanh(s * s)))


@kernel
def mills(u):
    """Mills ratio (1 - Phi(u)) / phi(u) for u >= 0."""
    v = min(u, _U_FAR) * HALF_LOG2
    ratio = _mills_top(v) / _mills_bottom(v)
    inverse = 1.0 / max(u, _U_FAR)
    return ratio if u < _U_FAR else inverse * _mills_far(inverse * inverse)


@kernel
def bell_and_mills(v):
    """exp(-u^2 / 2) and mills(|u|) for v = u HALF_LOG2, both as at |u| = 36.5 beyond.

    Apart, because the division takes as long as the exponential: neither waits for the other.
    """
    distance = min(abs(v), _V_MAX())
    shifted = distance * distance + _ROUNDER_LOADED()
    fraction = (shifted - _ROUNDER_LOADED()) - distance * distance
    bell = bits_float(float_bits(_exp2(fraction)) - (float_bits(shifted) << 52))
    return bell, _mills_top(distance) / _mills_bottom(distance)


@kernel
def power_and_mills(exponent, v):
    """2^exponent, exponent < 1000, and mills(|u|) for v = u HALF_LOG2.

    As at -961 below it, and as at |u| = 36.5 beyond.
    """
    floored = max(exponent, -_V_MAX() * _V_MAX())
    shifted = floored + _ROUNDER_LOADED()
    fraction = floored - (shifted - _ROUNDER_LOADED())
    power = bits_float(float_bits(_exp2(fraction)) + (float_bits(shifted) << 52))
    distance = min(abs(v), _V_MAX())
    return power, _mills_top(distance) / _mills_bottom(distance)


@kernel
def log_pdf(u):
    """Log phi(u), in nats."""
    return -0.5 * u * u - LOG_SQRT_2PI


@kernel
def log_cdf(u):
    """Log Phi(u), in nats, for any finite u."""
    tail = log_pdf(u) + math.log(mills(abs(u)))
    return tail if u < 0.0 else math.log1p(-math.exp(tail))


@kernel
def quantile_variable(log_p):
    """Return what `quantile_direct` takes: 0 at the median, 37.5 at log p = -750."""
    return math.sqrt(-2.0 * log_p) - _MEDIAN


@kernel
def quantile_direct(distance):
    """Phi^-1(p) for -750 <= log p <= log(1/2), distance = quantile_variable(log p), branch-free."""
    return -distance * (_quantile_top(distance) / _quantile_bottom(distance))


@kernel
def quantile_of_log(log_p):
    """Phi^-1(exp(log p)) for any log p <= log(1/2): the lower half of the quantile function.

    Beyond the polynomial's range Newton's method solves log Phi(-u) = log p in log space, from two
    terms of the expansion at infinity.
    """
    if log_p >= QUANTILE_LOG_MIN:
        return quantile_direct(quantile_variable(log_p))
    u = math.sqrt(-2.0 * log_p - math.log(-4.0 * math.pi * log_p))
    for _ in range(3):  # the start is within 1e-4, the second step within 1e-14
        ratio = mills(u)
        u += (log_pdf(u) + math.log(ratio) - log_p) * ratio
    return -u

"""The hot loops are vector code: whole registers of doubles, and no call in between."""

import re

import llvmlite.binding as llvm
import numba
import pytest
from numba import float64, int64

from rbig_numba.kernels import conditional, direct, mixture, normal
from rbig_numba.kernels.jit import kernel

FEATURES = llvm.get_host_cpu_features()
pytestmark = [
    pytest.mark.skipif(
        not (FEATURES.get("avx2") and FEATURES.get("fma")), reason="not x86-64 with AVX2 and FMA"
    ),
    pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compiles nothing"),
]
ROW, ROWS = float64[::1], float64[:, ::1]
LIBM = re.compile(r"\b_?(exp|exp2|log|log1p|log2|pow|erfc?)\b")


def over_rows(function):
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return loop


def assembly(function, *signature):
    """Compile anew, as Numba shows no assembly of what it loaded, with the flags of `kernel`."""
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    compiled = numba.njit(**options)(function)
    compiled.compile(signature)
    return compiled.inspect_asm(compiled.signatures[0])


def vector_loops(text):
    """Return the blocks that jump back to their own start and multiply-add registers of four."""
    blocks = re.split(r"^(\.LBB\w+):", text, flags=re.MULTILINE)[1:]
    loops = []
    for label, body in zip(blocks[::2], blocks[1::2], strict=True):
        end = re.search(rf"^\s+j\w+\s+{re.escape(label)}\b", body, flags=re.MULTILINE)
        if end and re.search(r"\bvfn?m\w+pd\b.*%[yz]mm", body[: end.start()]):
            loops.append(body[: end.start()])
    return loops


def packed(loop):
    return len(re.findall(r"\bvfn?m\w+pd\b.*%[yz]mm", loop))


def scalar(loop):
    return re.findall(r"\bv(?!broadcast)\w+sd\b.*", loop)


@pytest.mark.parametrize(
    ("function", "least"),
    [
        (normal.exp_negative, 11),
        (normal.log_positive, 6),
        (normal.mills, 20),
        (normal.quantile_direct, 22),
        (lambda v: normal.bell_and_mills(v)[1], 17),
    ],
    ids=["exp", "log", "mills", "quantile", "bell and mills"],
)
def test_special_functions_over_rows(function, least):
    inner = function if hasattr(function, "py_func") else kernel(function)
    text = assembly(over_rows(inner), ROW, ROW)
    loops = vector_loops(text)
    assert max(map(packed, loops)) >= least
    for loop in loops:
        assert "call" not in loop
        assert scalar(loop) == []
    assert LIBM.search(text) is None


def test_direct_sums():
    text = assembly(direct.sums.py_func, ROW, ROWS, ROW, ROW, ROW)
    (loop,) = vector_loops(text)
    assert packed(loop) >= 28  # 10 for the exponential, 17 for Mills ratio, 1 for the density
    assert "call" not in loop
    assert scalar(loop) == []
    assert LIBM.search(text) is None
    # Coefficients come from the stack, within the multiply-adds: no 64-bit moves of addresses.
    assert "movabs" not in loop
    assert len(loop.splitlines()) < 85


def test_direct_sums_of_rows_with_weights_of_their_own():
    text = assembly(conditional.add_components.py_func, ROW, *[ROWS] * 5)
    loop = max(vector_loops(text), key=packed)
    assert packed(loop) >= 28
    assert "call" not in loop
    assert scalar(loop) == []
    assert LIBM.search(text) is None
    assert "movabs" not in loop
    assert len(loop.splitlines()) < 95


@pytest.mark.skipif(not FEATURES.get("avx512f"), reason="not x86-64 with AVX-512")
@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (direct.sums, [ROW, ROWS, ROW, ROW, ROW]),
        (direct.quantiles, [ROW] * 3),
        (conditional.add_components, [ROW, *[ROWS] * 5]),
        (conditional.fill_shifts, [*[ROWS] * 3, int64]),
    ],
    ids=["direct sums", "quantiles", "weights of their own", "shifts"],
)
def test_whole_registers_where_there_are_512_bits(function, signature):
    loop = max(vector_loops(assembly(function.py_func, *signature)), key=packed)
    assert packed(loop) == len(re.findall(r"\bvfn?m\w+pd\b.*%zmm", loop)) > 0


@pytest.mark.parametrize(
    ("function", "n_arguments", "least"),
    [
        (direct.quantiles, 3, [8, 22]),  # logarithm and root, ratio of polynomials
        (direct.multiply_slopes, 4, [2]),
    ],
    ids=["quantiles", "slopes"],
)
def test_loops_over_elements(function, n_arguments, least):
    text = assembly(function.py_func, *[ROW] * n_arguments)
    loops = vector_loops(text)
    assert len(loops) == len(least)
    for loop, at_least in zip(sorted(loops, key=packed), least, strict=True):
        assert packed(loop) >= at_least
        assert "call" not in loop
        assert scalar(loop) == []
    assert LIBM.search(text) is None


def test_steps_of_the_inverse_call_no_library():
    text = assembly(mixture.start_run.py_func, ROW, ROWS, ROWS, int64[::1], ROWS)
    assert LIBM.search(text) is None
    text = assembly(mixture.newton_run.py_func, int64, int64[::1], ROWS, ROW, ROW, ROW, ROW)
    assert max(map(packed, vector_loops(text))) >= 10
    assert LIBM.search(text) is None

"""Compiled code on disk is never older than the sources it was compiled from."""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rbig_numba
from rbig_numba.kernels import normal
from rbig_numba.kernels.jit import bits_float, float_bits, kernel

SCORE = """
import numpy as np
from rbig_numba.kernels.mixture import forward1
from rbig_numba.kernels import mixture
assert mixture.__file__.startswith({root!r}), mixture.__file__
print(forward1(0.3, np.zeros(1), np.zeros(1), np.zeros(1))[0])
print(sum(forward1.entry.stats.cache_hits.values()))
"""


def score(root):
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        "NUMBA_CACHE_DIR": str(root / "cache"),
        "NUMBA_NUM_THREADS": "1",  # no other process compiles beside it
    }
    command = [sys.executable, "-c", SCORE.format(root=str(root))]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    value, hits = done.stdout.split()
    return float(value), int(hits)


def test_editing_a_callee_in_another_file_recompiles_its_callers(tmp_path):
    package = tmp_path / "rbig_numba"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(rbig_numba.__file__).parent, package, ignore=ignore)
    first, hits = score(tmp_path)
    assert hits == 0
    assert not list(package.rglob("*.nb*"))  # beside the package it would outlive it
    second, hits = score(tmp_path)
    assert hits == 1
    assert second == first
    normal = package / "kernels" / "normal.py"
    source = normal.read_text()
    edited = source.replace("return ratio if u", "return 0.5 * ratio if u")
    assert edited != source
    normal.write_text(edited)
    third, hits = score(tmp_path)
    assert hits == 0
    assert abs(third - first) > 0.4


def test_a_kernel_that_kernels_call_can_be_called_from_python():
    """What has no wrapper for Python crashes the interpreter, were it reached from there."""
    assert normal.log_pdf(0.0) == -0.5 * np.log(2.0 * np.pi)
    callers = over(normal.log_pdf)
    assert callers(np.zeros(2)) == -np.log(2.0 * np.pi)
    assert normal.log_pdf(1.0) == normal.log_pdf(0.0) - 0.5
    assert callers.__name__ == "total"


def over(function):
    @kernel
    def total(x):
        value = 0.0
        for i in range(x.size):
            value += function(x[i])
        return value

    return total


@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, -2.25e-310, np.inf, -np.inf, 1e300])
def test_bits_of_a_double_are_those_of_the_standard(value):
    bits = float_bits(value)
    assert int(bits) % 2**64 == int.from_bytes(struct.pack(">d", value), "big")
    assert bits_float(bits) == value

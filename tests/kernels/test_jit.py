"""Compiled code on disk is never older than the sources it was compiled from."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import rbig_numba

SCORE = """
import numpy as np
from rbig_numba.kernels.mixture import forward1
from rbig_numba.kernels import mixture
assert mixture.__file__.startswith({root!r}), mixture.__file__
print(forward1(0.3, np.zeros(1), np.zeros(1), np.zeros(1))[1])
print(sum(forward1.stats.cache_hits.values()))
"""


def score(root):
    environment = {**os.environ, "PYTHONPATH": str(root)}
    environment.pop("NUMBA_CACHE_DIR", None)
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
    second, hits = score(tmp_path)
    assert hits == 1
    assert second == first
    normal = package / "kernels" / "normal.py"
    source = normal.read_text()
    edited = source.replace("return -0.5 * u * u - LOG_SQRT_2PI", "return -0.5 * u * u - 3.0")
    assert edited != source
    normal.write_text(edited)
    third, hits = score(tmp_path)
    assert hits == 0
    assert abs(third - first) > 0.5

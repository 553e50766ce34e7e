"""What is compiled ahead is what fits of all kinds ask for: no more, no less."""

import json
import os
import subprocess
import sys

import numba
import numpy as np
import pytest

import rbig_numba
from rbig_numba.kernels import ahead
from rbig_numba.kernels.entries import ENTRIES

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compiles nothing")

PATH = "import sys; sys.path[:] = sys.argv[1:]\n"
USE = """
import json, pickle, sys, warnings
import numpy as np
warnings.simplefilter("ignore")  # small tables: some can't be fitted well
from rbig_numba import RBIG
from rbig_numba.flow import Flow

rng = np.random.default_rng(0)
X = rng.normal(size=(600, 3)) / np.sqrt(rng.chisquare(3, size=(600, 1)))
X[:, 2] += np.sin(3 * X[:, 0])

def used(model, X):
    model.score(X)
    Z = model.transform(X)
    model.inverse_transform(Z)
    model.sample(5, random_state=0)

def read_only(X):
    X = X.copy(order="F")
    X.flags.writeable = False
    return X

np.save("rows.npy", X)
options = {"random_state": 0, "n_blocks": 2}
kinds = [["mixture"] * 2, ["joint"], ["radial"], ["coupling"]]
models = [RBIG(blocks=blocks, validation_fraction=0, random_state=0).fit(X) for blocks in kinds]
all_kinds = models[0]
all_kinds.flow_ = Flow(tuple(b for model in models for b in model.flow_.bijections))
assert len({b.kind for b in all_kinds.flow_.bijections}) == 6
used(all_kinds, X)
used(all_kinds, read_only(X))
used(all_kinds, X.astype(np.float32))
used(all_kinds, X[::2])
used(pickle.loads(pickle.dumps(all_kinds)), X[:1])
all_kinds.save("model.rbig")
used(RBIG.load("model.rbig"), X)
all_kinds.score_samples("rows.npy")
RBIG(**options).fit(X)
holes = X.copy()
holes[::3, 1] = np.nan
RBIG(missing="model", blocks=["joint"], random_state=0).fit(holes).score(holes)
RBIG(**options, refit=True).fit(read_only(X), sample_weight=read_only(rng.integers(0, 3, 600)))
RBIG(**options).fit(X.astype(np.float32))
RBIG(**options, blocks="classic").fit("rows.npy")
for rotation in "ica", "sliced", "pca", "random":
    RBIG(**options, blocks="classic", rotation=rotation).fit(X)
RBIG(**options).fit(X).fit_more(X[:300])
RBIG(**options).fit(rng.normal(size=(300, 1)))
RBIG(**options, validation_fraction=0).fit(read_only(rng.normal(size=(300, 1))))
RBIG(**options).fit(np.round(rng.normal(size=(50, 2)), 1))

from rbig_numba.kernels.jit import Kernel
found = []
for name, module in list(sys.modules.items()):
    for kernel in vars(module).values() if name.startswith("rbig_numba.kernels.") else ():
        if isinstance(kernel, Kernel) and kernel.__module__ == name:
            found += [[name, kernel.__name__, str(s)] for s in kernel.entry.signatures]
print(json.dumps(found))
"""


def test_entries_are_what_python_calls(tmp_path):
    command = [sys.executable, "-c", PATH + USE, *sys.path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    asked = sorted(map(tuple, json.loads(done.stdout)))
    listed = [(kernel.__module__, kernel.__name__, str(types)) for kernel, types in ENTRIES]
    assert asked == sorted(listed)


def test_warm_compiles_each_kernel_once(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    short = ahead.FIT - 3, ahead.FIT - 2, ahead.FIT - 1
    monkeypatch.setattr(ahead, "missing", lambda native: [n for n in short if not held(n)])

    def held(number):
        kernel, types = ENTRIES[number]
        return kernel.cache.holds(types, native=True)

    assert not any(map(held, short))
    assert rbig_numba.warm(native=True, n_jobs=2) == len(short)
    assert all(map(held, short))
    assert rbig_numba.warm(native=True) == 0


def test_warm_says_what_stops_it(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(OSError, match="no folder for kernels can be written: set NUMBA_CACHE_DIR"):
        rbig_numba.warm(native=True)
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(RuntimeError, match="NUMBA_DISABLE_JIT"):
        rbig_numba.warm()


INTERPRETED = """
import warnings
warnings.simplefilter("error")
import numpy as np
from rbig_numba import RBIG
X = np.random.default_rng(0).normal(size=(60, 2))
model = RBIG(1, blocks="classic", n_components=2, rotation="pca", random_state=0).fit(X)
print(*model.score_samples(np.r_[X[:3], 1000 * X[:2]]).tolist())
"""


def test_interpreted_kernels_give_the_same_without_a_warning(tmp_path):
    results = []
    for disabled in "0", "1":
        done = subprocess.run(
            [sys.executable, "-c", PATH + INTERPRETED, *sys.path],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results.append([float(value) for value in done.stdout.split()])
    np.testing.assert_allclose(*results, rtol=1e-9)

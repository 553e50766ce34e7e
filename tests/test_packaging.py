"""What is shipped works where the checkout is not: in a new environment, from another folder."""

import os
import platform
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest
from llvmlite.binding import get_host_cpu_name

from rbig_numba.kernels.cache import BASELINES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]

MAKE_TABLE = """
import numpy as np
rows = np.random.default_rng(0).gamma(2.0, size=(500, 3)).cumsum(axis=1)
np.savetxt("rows.csv", rows, delimiter=",", header="a,b,c", comments="")
"""

CHECK_EXPORT = """
import sys
import keras, rbig_keras, rbig_numba
from rbig_numba.tables import read_table
flow = keras.models.load_model("flow.keras")
model = rbig_numba.RBIG.load("model.rbig")
print(rbig_keras.parity(model, flow, read_table("rows.csv")[0]))
for module in (rbig_keras, rbig_numba):
    assert module.__file__.startswith(sys.prefix), module.__file__
"""


FIRST_FIT = """
import time
import numpy as np
from numba.core import event
from rbig_numba import RBIG
X = np.random.default_rng(0).normal(size=(1000, 3))
with event.install_recorder("numba:compile") as compiled:
    start = time.perf_counter()
    model = RBIG(random_state=0).fit(X)
    seconds = time.perf_counter() - start
    new = model.sample(10, random_state=0)
print(len(compiled.buffer), seconds, model.score(X).hex(), new.sum().hex())
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """Build the source archive, and the wheel from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def run(dist, tmp_path_factory):
    """Install the wheel with its required packages only; returns what runs a program there."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / ".venv", with_pip=True)
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}

    def run(program, *arguments, **variables):
        return subprocess.run(
            [folder / ".venv" / "bin" / program, *arguments],
            cwd=folder,
            env={**env, **variables},
            text=True,
            capture_output=True,
            check=False,
        )

    install(run, next(dist.glob("*.whl")))
    return run


def install(run, requirement):
    done = run("pip", "install", "--quiet", "--disable-pip-version-check", str(requirement))
    assert done.returncode == 0, done.stderr


def succeed(run, program, *arguments, **variables):
    done = run(program, *arguments, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_source_archive_contains_the_tests(dist):
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {"tests/test_packaging.py", "export/rbig_keras/__init__.py", "Makefile", "LICENSE"}
    assert expected <= names
    assert not any(name.startswith((".venv", "out/", ".git/")) for name in names)


@pytest.mark.skipif(platform.machine() not in BASELINES, reason="no kernels are shipped")
def test_the_very_first_fit_compiles_nothing(run, dist, tmp_path):
    """Of a wheel, where nothing can be written; with the bits of what is compiled natively."""
    assert "none-any" not in next(dist.glob("*.whl")).name
    (tmp_path / "file").touch()
    nowhere = {"HOME": str(tmp_path / "file"), "XDG_CACHE_HOME": str(tmp_path / "file")}
    installed = succeed(run, "python", "-Bc", "import rbig_numba; print(rbig_numba.__path__[0])")
    before = sorted(Path(installed.strip()).rglob("*"))
    first = succeed(run, "python", "-Bc", FIRST_FIT, **nowhere).split()
    assert sorted(Path(installed.strip()).rglob("*")) == before
    assert first[0] == "0"
    assert float(first[1]) < 10.0  # 0.7 s of processor, on a busy machine 1.5 s; compiling takes 17
    native = succeed(run, "python", "-Bc", FIRST_FIT, NUMBA_CPU_NAME=get_host_cpu_name()).split()
    assert native[2:] == first[2:]


def test_a_new_environment_fits_and_then_exports(run, dist):
    succeed(run, "python", "-c", MAKE_TABLE)
    fit = ["fit", "rows.csv", "-o", "model.rbig", "--n-blocks", "2", "--n-components", "3"]
    succeed(run, "rbig-numba", *fit)
    assert succeed(run, "rbig-numba", "score", "model.rbig", "rows.csv").count("\n") == 501

    refused = run("rbig-numba", "export", "model.rbig", "-o", "flow.keras")
    assert refused.returncode == 2
    assert refused.stderr.endswith("pip install 'rbig-numba[keras]'\n")

    install(run, f"{next(dist.glob('*.whl'))}[keras]")
    exported = run("rbig-numba", "export", "model.rbig", "-o", "flow.keras", "--dtype", "float64")
    assert (exported.returncode, exported.stderr) == (0, "")
    assert succeed(run, "python", "-c", CHECK_EXPORT)

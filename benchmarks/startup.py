"""What a new process waits for: imports and the first fit. python -m benchmarks.startup."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks.harness import parser, report, timed

ROOT = Path(__file__).parents[1]
FIRST_FIT = """
import time
import numpy as np
from rbig_numba import RBIG
X = np.random.default_rng(0).normal(size=(1000, 3))
start = time.perf_counter(), time.process_time()
model = RBIG(random_state=0, **{parameters}).fit(X)
print(time.perf_counter() - start[0], time.process_time() - start[1])
"""
COUNTED = """
from numba.core.event import install_recorder
import numpy as np
from rbig_numba import RBIG
with install_recorder("numba:compile") as events:
    RBIG().fit(np.random.default_rng(0).normal(size=(1000, 3)))
print(len(events.buffer))
"""
FITS: dict[str, dict[str, object]] = {
    "first fit": {"blocks": "classic", "rotation": "pca", "n_blocks": 2},
    "first fit, competing blocks": {},
}
IMPORTS = {
    "import scikit-learn (mixture)": "import sklearn.mixture",
    "import rbig_numba.RBIG": "from rbig_numba import RBIG",
}
WARM = "import rbig_numba; rbig_numba.warm()"


def run(code: str, cache: str, package: Path = ROOT) -> list[float]:
    """Run code in a new Python process with the given folder of compiled kernels."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(package)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [float(word) for word in done.stdout.split()]


def first_fit(parameters: dict[str, object]) -> str:
    """Return a program that prints what its first fit takes."""
    return FIRST_FIT.replace("{parameters}", repr(parameters))


def medians(code: str, cache: str, package: Path = ROOT) -> tuple[float, float]:
    """Return the medians of five processes: seconds elapsed, and of processor."""
    elapsed, processor = zip(*(run(code, cache, package) for _ in range(5)), strict=True)
    return statistics.median(elapsed), statistics.median(processor)


def wheel(folder: Path) -> Path:
    """Build the wheel as `pip install` does, and return where it is unpacked."""
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def from_sources(figures: dict[str, float]) -> None:
    """Time fits whose kernels are compiled, and loaded from the user's cache."""
    for name, parameters in FITS.items():
        with tempfile.TemporaryDirectory() as empty:
            figures[f"{name}, cold, seconds"] = run(first_fit(parameters), empty)[0]
    with tempfile.TemporaryDirectory() as cache:
        figures["all kernels compiled ahead, seconds"] = timed(lambda: run(WARM, cache))[0]
        for name, parameters in FITS.items():
            elapsed, processor = medians(first_fit(parameters), cache)
            figures[f"{name}, cached, seconds"] = elapsed
            figures[f"{name}, cached, seconds of processor"] = processor


def from_a_wheel(figures: dict[str, float]) -> None:
    """Time the very first fits of what `pip install` leaves."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, package = timed(lambda: wheel(Path(folder)))
        figures["wheel built, seconds"] = seconds
        for name, parameters in FITS.items():
            elapsed, processor = medians(first_fit(parameters), f"{folder}/cache", package)
            figures[f"{name} of a wheel, seconds"] = elapsed
            figures[f"{name} of a wheel, seconds of processor"] = processor
        (events,) = run(COUNTED, f"{folder}/cache", package)
        figures["compilations in a first fit of a wheel"] = int(events) // 2


def main() -> None:
    """Time each in new processes; report medians of five, cold compilation once."""
    options = parser(__doc__ or "").parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as cache:
        for name, code in IMPORTS.items():
            run(code, cache)
            figures[f"{name}, seconds"] = statistics.median(
                timed(lambda code=code: run(code, cache))[0] for _ in range(5)
            )
    from_a_wheel(figures)
    from_sources(figures)
    report(figures, options.json)


if __name__ == "__main__":
    main()

"""What a new process waits for: imports and the first fit. python -m benchmarks.startup."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from benchmarks.harness import parser, report, timed

FIRST_FIT = """
import numpy as np
from rbig_numba import RBIG
import time
start = time.perf_counter()
X = np.random.default_rng(0).normal(size=(1000, 3))
RBIG(n_blocks=2, random_state=0, **{parameters}).fit(X)
print(time.perf_counter() - start)
"""
FITS = {
    "first fit": {"blocks": "classic", "rotation": "pca"},
    "first fit, competing blocks": {},
}
IMPORTS = {
    "import scikit-learn (mixture)": "import sklearn.mixture",
    "import rbig_numba.RBIG": "from rbig_numba import RBIG",
}


def run(code: str, cache: str) -> str:
    """Run code in a new Python process with the given folder of compiled kernels."""
    environment = os.environ | {"NUMBA_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


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
        for name, parameters in FITS.items():
            code = FIRST_FIT.replace("{parameters}", repr(parameters))
            with tempfile.TemporaryDirectory() as empty:
                figures[f"{name}, cold, seconds"] = float(run(code, empty))
            run(code, cache)
            figures[f"{name}, cached, seconds"] = statistics.median(
                float(run(code, cache)) for _ in range(5)
            )
    report(figures, options.json)


if __name__ == "__main__":
    main()

"""The programs of the documents run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from rbig_numba.tables import write_table

ROOT = Path(__file__).parents[2]


def program(document, start):
    codes = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    return next(code for code in codes if code.startswith(start))


def run(code, folder):
    # A file, for processes that a cluster spawns read it again.
    (folder / "program.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        check=True,
    ).stdout


def test_cluster(tmp_path):
    printed = run(program("docs/scale.md", "import dask.array"), tmp_path)
    score, deviations = printed.splitlines()
    # Entropy of five gamma(2) columns: -5 x 1.577 nats; their standard deviation is sqrt(2).
    assert abs(float(score) + 5 * 1.5772) < 0.05
    np.testing.assert_allclose(np.fromstring(deviations[1:-1], sep=" "), np.sqrt(2), atol=0.05)


def test_larger_than_memory(tmp_path):
    rows = np.random.default_rng(0).gamma(2.0, size=(5000, 2))
    write_table(tmp_path / "table.parquet", rows, ["a", "b"])
    (tmp_path / "weather").mkdir()
    for number in range(2):
        frame = pd.DataFrame(rows[number::2], columns=["rain", "wind"])
        frame = frame.assign(station="Oslo", day="2024-01-01")
        frame.to_csv(tmp_path / "weather" / f"{number}.csv.gz", index=False)
    run(program("README.md", "import dask.dataframe"), tmp_path)
    assert {"model.rbig", "weather.rbig"} <= {path.name for path in tmp_path.iterdir()}

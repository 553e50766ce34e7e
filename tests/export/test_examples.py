"""The example runs, prints its table and draws its pictures."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_warm_start(tmp_path):
    command = [sys.executable, "-m", "examples.warm_start", "--epochs", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    table = {line[:62].strip(): line[62:].split() for line in done.stdout.splitlines()}
    assert float(table["diagonal: held-out, fitted start"][-1]) > -1.35
    assert table["coupling: largest of each last kernel, before training"][-3:] == ["0", "to", "0"]
    assert float(table["the same, fine-tuned"][-1]) > -1.17
    names = ("latents", "training", "densities", "samples")
    pictures = {f"{flow}_{name}.png" for flow in ("diagonal", "coupling") for name in names}
    assert {path.name for path in tmp_path.iterdir()} == pictures

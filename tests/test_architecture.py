"""The shape of the code: who may import whom, and how long a file may be."""

import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for folder in ("rbig_numba", "export", "tests", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
)


def python(script):
    """Run a script from the project's root in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, text=True, capture_output=True, check=False
    )


def test_import_contracts():
    script = "import sys; sys.path.append('export')"
    script += "; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = python(script)
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_is_light():
    heavy = {"dask", "keras", "matplotlib", "numba", "tensorflow"}
    done = python(f"import sys, rbig_numba; print({heavy} & sys.modules.keys())")
    assert done.stdout == "set()\n", done.stderr


def test_files_are_short():
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in SOURCES}
    assert {path: length for path, length in lengths.items() if length > 400} == {}
    shipped = [n for path, n in lengths.items() if path.parts[0] in {"rbig_numba", "export"}]
    # Files of under 15 lines say nothing of how the rest is cut.
    assert statistics.median(n for n in shipped if n > 15) <= 150


def test_no_path_of_one_machine():
    own = re.compile(r"(?<![\w.<])/(?:work|root|home|Users)/\w")
    texts = [*SOURCES, *ROOT.glob("*.*"), ROOT / "Makefile", *ROOT.glob("docs/**/*.md")]
    found = [path for path in texts if path.is_file() and own.search(path.read_text())]
    assert found == []

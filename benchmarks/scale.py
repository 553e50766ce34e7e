"""From 1e5 rows to 1e7, from memory, from files and on two workers: python -m benchmarks.scale.

Each fit runs in a process of its own, which compiles on a few rows first, and tells its peak of
resident memory. Two Dask workers of one thread stand against one such worker.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import parser, report, timed
from benchmarks.rows import PLAIN, skewed_chunks, skewed_rows
from rbig_numba import RBIG
from rbig_numba.tables import table_writer

N_COLUMNS, N_BLOCKS, N_COMPONENTS = 10, 8, 8
PARTITIONS = 20


def model() -> RBIG:
    return RBIG(N_BLOCKS, n_components=N_COMPONENTS, **PLAIN)


def peak_mib() -> float:
    """Return the process's peak of resident memory in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def local_fit(kind: str, path: Path) -> dict[str, float]:
    """Fit rows from memory, a mapped file or a path."""
    fitted = model().fit(skewed_rows(5000, 0, N_COLUMNS).astype(np.float32))  # compiles
    table: Any = path
    if kind == "memory":
        table = np.load(path)
    elif kind == "memmap":
        table = np.load(path, mmap_mode="r")
    seconds, fitted = timed(lambda: model().fit(table))
    return {"seconds": seconds, "peak": peak_mib(), "train": fitted.history_[-1]["train"]}


def cluster_fit(n_workers: int, path: Path) -> dict[str, float]:
    """Fit a Dask array on workers of one thread each, which read their rows themselves."""
    warnings.simplefilter("ignore")
    import dask.array as da
    from distributed import Client, LocalCluster

    n_rows = len(np.load(path, mmap_mode="r"))
    size = n_rows // PARTITIONS
    options = {"n_workers": n_workers, "threads_per_worker": 1, "memory_limit": "4GiB"}
    with (
        LocalCluster(**options, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster),
    ):

        def read(block_info: Any) -> np.ndarray:
            (start, stop), _ = block_info[None]["array-location"]
            return np.array(np.load(path, mmap_mode="r")[start:stop])

        chunks = ((size,) * PARTITIONS, (N_COLUMNS,))
        rows = da.map_blocks(read, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0), "f4"))
        model().fit(rows[: 2 * size : 100].rechunk((size // 100, N_COLUMNS)))  # compiles
        seconds, fitted = timed(lambda: model().fit(rows))
    return {"seconds": seconds, "peak": peak_mib(), "train": fitted.history_[-1]["train"]}


def child(kind: str, path: Path) -> dict[str, float]:
    """Run one fit in a new process."""
    command = [sys.executable, "-m", "benchmarks.scale", "--child", kind, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def write_tables(folder: Path, n_rows: int) -> None:
    for suffix in (".npy", ".parquet"):
        with table_writer(folder / f"{n_rows}{suffix}", None) as append:
            for chunk in skewed_chunks(n_rows, N_COLUMNS):
                append(chunk)


def measure(folder: Path, n_rows: int, repeats: int) -> dict[str, float]:
    """Run all kinds in turn, `repeats` times; ratios are taken round by round."""
    small = n_rows // 100
    write_tables(folder, n_rows)
    np.save(folder / f"{small}.npy", np.load(folder / f"{n_rows}.npy", mmap_mode="r")[:small])
    rounds = []
    for _ in range(repeats):
        npy = folder / f"{n_rows}.npy"
        rounds.append(
            {
                "small": child("memory", folder / f"{small}.npy"),
                "memory": child("memory", npy),
                "memmap": child("memmap", npy),
                "Parquet": child("path", npy.with_suffix(".parquet")),
                "one worker": child("1", npy),
                "two workers": child("2", npy),
            }
        )

    def median(kind: str, key: str) -> float:
        return statistics.median(one[kind][key] for one in rounds)

    def ratio(kind: str, other: str) -> float:
        return statistics.median(one[kind]["seconds"] / one[other]["seconds"] for one in rounds)

    figures: dict[str, float] = {"rows": n_rows, "columns": N_COLUMNS, "blocks": N_BLOCKS}
    figures |= {f"{kind}, seconds": median(kind, "seconds") for kind in rounds[0]}
    figures[f"time per row, {n_rows:,} rows over {small:,}"] = ratio("memory", "small") / 100
    for kind in ("memmap", "Parquet"):
        figures[f"{kind}, times in-memory time"] = ratio(kind, "memory")
        figures[f"{kind}, peak MiB"] = median(kind, "peak")
    figures["in memory, peak MiB"] = median("memory", "peak")
    figures["two workers, times faster than one"] = ratio("one worker", "two workers")
    train = [one["train"] for one in rounds[0].values()][1:]
    figures["largest difference of training nats"] = max(train) - min(train)
    return figures


def main() -> None:
    """Write the tables, run all fits, report medians and ratios."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--child", nargs=2, metavar=("KIND", "PATH"), help="one fit, for itself")
    options = arguments.parse_args()
    if options.child:
        kind, path = options.child[0], Path(options.child[1])
        result = cluster_fit(int(kind), path) if kind.isdigit() else local_fit(kind, path)
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as folder:
        report(measure(Path(folder), options.rows, options.repeats), options.json)


if __name__ == "__main__":
    main()

"""`python -m examples.demo --out out [--table my.csv]`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

# Before Keras is imported, which reads them once. TensorFlow logs its start-up otherwise, and that
# line about oneDNN comes at any log level.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
from rich.console import Console
from rich.table import Table

from examples.demo import pictures
from examples.demo.compare import COMPILE_ROWS, N_BLOCKS, SCORED_ROWS, Comparison, compare, subset
from examples.demo.patches import load_patches
from rbig_numba.tables import read_table

HELD_OUT_SHARE = 0.1


def main() -> int:
    arguments = _arguments()
    started = time.perf_counter()
    try:
        train, held_out, names = _rows(arguments.table)
        arguments.out.mkdir(parents=True, exist_ok=True)
        with Console(stderr=True).status("") as status:
            comparison = compare(train, held_out, lambda step: status.update(f"Fitting {step} ..."))
            status.update("Drawing ...")
            _write(arguments.out, comparison, train, held_out, names)
    except (OSError, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    _print(comparison, train, held_out)
    seconds = time.perf_counter() - started
    print(f"Wrote the model, the flow and three pictures to {arguments.out}/ ({seconds:.0f} s).")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results")
    parser.add_argument("--table", type=Path, help="your own table: a file, or a folder of Parquet")
    return parser.parse_args()


def _rows(table: Path | None) -> tuple[np.ndarray, np.ndarray, list[str] | None]:
    """Return training rows, held-out rows and, for a person's own table, the columns' names."""
    if table is None:
        return *load_patches(), None
    rows, names = read_table(table)
    if len(rows) < 20:
        raise ValueError(f"{table}: has {len(rows)} rows; the comparison needs at least 20")
    unusable = np.flatnonzero(~np.isfinite(rows).all(axis=0) | (np.ptp(rows, axis=0) == 0))
    names = names or [f"x{j}" for j in range(rows.shape[1])]
    if unusable.size:
        raise ValueError(
            f"{table}: column {names[unusable[0]]!r} is constant or holds NaN or infinity: "
            "drop it, or the rows"
        )
    order = np.random.default_rng(0).permutation(len(rows))
    held_out, train = np.split(order, [int(np.ceil(HELD_OUT_SHARE * len(rows)))])
    return rows[train], rows[held_out], names


def _write(
    out: Path,
    comparison: Comparison,
    train: np.ndarray,
    held_out: np.ndarray,
    names: list[str] | None,
) -> None:
    model = comparison.model
    model.save(out / "model.rbig")
    comparison.flow.save(out / "flow.keras")
    pictures.draw_curve(out / "held_out.png", model)
    pictures.draw_latents(out / "latents.png", model, held_out)
    real = subset(train, 20_000)
    sampled = model.sample(len(real), random_state=0)
    if names is None:
        pictures.draw_patches(out / "patches.png", real, sampled)
    else:
        pictures.draw_pair(out / "pair.png", real, sampled, names)


def _print(comparison: Comparison, train: np.ndarray, held_out: np.ndarray) -> None:
    sizes = f"{len(train):,} training and {len(held_out):,} held-out rows, {train.shape[1]} columns"
    table = Table(
        title=sizes,
        caption=f"RBIG has {N_BLOCKS} blocks at most and else default parameters; "
        f"a fit of {COMPILE_ROWS:,} rows compiled it before.\n"
        f"All score the same {min(SCORED_ROWS, len(held_out)):,} held-out rows, drawn at random.",
    )
    table.add_column("model")
    table.add_column("held-out nats per row", justify="right")
    table.add_column("seconds", justify="right")
    for result in comparison.results:
        table.add_row(result.name, f"{result.nats:.3f}", f"{result.seconds:.1f}")
    Console().print(table)
    print(f"\nThe exported flow against the model, largest differences:\n{comparison.parity}\n")


if __name__ == "__main__":
    sys.exit(main())

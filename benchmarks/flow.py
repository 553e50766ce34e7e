"""The Keras flow: steps of training, and the warm start, against how both are usually written.

python -m benchmarks.flow [--json OUT]; needs Keras.
"""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from benchmarks.harness import parser, report, timed
from benchmarks.notebook import Notebook
from benchmarks.plain_flow import plain_flow
from rbig_keras import base_nll_loss, initialize_flow_from_ig, make_gaussianization_flow

N_BLOCKS, N_COMPONENTS, BATCH, STEPS, ROUNDS = 8, 8, 512, 40, 7
START_ROWS, START_COLUMNS = 100_000, 8


class Epochs(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock."""
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop it."""
        self.seconds.append(time.perf_counter() - self.begun)


def step_seconds(flows: dict[str, keras.Model], n_columns: int) -> dict[str, float]:
    """Return the median seconds of a step of each, timed by turns after an epoch to warm up."""
    rows = np.random.default_rng(0).normal(size=(BATCH * STEPS, n_columns)).astype("float32")
    seconds: dict[str, list[float]] = {name: [] for name in flows}
    for number in range(1 + ROUNDS):
        for name, flow in flows.items():
            epochs = Epochs()
            flow.fit(rows, rows, batch_size=BATCH, verbose=0, callbacks=[epochs])
            if number:
                seconds[name] += epochs.seconds
    return {name: float(np.median(each)) / STEPS for name, each in seconds.items()}


def steps(n_columns: int) -> dict[str, float]:
    """Compare steps of flows of a number of columns, compiled by XLA and not."""
    none, xla = {"jit_compile": False}, {"jit_compile": True}
    compared = {  # left alone, plain flows take single steps, ours 16 in one go
        "plain": (plain_flow, none),
        "ours": (make_gaussianization_flow, none),
        "plain, XLA": (plain_flow, xla),
        "ours, XLA": (make_gaussianization_flow, xla),
        "plain, XLA, 16 in one go": (plain_flow, {**xla, "steps_per_execution": 16}),
        "ours, XLA, single steps": (make_gaussianization_flow, {**xla, "steps_per_execution": 1}),
    }
    flows = {}
    for name, (make, how) in compared.items():
        flows[name] = make(n_columns, N_BLOCKS, num_components=N_COMPONENTS)
        flows[name].compile(keras.optimizers.Adam(1e-3), loss=base_nll_loss, **how)
    seconds = step_seconds(flows, n_columns)
    start = f"step, {n_columns} columns"
    return {
        **{f"{start}, {name}, ms": 1e3 * each for name, each in seconds.items()},
        f"{start}, times faster": seconds["plain"] / seconds["ours"],
        f"{start}, times faster, XLA": seconds["plain, XLA"] / seconds["ours, XLA"],
        f"{start}, times faster, XLA over none": seconds["plain"] / seconds["ours, XLA"],
    }


def warm_start() -> dict[str, float]:
    """Compare the start of all blocks with scikit-learn's PCA and mixtures."""
    rng = np.random.default_rng(0)
    rows = rng.gamma(2.0, size=(START_ROWS, START_COLUMNS)) @ rng.normal(size=(START_COLUMNS, 8))
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    flow = make_gaussianization_flow(START_COLUMNS, N_BLOCKS, num_components=N_COMPONENTS)
    initialize_flow_from_ig(flow, rows[:2000])  # compiles the engine; layers compile for many rows
    seconds = [timed(lambda: initialize_flow_from_ig(flow, rows))[0] for _ in range(4)]
    theirs, _ = timed(lambda: Notebook(N_BLOCKS, N_COMPONENTS).fit(rows))
    ours = float(np.median(seconds[1:]))
    return {
        "warm start, ours, first call, s": seconds[0],
        "warm start, ours, s": ours,
        "warm start, scikit-learn, s": theirs,
        "warm start, times faster, first call": theirs / seconds[0],
        "warm start, times faster": theirs / ours,
    }


def main() -> None:
    """Print all figures."""
    options = parser(__doc__ or "").parse_args()
    report({**steps(2), **steps(16), **warm_start()}, options.json)


if __name__ == "__main__":
    main()

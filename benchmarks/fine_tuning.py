"""What training by gradients adds to a greedy fit, and what that is worth as its start.

python -m benchmarks.fine_tuning --data DIR [--page docs/fine_tuning.md], DIR as in
`benchmarks.quality`. A model is fitted to the training rows and exported; the flow is then trained
from there, and, for as long, from a random start. Needs Keras.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.harness import machine, parser, report
from benchmarks.judging import Table
from benchmarks.readme import END, START
from benchmarks.sources import tables
from rbig_keras import Householder, MixtureCDFGaussianization, export_to_keras, fine_tune
from rbig_keras.factories import WIDTH
from rbig_keras.push import pushed
from rbig_numba import RBIG

TABLES = ("power_h1_2007", "magic", "casp")
MODELS = {
    "classic, 8 blocks": {"blocks": "classic", "rotation": "ica", "n_blocks": 8},
    "default": {},
}
SECONDS = 60.0
LEARNING_RATES = {"classic, 8 blocks": 3e-3, "default": 1e-3}


class Stopwatch(keras.callbacks.Callback):
    """Ends training when its time, compilation included, is up."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.end = time.perf_counter() + seconds

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop training."""
        if time.perf_counter() > self.end:
            self.model.stop_training = True


def trained(flow: Any, table: Table, seed: int, seconds: float, learning_rate: float) -> float:
    """Return the mean test log-density of a flow trained for some seconds."""
    fine_tune(
        flow,
        table.train.astype("float32"),
        validation_data=table.validation.astype("float32"),
        learning_rate=learning_rate,
        seed=seed,
        callbacks=[Stopwatch(seconds)],
    )
    return score(flow, table)


def score(flow: Any, table: Table) -> float:
    return float(np.mean(flow.log_prob(table.test), dtype=float))


def randomised(flow: Any, table: Table, seed: int) -> Any:
    """Return the flow with random rotations, and mixtures at the quantiles of the rows before."""
    rng = np.random.default_rng(seed)
    rows = table.train
    for layer in flow.bijector_layers:
        if isinstance(layer, Householder):
            layer.v.assign(rng.normal(size=layer.v.shape))
        elif isinstance(layer, MixtureCDFGaussianization):
            layer.adapt_means_from_quantiles(rows)
            mean, deviation = rows.mean(axis=0)[:, None], rows.std(axis=0)[:, None]
            # As wide as the column: the mixture's variance is the column's.
            layer.means.assign(mean + np.sqrt(1.0 - WIDTH**2) * (layer.means.numpy() - mean))
            layer.log_scales.assign(np.log(WIDTH * deviation) + np.zeros(layer.means.shape))
        rows = pushed(layer, rows)
    return flow


def compare(table: Table, kind: str, seed: int, seconds: float) -> dict[str, float]:
    """Return mean test log-densities, in nats, of a model, of its flow trained, and of another."""
    started = time.perf_counter()
    model = RBIG(**MODELS[kind], random_state=seed).fit(table.train)
    fit_seconds, rate = time.perf_counter() - started, LEARNING_RATES[kind]
    flow = export_to_keras(model)
    figures = {
        "fit, s": fit_seconds,
        "greedy fit": score(flow, table),
        "fine-tuned": trained(flow, table, seed, seconds, rate),
    }
    if kind != "default":
        start = randomised(export_to_keras(model), table, seed)
        figures["from a random start"] = trained(start, table, seed, seconds + fit_seconds, rate)
    return figures


def table_of(rows: dict[tuple[str, str, int], dict[str, float]], seconds: float) -> str:
    """Return the table of docs/fine_tuning.md."""
    heads = ("fit, s", "greedy fit", "fine-tuned", "from a random start")
    lines = [f"| table | model | seed | {' | '.join(heads)} |", "|---" * (3 + len(heads)) + "|"]
    for (table, kind, seed), row in rows.items():
        shown = [f"{row[head]:.2f}" if head in row else "" for head in heads]
        lines.append(f"| {table} | {kind} | {seed} | {' | '.join(shown)} |")
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    facts += f", keras {keras.__version__}"
    return "\n".join([*lines, "", f"Trained for {seconds:g} s each.", f"Measured on: {facts}."])


def main() -> None:
    """Compare on all tables with all seeds."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--data", type=Path, required=True, help="a folder of .npy tables")
    arguments.add_argument("--page", type=Path, help="where to replace the table")
    arguments.add_argument("--only", nargs="*", default=TABLES, help="names of tables")
    arguments.add_argument("--seeds", type=int, default=3, help="how many")
    arguments.add_argument("--seconds", type=float, default=SECONDS, help="of training, each")
    options = arguments.parse_args()
    rows: dict[tuple[str, str, int], dict[str, float]] = {}
    for table in tables(options.data, options.only):
        for kind in MODELS:
            for seed in range(options.seeds):
                row = compare(table, kind, seed, options.seconds)
                rows[table.name, kind, seed] = row
                print(table.name, kind, seed, row, flush=True)
    figures = {
        f"{', '.join(map(str, key))}, {head}": value
        for key, row in rows.items()
        for head, value in row.items()
    }
    report(figures, options.json)
    if options.page:
        text = options.page.read_text().split(START)[0]
        options.page.write_text(f"{text}{START}\n{table_of(rows, options.seconds)}\n{END}\n")


if __name__ == "__main__":
    main()

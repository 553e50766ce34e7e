"""Columns as people have them: how near fits come to the truth, and whether samples are valid.

python -m benchmarks.columns [--json OUT]. Made tables of 20,000 rows (`benchmarks/made.py`), judged
by 4,000 others and by 100,000 samples; and the time that `columns="auto"` adds to a fit of real
columns.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from scipy.stats import spearmanr

from benchmarks.estimators import compile_kernels
from benchmarks.harness import parser, report, timed
from benchmarks.made import COLUMNS, TABLES, Table
from rbig_numba import RBIG

N_ROWS, N_TEST, N_SAMPLES = 20_000, 4_000, 100_000
POINTS = (4, 16, 64, 256)
TIMED_ROWS, TIMED_COLUMNS, TIMES = 100_000, 8, 3


def judged(table: Table, seed: int = 0) -> dict[str, float]:
    """Fit a table, and compare scores and samples with the truth."""
    rng = np.random.default_rng(seed)
    train, test = table.draw(N_ROWS, rng), table.draw(N_TEST, rng)
    truth = float(table.log_prob(test).mean())
    seconds, model = timed(lambda: RBIG(columns="auto", random_state=seed).fit(train))
    found = {"truth, nats": truth, "fit, seconds": seconds}
    for n_points in POINTS:
        model.columns_.n_points = n_points
        found[f"below the truth, {n_points} points"] = truth - model.score(test)
    samples = model.sample(N_SAMPLES, random_state=seed)
    return found | compared(table, samples, table.draw(N_SAMPLES, rng))


def compared(table: Table, samples: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """Compare samples with as many rows of the truth."""
    checks = zip(table.kinds, samples.T, strict=True)
    valid = np.stack([COLUMNS[kind].valid(column) for kind, column in checks])
    pairs = zip(samples.T, drawn.T, strict=True)
    ranks = np.abs(spearmanr(samples)[0] - spearmanr(drawn)[0])
    return {
        "invalid values": float((~valid).sum()),
        "atoms' shares, standard errors": max(_off(*pair) for pair in pairs),
        "rank correlations, off by": float(ranks.max()),
    }


def _off(samples: np.ndarray, drawn: np.ndarray) -> float:
    """Return the largest difference of an atom's shares, in standard errors.

    Of those of the samples, of the rows of the truth, and of the rows that were fitted.
    """
    values, counts = np.unique(drawn, return_counts=True)
    values, shares = values[counts >= 100], counts[counts >= 100] / len(drawn)
    found = np.array([(samples == value).mean() for value in values])
    variance = shares * (1.0 - shares) * (2.0 / len(drawn) + 1.0 / N_ROWS)
    return float(np.max(np.abs(found - shares) / np.sqrt(variance), initial=0.0))


def time_of_auto() -> float:
    """Return processor time of a fit with "auto" over that without, of real columns; a median."""
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(TIMED_ROWS, TIMED_COLUMNS)) @ rng.normal(size=(8, TIMED_COLUMNS))
    rows = np.where(mixed > 0.0, mixed, np.expm1(0.3 * mixed))
    ratios = []
    for _ in range(TIMES):
        seconds = []
        for columns in (None, "auto"):
            start = time.process_time()
            RBIG(random_state=0, columns=columns).fit(rows)
            seconds.append(time.process_time() - start)
        ratios.append(seconds[1] / seconds[0])
    return statistics.median(ratios)


def main() -> None:
    """Report all tables, and the worst of them."""
    options = parser(__doc__ or "").parse_args()
    compile_kernels(TIMED_COLUMNS)
    found = {name: judged(table) for name, table in TABLES.items()}
    figures = {
        f"{name}: {what}": value for name, each in found.items() for what, value in each.items()
    }
    for what in found["all"]:
        if what not in ("truth, nats", "fit, seconds"):
            figures[f"worst table: {what}"] = max(each[what] for each in found.values())
    figures["auto: times the fit of real columns"] = time_of_auto()
    report(figures, options.json)


if __name__ == "__main__":
    main()

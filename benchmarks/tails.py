"""The tail rule: what far and worst rows get with the background component, without, and others.

python -m benchmarks.tails --data DIR [--page docs/tails.md], DIR as in `benchmarks.quality`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from scipy.stats import norm
from sklearn.datasets import make_moons

from benchmarks.harness import machine, parser, report
from benchmarks.judging import Table
from benchmarks.notebook import CLIP
from benchmarks.readme import END, START
from benchmarks.sources import tables
from rbig_numba import RBIG
from rbig_numba.bijections import components, mixture
from rbig_numba.bijections.mixture import Mixture

TABLES = ("two moons", "magic", "htru2", "parkinsons", "cms_zmumu")
N_RAYS, DISTANCES = 64, np.geomspace(3.0, 1000.0, 60)
BLOCKS, EDGE, JOINT_ROWS = ("classic", "auto"), 3.5, 5.0


class Rule(NamedTuple):
    """Weight in rows and standard deviations of the background; how columns are Gaussianized.

    Joint mixtures get JOINT_ROWS at most.
    """

    rows: float
    scale: float = 2.0
    score: Callable[[Mixture, np.ndarray], tuple[np.ndarray, np.ndarray]] = Mixture.forward


def clipped(mixture: Mixture, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep F within [CLIP, 1 - CLIP], as peers do."""
    z, log_det = mixture.forward(x)
    kept = np.clip(z, norm.ppf(CLIP), norm.isf(CLIP))
    return kept, log_det + (norm.logpdf(z) - norm.logpdf(kept)).sum(axis=1)


def continued(mixture: Mixture, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Go on in proportion beyond |z| = EDGE, with the slope there, or 1 if that is less."""
    ends = EDGE * np.ones((2, x.shape[1])) * [[-1.0], [1.0]]
    edges = mixture.inverse(ends)[0]
    inside = np.clip(x, *edges)
    z, log_det = mixture.forward(inside)
    for j in range(x.shape[1]):
        column = Mixture(*(array[j : j + 1] for array in mixture.arrays().values()))
        log_slopes = column.forward(edges[:, j : j + 1])[1]
        log_slope = np.where(x[:, j] < edges[0, j], *log_slopes)
        slope, outside = np.exp(np.minimum(log_slope, 0.0)), x[:, j] != inside[:, j]
        z[:, j] += slope * (x - inside)[:, j]
        log_det += np.where(outside, np.minimum(-log_slope, 0.0), 0.0)
    return z, log_det


RULES = {
    "none": Rule(0.0),
    "F clipped": Rule(0.0, score=clipped),
    "straight on": Rule(0.0, score=continued),
    "1 row, scale 2": Rule(1.0),
    "5 rows, scale 2": Rule(5.0),
    "20 rows, scale 2": Rule(20.0),
    "50 rows, scale 2": Rule(50.0),
    "5 rows, scale 1": Rule(5.0, 1.0),
    "5 rows, scale 4": Rule(5.0, 4.0),
}


@contextmanager
def ruled(rule: Rule) -> Iterator[None]:
    """Fit with another background."""
    joint_rows = min(rule.rows, JOINT_ROWS)
    with (
        warnings.catch_warnings(),
        patch.multiple(mixture, BACKGROUND_ROWS=rule.rows, BACKGROUND_SCALE=rule.scale),
        patch.multiple(components, BACKGROUND_ROWS=joint_rows, BACKGROUND_SCALE=rule.scale),
    ):
        warnings.simplefilter("ignore")  # ties, and the log of no weight
        yield


def log_prob(model: RBIG, rule: Rule, rows: np.ndarray) -> np.ndarray:
    """Return log-densities of rows, columns Gaussianized as a rule says."""
    log_det = np.zeros(len(rows))
    for step in model.flow_.bijections:
        rows, added = rule.score(step, rows) if isinstance(step, Mixture) else step.forward(rows)
        log_det += added
    return log_det + norm.logpdf(rows).sum(axis=1)


def figures(log_prob_of: Callable[[np.ndarray], np.ndarray], test: np.ndarray) -> dict[str, float]:
    """Return how test rows fare, and rays from the mean out to 1,000 standard deviations."""
    scores = log_prob_of(test)
    directions = np.random.default_rng(0).standard_normal((N_RAYS, test.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rays = log_prob_of((DISTANCES[:, None, None] * directions).reshape(-1, test.shape[1]))
    rays = rays.reshape(len(DISTANCES), N_RAYS)
    rises = (rays - np.minimum.accumulate(rays)).max(axis=0)
    return {
        "mean": float(scores.mean()),
        "0.1 % quantile": float(np.quantile(scores, 1e-3)),
        "worst row": float(scores.min()),
        "rays that fall": float((rises <= 0.0).mean()),
        "median rise": float(np.median(rises)),
        "highest rise": float(rises.max()),
        "at 1,000 sd": float(np.median(rays[-1])),
        "finite": float(np.isfinite(rays).mean()),
    }


def moons() -> Table:
    train, _ = make_moons(5000, noise=0.05, random_state=0)
    test, _ = make_moons(20_000, noise=0.05, random_state=1)
    mean, sd = train.mean(axis=0), train.std(axis=0)
    return Table("two moons", (train - mean) / sd, train[:0], (test - mean) / sd)


def tables_of(found: dict[tuple[str, str], dict[str, dict[str, float]]]) -> str:
    """Return the tables of docs/tails.md."""
    lines = []
    for (table, blocks), rows in found.items():
        heads = next(iter(rows.values()))
        lines += ["", f"## {table}, blocks {blocks}", "", f"| rule | {' | '.join(heads)} |"]
        lines.append("|---" * (len(heads) + 1) + "|")
        for rule, row in rows.items():
            lines.append(f"| {rule} | {' | '.join(f'{value:,.4g}' for value in row.values())} |")
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    return "\n".join([*lines, "", f"Measured on: {facts}.", ""])


def main() -> None:
    """Compare all rules on all tables."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--data", type=Path, required=True, help="a folder of .npy tables")
    arguments.add_argument("--page", type=Path, help="where to replace the tables")
    arguments.add_argument("--only", nargs="*", default=TABLES, help="names of tables")
    options = arguments.parse_args()
    found: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for table in [moons(), *tables(options.data, TABLES)]:
        rows = np.concatenate([table.train, table.validation])
        for blocks in BLOCKS if table.name in options.only else ():
            for name, rule in RULES.items():
                if blocks != "classic" and rule.score is not Mixture.forward:
                    continue  # other blocks have far rows too, which this would leave as they are
                with ruled(rule):
                    model = RBIG(blocks=blocks, random_state=0).fit(rows)
                row = figures(partial(log_prob, model, rule), table.test)
                found.setdefault((table.name, blocks), {})[name] = row
                shown = ", ".join(f"{key} {value:.4g}" for key, value in row.items())
                print(f"{table.name:10} {blocks:8} {name:22} {shown}", flush=True)
    each = {f"{t}, {b}, {n}": row for (t, b), rows in found.items() for n, row in rows.items()}
    report({f"{k}, {head}": row[head] for k, row in each.items() for head in row}, options.json)
    if options.page:
        text = options.page.read_text().split(START)[0]
        options.page.write_text(f"{text}{START}\n{tables_of(found)}{END}\n")


if __name__ == "__main__":
    main()

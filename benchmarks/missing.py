"""What a fit keeps of a density where cells are missing, and how well it fills them.

python -m benchmarks.missing --data DIR [--tables NAME ...] [--page MD] [--json OUT]. A fifth of the
cells of training and of test rows, at random, is taken away. Imputers are fitted to training rows
and fill test rows. CRPS (Gneiting and Raftery 2007, "Strictly proper scoring rules, prediction, and
estimation", eq. 21; of one value the absolute error) and RMSE in units of standard deviations.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import multivariate_normal
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from benchmarks.harness import machine, parser, report, timed
from benchmarks.readme import END, START, lines
from rbig_numba import RBIG, warm

TABLES, SHARE, MOST_ROWS, TEST_ROWS, DRAWS = ("magic", "power_h1_2007"), 0.2, 20_000, 2000, 20


def split(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test rows, standardised: of all, or of so many at random."""
    rows = np.load(path).astype(np.float64)
    rows = rows[np.random.default_rng(0).permutation(len(rows))][:MOST_ROWS]
    fifth = len(rows) // 5
    train, test = rows[fifth:], rows[:fifth]
    return tuple((side - train.mean(axis=0)) / train.std(axis=0) for side in (train, test))


def with_holes(rows: np.ndarray, seed: int) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(rows.shape) < SHARE, np.nan, rows)


def crps(draws: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean CRPS of draws (M, n) of cells (n,)."""
    n_draws = len(draws)
    order = np.sort(draws, axis=0)
    ranks = 2.0 * np.arange(n_draws) - n_draws + 1.0
    spread = (ranks[:, None] * order).sum(axis=0) / max(n_draws * (n_draws - 1.0) / 2.0, 1.0)
    return float((np.abs(draws - truth).mean(axis=0) - 0.5 * spread).mean())


def density(train: np.ndarray, test: np.ndarray) -> tuple[dict[str, Any], RBIG]:
    """Compare held-out whole rows under fits to whole rows and to those with holes."""
    gaussian = multivariate_normal(train.mean(axis=0), np.cov(train.T)).logpdf(test).mean()
    seconds, whole = timed(lambda: RBIG(random_state=0).fit(train))
    holes = with_holes(train, 1)
    model_seconds, model = timed(lambda: RBIG(random_state=0, missing="model").fit(holes))
    gain, kept = whole.score(test) - gaussian, model.score(test) - gaussian
    return {
        "whole rows: nats over a Gaussian": gain,
        "cells missing: nats over a Gaussian": kept,
        "share of the gain kept": kept / gain,
        "whole rows: fit, seconds": seconds,
        "cells missing: fit, seconds": model_seconds,
        "cells missing: blocks": ", ".join(r["kind"] for r in model.history_ if r["kept"]),
    }, model


def imputation(model: RBIG, train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Fill the holes of test rows in four ways."""
    holed_train, holed = with_holes(train, 1), with_holes(test[:TEST_ROWS], 2)
    gaps = np.isnan(holed)
    truth = test[:TEST_ROWS][gaps]
    figures: dict[str, Any] = {}

    def measure(name: str, fill: Callable[[], np.ndarray]) -> None:
        seconds, filled = timed(fill)
        draws = filled.reshape(-1, *holed.shape)[:, gaps]
        figures[f"{name}: CRPS"] = crps(draws, truth)
        figures[f"{name}: RMSE of the mean"] = float(
            np.sqrt(np.square(draws.mean(axis=0) - truth).mean())
        )
        figures[f"{name}: seconds"] = seconds

    def fitted(**options: Any) -> IterativeImputer:
        return IterativeImputer(random_state=0, **options).fit(holed_train)

    def posterior() -> np.ndarray:
        imputer = fitted(sample_posterior=True)
        return np.stack([imputer.transform(holed) for _ in range(DRAWS)])

    trees = HistGradientBoostingRegressor(random_state=0)
    measure("draws (without the fit)", lambda: model.impute(holed, DRAWS, 0))
    measure("means (without the fit)", lambda: model.impute(holed, 0, 0))
    measure("IterativeImputer, sample_posterior", posterior)
    measure("IterativeImputer", lambda: fitted().transform(holed))
    measure(
        "IterativeImputer, HistGradientBoosting",
        lambda: fitted(estimator=trees).transform(holed),
    )
    return figures


def table_of(figures: dict[str, Any], where: dict[str, str]) -> str:
    """Return the table of docs/missing.md."""
    facts = ", ".join(f"{name} {value}" for name, value in where.items())
    table = ["| figure | value |", "|---|---|", *lines(figures)]
    return "\n".join([*table, "", f"Measured on: {facts}."])


def main() -> None:
    """Report figures of each table."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--data", type=Path, required=True, help="folder of .npy tables")
    arguments.add_argument("--tables", nargs="+", default=TABLES, help="names of tables")
    arguments.add_argument("--page", type=Path, help="where to replace the figures")
    options = arguments.parse_args()
    warm()
    figures: dict[str, Any] = {}
    for name in options.tables:
        train, test = split(options.data / f"{name}.npy")
        found, model = density(train, test)
        found |= imputation(model, train, test)
        figures |= {f"{name}: {key}": value for key, value in found.items()}
    report(figures, options.json)
    if options.page:
        text = options.page.read_text().split(START)[0]
        options.page.write_text(f"{text}{START}\n{table_of(figures, machine())}\n{END}\n")


if __name__ == "__main__":
    main()

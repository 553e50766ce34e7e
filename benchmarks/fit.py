"""A whole fit, and scoring, against the same algorithm on scikit-learn and SciPy.

python -m benchmarks.fit. The ceiling of a fit is the time that its multiply-adds, or the bytes that
it moves, take at this machine's measured rates, whichever is longer, stage by stage. EM's number of
steps differs from column to column: its ceiling is its time, times the share that one step reaches.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from benchmarks import em, kernels
from benchmarks.ceiling import copy_rate, multiply_add_rate
from benchmarks.harness import parser, report, timed
from benchmarks.notebook import Notebook
from benchmarks.rows import PLAIN, skewed_rows
from rbig_numba import RBIG
from rbig_numba.flow import Flow

N_COLUMNS, N_BLOCKS, N_COMPONENTS = 8, 8, 8
SCORE_ROWS, SCORE_COLUMNS, SCORE_BLOCKS, SCIPY_ROWS = 1_000_000, 10, 20, 10_000


def standardised(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return training and held-out rows."""
    train, held_out = skewed_rows(n_rows, seed=1), skewed_rows(20_000, seed=2)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / deviation, (held_out - mean) / deviation


@dataclass(frozen=True)
class Rates:
    """Of one core: multiply-adds and bytes per second, and the share that a step of EM reaches."""

    multiply_adds: float
    bytes: float
    em_share: float

    @classmethod
    def measured(cls) -> Rates:
        """Measure them here and now."""
        return cls(multiply_add_rate(), copy_rate(), em.share_of_ceiling())

    def ceilings(self, n_rows: int, em_seconds: float) -> dict[str, float]:
        """Return the least thread-seconds of the stages of a fit.

        Multiply-adds of a rotation are D a number, twice a block; of moments (D + 1) / 2; of a
        mixture those of its formula. A histogram reads each number once, a block moves it twice.
        """
        numbers = n_rows * N_COLUMNS * N_BLOCKS
        mixture = (N_COMPONENTS + 1) * kernels.PER_COMPONENT + kernels.PER_ELEMENT
        rotation = 2 * N_COLUMNS * (N_BLOCKS - 1) / N_BLOCKS
        return {
            "rotation": numbers * rotation / self.multiply_adds,
            "histogram": numbers * 8 / self.bytes,
            "em": em_seconds * self.em_share,
            "mixture": numbers * max(mixture / self.multiply_adds, 16 / self.bytes),
            "moments": numbers * (N_COLUMNS + 1) / 2 / self.multiply_adds,
        }


def fit_figures(n_rows: int, pairs: int, rates: Rates) -> dict[str, float]:
    """Time pairs of fits in turn; one block of the competitor's stands for each of its blocks."""
    train, held_out = standardised(n_rows)
    ours = RBIG(N_BLOCKS, n_components=N_COMPONENTS, **PLAIN)
    ours.fit(train[:5000])  # compiles
    seconds, shares = [], []
    for _ in range(pairs):
        # Warms up: right behind the competitor's threads and data a fit takes 1.3 times as long.
        ours.fit(train)
        mine, _ = timed(lambda: ours.fit(train))
        one_block, _ = timed(lambda: Notebook(1, N_COMPONENTS).fit(train))
        seconds.append((mine, N_BLOCKS * one_block))
        shares.append(shares_of_ceiling(ours, rates))
    figures = {
        "rbig_numba, seconds": statistics.median(mine for mine, _ in seconds),
        "scikit-learn + SciPy, seconds": statistics.median(theirs for _, theirs in seconds),
        "times faster": statistics.median(theirs / mine for mine, theirs in seconds),
        "rbig_numba, held-out nats": ours.score(held_out),
        "rbig_numba, worst held-out row": float(ours.score_samples(held_out).min()),
    } | {
        f"share of ceiling, {stage}": statistics.median(share[stage] for share in shares)
        for stage in shares[0]
    }
    return {f"{name}, {n_rows:,} x {N_COLUMNS}": value for name, value in figures.items()}


def shares_of_ceiling(model: RBIG, rates: Rates) -> dict[str, float]:
    """Return the share of the ceiling that each stage of a fit reaches, and all together."""
    spent: dict[str, float] = {}
    for record in model.history_:
        for stage, seconds in record["profile"].items():
            spent[stage] = spent.get(stage, 0.0) + seconds
    best = rates.ceilings(model.n_samples_fit_, spent["em"])
    shares = {stage: best[stage] / spent[stage] for stage in best}
    return shares | {"all stages": sum(best.values()) / sum(spent.values())}


def score_figures(repeats: int) -> dict[str, float]:
    """Time `score_samples` against the formula in NumPy and SciPy.

    The latter in blocks that suit it best, on some of the rows, and through one block of the flow,
    which stands for all, with the whole table at once.
    """
    rows = skewed_rows(SCORE_ROWS, 3, SCORE_COLUMNS)
    model = RBIG(SCORE_BLOCKS, n_components=N_COMPONENTS, **PLAIN)
    model.fit(rows[:50_000])
    some, one_block = rows[:SCIPY_ROWS], Flow(model.flow_.bijections[:2])
    np.testing.assert_allclose(scipy_log_prob(model.flow_, some), model.score_samples(some), 1e-8)
    at_once = SCORE_BLOCKS * timed(lambda: scipy_log_prob(one_block, rows))[0]
    ours, ratios = [], []
    for _ in range(repeats):
        seconds, _ = timed(lambda: model.score_samples(rows))
        theirs, _ = timed(lambda: scipy_log_prob(model.flow_, some))
        ours.append(seconds)
        ratios.append(theirs / SCIPY_ROWS * SCORE_ROWS / seconds)
    name = f"{SCORE_ROWS:,} x {SCORE_COLUMNS}, {SCORE_BLOCKS} blocks"
    theirs_name = f"score_samples, times faster than NumPy and SciPy, {name}"
    return {
        f"score_samples, seconds, {name}": statistics.median(ours),
        f"{theirs_name}, all rows at once": at_once / statistics.median(ours),
        f"{theirs_name}, {SCIPY_ROWS:,} at a time": statistics.median(ratios),
    }


def scipy_log_prob(flow: Flow, x: np.ndarray) -> np.ndarray:
    """Return log p(x) as NumPy and SciPy compute it, without care for tails."""
    log_det = np.zeros(len(x))
    for bijection in flow.bijections:
        if bijection.kind != "mixture":
            x, added = bijection.forward(x)
            log_det += added
            continue
        log_weights, means, log_scales = bijection.arrays().values()
        u = (x[:, :, None] - means) / np.exp(log_scales)
        density = np.exp(log_weights - log_scales - 0.5 * u * u).sum(axis=2)
        lower = (np.exp(log_weights) * ndtr(u)).sum(axis=2)
        upper = (np.exp(log_weights) * ndtr(-u)).sum(axis=2)
        x = np.where(lower < upper, ndtri(lower), -ndtri(upper))
        log_det += (np.log(density) + 0.5 * x * x).sum(axis=1)
    return log_det - 0.5 * (np.square(x).sum(axis=1) + x.shape[1] * np.log(2.0 * np.pi))


def main() -> None:
    """Fit 100,000 and 1,000,000 rows, score 1,000,000; report medians, and ratios pair by pair."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--pairs", type=int, default=5, help="pairs that are timed")
    arguments.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    options = arguments.parse_args()
    rates = Rates.measured()
    figures: dict[str, float] = {"blocks": N_BLOCKS, "components": N_COMPONENTS}
    train, held_out = standardised(100_000)
    notebook = Notebook(N_BLOCKS, N_COMPONENTS).fit(train)
    name = f"100,000 x {N_COLUMNS}"
    scores = notebook.score_samples(held_out)
    figures[f"scikit-learn + SciPy, held-out nats, {name}"] = float(scores.mean())
    figures[f"scikit-learn + SciPy, worst held-out row, {name}"] = float(scores.min())
    for n_rows in options.rows:
        figures |= fit_figures(n_rows, options.pairs, rates)
    report(figures | score_figures(options.pairs), options.json)


if __name__ == "__main__":
    main()

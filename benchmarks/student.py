"""How near a fit comes to a density that is known and has heavy tails: multivariate Student t.

python -m benchmarks.student [--json OUT]. 10 columns, 3 degrees of freedom, correlations of 0.5;
5,000 rows, judged by 20,000 others. Medians of three tables, one fit each.
"""

from __future__ import annotations

import statistics

import numpy as np
from scipy.stats import multivariate_t

from benchmarks.estimators import compile_kernels
from benchmarks.harness import parser, report, timed
from rbig_numba import RBIG

N_COLUMNS, FREEDOM, CORRELATION = 10, 3.0, 0.5
N_ROWS, N_TEST, SEEDS = 5000, 20_000, 3
SHAPE = np.full((N_COLUMNS, N_COLUMNS), CORRELATION) + (1.0 - CORRELATION) * np.eye(N_COLUMNS)
TRUTH = multivariate_t(np.zeros(N_COLUMNS), SHAPE, FREEDOM)


def figures(log_prob: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return by how many nats log-densities of test rows are above the true ones."""
    worst = log_prob.argmin()
    return {
        "mean above the truth": float((log_prob - truth).mean()),
        "worst row above its own truth": float((log_prob - truth)[worst]),
        "lowest of all rows above its own truth": float((log_prob - truth).min()),
    }


def compare(seed: int) -> dict[str, float]:
    """Fit a table, and compare with the density that it was drawn from."""
    rows = TRUTH.rvs(N_ROWS + N_TEST, random_state=seed)
    train, test = rows[:N_ROWS], rows[N_ROWS:]
    seconds, model = timed(lambda: RBIG(random_state=seed).fit(train))
    return figures(model.score_samples(test), TRUTH.logpdf(test)) | {"seconds": seconds}


def main() -> None:
    """Report medians."""
    options = parser(__doc__ or "").parse_args()
    compile_kernels(N_COLUMNS)
    found = [compare(seed) for seed in range(SEEDS)]
    report(
        {name: statistics.median(each[name] for each in found) for name in found[0]}, options.json
    )


if __name__ == "__main__":
    main()

"""EM of mixtures with full covariances against scikit-learn's: the same start, the same steps.

python -m benchmarks.joint [--json OUT]. K = 40, 100,000 rows of 10 columns.
"""

from __future__ import annotations

import statistics
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from benchmarks.harness import parser, report, timed
from benchmarks.rows import skewed_rows
from rbig_numba.bijections import components as mixtures
from rbig_numba.fitting.latents import Side

N_ROWS, N_COLUMNS, N_COMPONENTS, N_STEPS, PAIRS = 100_000, 10, 40, 5, 5


def steps(side: Side, start: mixtures.Components) -> tuple[mixtures.Components, float]:
    """Return components after some steps without a prior, and their last log-likelihood."""
    components = start
    for _ in range(N_STEPS):
        sums = side.gather([], mixtures.joint_sums(components))
        components = mixtures.updated(components, *sums, 0.0)
    return components, mixtures.log_likelihood(sums[0])


def main() -> None:
    """Time pairs in turn."""
    options = parser(__doc__ or "").parse_args()
    rows = skewed_rows(N_ROWS, seed=1, n_columns=N_COLUMNS)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    side = Side(np.asfortranarray(rows), np.ones(N_ROWS), np.zeros(N_ROWS), -1)
    covariance = np.cov(rows.T) / 4.0
    start = mixtures.Components(
        np.full(N_COMPONENTS, 1.0 / N_COMPONENTS),
        rows[:N_COMPONENTS],
        np.stack([covariance] * N_COMPONENTS),
    )
    theirs = GaussianMixture(
        N_COMPONENTS,
        max_iter=N_STEPS,
        tol=0.0,
        reg_covar=mixtures.MIN_VARIANCE,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=np.linalg.inv(start.covariances),
    )
    warnings.simplefilter("ignore", ConvergenceWarning)
    steps(side, start)  # compiles
    seconds = []
    for _ in range(PAIRS):
        mine, (_, value) = timed(lambda: steps(side, start))
        other, _ = timed(lambda: theirs.fit(rows))
        seconds.append((mine, other))
    figures = {
        "seconds a step": statistics.median(mine for mine, _ in seconds) / N_STEPS,
        "scikit-learn, seconds a step": statistics.median(o for _, o in seconds) / N_STEPS,
        "times faster": statistics.median(other / mine for mine, other in seconds),
        "log-likelihood above scikit-learn's, nats": value - theirs.lower_bound_,
    }
    report(figures, options.json)


if __name__ == "__main__":
    main()

"""EM of mixtures with full covariances against scikit-learn's, and the map of what it finds.

python -m benchmarks.joint [--json OUT]. EM: the same start, the same steps, K = 40, 100,000 rows of
10 columns. The map: made mixtures, rows that are theirs, one thread.
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
from rbig_numba.bijections.joint import JointMixture
from rbig_numba.fitting.latents import Side

N_ROWS, N_COLUMNS, N_COMPONENTS, N_STEPS, PAIRS = 100_000, 10, 40, 5, 5
# Shapes, columns and scales of the mixtures mapped by, and rows a timing.
MAPS = [(129, 6, 1), (129, 10, 1), (257, 6, 1), (257, 10, 1), (64, 63, 1), (64, 63, 6)]
MAPPED = 4000


def steps(side: Side, start: mixtures.Components) -> tuple[mixtures.Components, float]:
    """Return components after some steps without a prior, and their last log-likelihood."""
    components = start
    for _ in range(N_STEPS):
        sums = side.gather([], mixtures.joint_sums(components))
        components = mixtures.updated(components, *sums, 0.0)
    return components, mixtures.log_likelihood(sums[0])


def made_mixture(n_shapes: int, n_columns: int, n_sizes: int) -> JointMixture:
    """Return a mixture whose shapes overlap as those of fits do, and differ as much."""
    rng = np.random.default_rng(0)
    return JointMixture(
        np.full((n_shapes, n_sizes), -np.log(n_shapes * n_sizes)),
        rng.normal(size=(n_shapes, n_columns)),
        np.log(rng.uniform(0.1, 0.9, (n_shapes, n_columns))),
        np.tril(0.2 * rng.normal(size=(n_shapes, n_columns, n_columns)), -1),
        np.tile(np.linspace(-1.0, 1.0, n_sizes) if n_sizes > 1 else 0.0, (n_shapes, 1)),
    )


def map_figures() -> dict[str, float]:
    """Return rows a second in both directions, of each of the mixtures."""
    figures = {}
    for n_shapes, n_columns, n_sizes in MAPS:
        mixture = made_mixture(n_shapes, n_columns, n_sizes)
        z = np.random.default_rng(1).normal(size=(MAPPED, n_columns))
        rows, _ = mixture.inverse(z)
        name = f"rows a second, K = {n_shapes}, D = {n_columns}, S = {n_sizes}"
        score = min(timed(lambda m=mixture, x=rows: m.forward(x))[0] for _ in range(PAIRS))
        sample = min(timed(lambda m=mixture, x=z: m.inverse(x))[0] for _ in range(2))
        figures[name] = MAPPED / score
        figures[name + ", back"] = MAPPED / sample
    return figures


def main() -> None:
    """Time pairs in turn, then maps."""
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
        **map_figures(),
    }
    report(figures, options.json)


if __name__ == "__main__":
    main()

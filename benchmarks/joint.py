"""EM of mixtures with full covariances against scikit-learn's, and the map of what it finds.

python -m benchmarks.joint [--json OUT]. EM: the same start, the same steps, K = 40, 100,000 rows of
10 columns. The map: made mixtures, rows that are theirs, one thread; those of 129 components of 3
scales and of 33 of 2 are of the sizes that default fits of ten columns have.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from benchmarks.harness import parser, report, timed
from benchmarks.rows import skewed_rows
from rbig_numba.bijections import components as mixtures
from rbig_numba.bijections.joint import JointMixture
from rbig_numba.fitting.latents import Side

N_ROWS, N_COLUMNS, N_COMPONENTS, N_STEPS, PAIRS = 100_000, 10, 40, 5, 5
# Shapes, columns and scales of the mixtures mapped by, and rows a timing. What scales cost is told
# of the wide one.
MAPS = [(129, 6, 1), (257, 6, 1), (257, 10, 1), (129, 10, 3), (33, 10, 2)]
WIDE = (64, 63)
MAPPED = 2000


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


def made_maps(*sizes: int) -> list[Callable[[], object]]:
    """Return calls that take rows through a made mixture and back, after one run of each."""
    mixture = made_mixture(*sizes)
    z = np.random.default_rng(1).normal(size=(MAPPED, sizes[1]))
    rows, _ = mixture.inverse(z)
    mixture.forward(rows)
    return [partial(mixture.forward, rows), partial(mixture.inverse, z)]


def seconds(maps: list[Callable[[], object]]) -> np.ndarray:
    """Return what calls take, each once."""
    return np.array([timed(call)[0] for call in maps])


def map_figures() -> dict[str, float]:
    """Return rows a second in both directions, of each mixture, and what scales cost."""
    figures: dict[str, float] = {}
    for sizes in MAPS:
        maps = made_maps(*sizes)
        taken = np.median([seconds(maps) for _ in range(PAIRS)], axis=0)
        name = "rows a second, K = {}, D = {}, S = {}".format(*sizes)
        figures[name], figures[name + ", back"] = MAPPED / taken
    one, six = made_maps(*WIDE, 1), made_maps(*WIDE, 6)
    pairs = np.array([(seconds(one), seconds(six)) for _ in range(PAIRS)])
    for s, taken in zip((1, 6), np.median(pairs, axis=0), strict=True):
        name = "rows a second, K = {}, D = {}, S = {}".format(*WIDE, s)
        figures[name], figures[name + ", back"] = MAPPED / taken
    ratio = np.median(pairs[:, 1] / pairs[:, 0], axis=0)
    figures["times the seconds, S = 6 to S = 1"] = ratio[0]
    figures["times the seconds, S = 6 to S = 1, back"] = ratio[1]
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
    pairs = []
    for _ in range(PAIRS):
        mine, (_, value) = timed(lambda: steps(side, start))
        other, _ = timed(lambda: theirs.fit(rows))
        pairs.append((mine, other))
    figures = {
        "seconds a step": statistics.median(mine for mine, _ in pairs) / N_STEPS,
        "scikit-learn, seconds a step": statistics.median(o for _, o in pairs) / N_STEPS,
        "times faster": statistics.median(other / mine for mine, other in pairs),
        "log-likelihood above scikit-learn's, nats": value - theirs.lower_bound_,
        **map_figures(),
    }
    report(figures, options.json)


if __name__ == "__main__":
    main()

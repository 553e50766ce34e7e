"""EM on bins against scikit-learn's on rows: python -m benchmarks.em [--data DIR] [--json OUT].

Speed: the same number of plain EM steps from the same start on one column of a million rows, the
histogram included; and one step's multiply-adds against what this machine does at best. Quality,
with --data: each column of each table in a folder of .npy files, standardised, against the best of
five k-means starts, by the exact log-likelihood of the same rows. Both widths have the same floor:
scikit-learn gets its square as reg_covar. The background component is left out. With few rows
(1,500) some of the reference's maxima are components on a single row.
"""

from __future__ import annotations

import statistics
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from benchmarks.ceiling import multiply_add_rate
from benchmarks.harness import parser, report, timed
from rbig_numba.bijections import mixture
from rbig_numba.fitting.binning import Histograms, bins_of, grid_of
from rbig_numba.kernels import em, search

N_COMPONENTS = 8
N_ROWS, N_STEPS, SAMPLE_ROWS, RUN_ROWS = 1_000_000, 20, 8192, 8192
# Of one bin and component: 4 for the density, 13 for its exponential, 7 for the sums.
MULTIPLY_ADDS = 24
REFERENCE_ROWS = 10_000


def normalised_bins(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Return bins (3, B) of one column whose weights sum to 1, and the floor under widths."""
    weights = np.ones(len(x))
    grid = grid_of(x[:SAMPLE_ROWS, None], weights[:SAMPLE_ROWS])
    statistic = Histograms(grid)
    sums = statistic.zeros(1)
    for start in range(0, len(x), RUN_ROWS):
        run = x[None, start : start + RUN_ROWS]
        statistic.add(run, weights[: run.shape[1]], sums)
    return mixture.filled_bins(bins_of(sums[0], grid)[0])


def plain_steps(bins: np.ndarray, floor: float, n_steps: int, parameters: np.ndarray) -> np.ndarray:
    """Return weights, means and scales (3, K) after a number of EM steps."""
    terms, total = np.empty((parameters.shape[1], bins.shape[1])), np.empty(bins.shape[1])
    shift, image = np.zeros(bins.shape[1]), parameters.copy()
    for _ in range(n_steps):
        parameters = image.copy()
        em.expectation(bins, parameters, shift, terms, total)
        em.maximisation(bins, floor, terms, total, parameters, image)
    return image


def log_likelihood(x: np.ndarray, parameters: np.ndarray) -> float:
    """Return the exact mean log-likelihood of rows, in nats: a bin for each row."""
    bins = np.stack([np.full(len(x), 1.0 / len(x)), x, np.zeros(len(x))])
    terms, total = np.empty((parameters.shape[1], len(x))), np.empty(len(x))
    return em.expectation(bins, parameters, np.zeros(len(x)), terms, total)


def reference(x: np.ndarray, **settings: object) -> np.ndarray:
    """Return scikit-learn's weights, means and scales (3, K)."""
    model = GaussianMixture(N_COMPONENTS, random_state=0, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x[:, None])
    return np.stack([model.weights_, model.means_[:, 0], np.sqrt(model.covariances_[:, 0, 0])])


def speed_figures() -> dict[str, float]:
    """Time the same EM on bins and on rows."""
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.normal(m, s, N_ROWS // 4) for m, s in ((-2, 0.4), (-1, 1), (1, 0.6), (3, 2))]
    )
    x = rng.permutation((x - x.mean()) / x.std())
    bins, floor = normalised_bins(x)
    start = np.empty((3, N_COMPONENTS))
    search.clusters(bins, floor, search.EQUAL_MASSES, start)

    def ours() -> np.ndarray:
        bins, floor = normalised_bins(x)
        return plain_steps(bins, floor, N_STEPS, start)

    ours()
    runs = [timed(ours) for _ in range(7)]
    seconds, found = statistics.median(run[0] for run in runs), runs[0][1]
    theirs, expected = timed(
        lambda: reference(
            x,
            tol=0.0,
            max_iter=N_STEPS,
            reg_covar=0.0,
            weights_init=start[0],
            means_init=start[1][:, None],
            precisions_init=1.0 / start[2][:, None, None] ** 2,
        )
    )
    difference = log_likelihood(x, found) - log_likelihood(x, expected)
    return (
        {
            "rows": N_ROWS,
            "steps": N_STEPS,
            "histogram + EM, seconds": seconds,
            "scikit-learn, seconds": theirs,
            "times faster": theirs / seconds,
            "log-likelihood minus scikit-learn's": difference,
        }
        | step_figures(bins, floor, start)
        | fit_figures()
    )


def share_of_ceiling() -> float:
    """Return the share of the ceiling that accelerated steps reach on a normal column."""
    bins, floor = normalised_bins(np.random.default_rng(0).standard_normal(100_000))
    start = np.empty((3, N_COMPONENTS))
    search.clusters(bins, floor, search.EQUAL_MASSES, start)
    return step_figures(bins, floor, start)["accelerated step: share of the ceiling"]


def step_figures(bins: np.ndarray, floor: float, start: np.ndarray) -> dict[str, float]:
    """Time one plain and one accelerated step."""
    cells, n_steps = bins.shape[1] * N_COMPONENTS, 100
    plain = min(timed(lambda: plain_steps(bins, floor, n_steps, start))[0] for _ in range(50))
    quick = min(
        timed(lambda: em.ascend(bins, floor, n_steps, -np.inf, start.copy()))[0] for _ in range(50)
    )
    ideal = MULTIPLY_ADDS / multiply_add_rate()
    return {
        "bins": bins.shape[1],
        "step: ns per bin and component": 1e9 * plain / n_steps / cells,
        "accelerated step: ns per bin and component": 1e9 * quick / n_steps / cells,
        "ceiling: ns per bin and component": 1e9 * ideal,
        "step: share of the ceiling": ideal * n_steps * cells / plain,
        "accelerated step: share of the ceiling": ideal * n_steps * cells / quick,
    }


def fit_figures() -> dict[str, float]:
    """Time the fit of a near-normal column, such as later blocks have, and of others."""
    rng = np.random.default_rng(1)
    normal = rng.standard_normal(100_000)
    columns = {
        "normal": normal,
        "normal, cubed in part": normal + 0.02 * normal**3,
        "lognormal": np.exp(normal),
        "half a spike": np.where(rng.uniform(size=len(normal)) < 0.5, 0.3, normal),
    }
    figures = {}
    for name, x in columns.items():
        x = (x - x.mean()) / x.std()
        sample, weights = x[:SAMPLE_ROWS, None], np.ones(SAMPLE_ROWS)
        bins, _ = normalised_bins(x)
        bins[0] *= len(x)
        for stage, call in (
            ("grid", partial(grid_of, sample, weights)),
            ("fit", partial(mixture.fit_column, bins, N_COMPONENTS)),
        ):
            figures[f"{name}: {stage}, ms"] = 1e3 * min(timed(call)[0] for _ in range(20))
    return figures


def quality_figures(folder: Path, n_rows: int) -> dict[str, object]:
    """Compare log-likelihoods column by column; the rows are the same."""
    differences: dict[str, float] = {}
    for path in sorted(folder.glob("*.npy")):
        table = np.load(path, mmap_mode="r")
        rows = np.sort(np.random.default_rng(0).permutation(len(table))[:n_rows])
        for j in range(table.shape[1]):
            x = np.random.default_rng(1).permutation(np.asarray(table[rows, j], dtype=np.float64))
            x = (x - x.mean()) / x.std()
            bins, floor = normalised_bins(x)
            settings = {"tol": 1e-6, "max_iter": 1000, "n_init": 5, "reg_covar": floor**2}
            ours = mixture.fit_bins(bins, floor, len(x), N_COMPONENTS)
            difference = log_likelihood(x, ours) - log_likelihood(x, reference(x, **settings))
            differences[f"{path.stem}, column {j}"] = difference
            print(f"{path.stem:24} {j:3} {difference:+.2e}", flush=True)
    worst = min(differences, key=lambda name: differences[name])
    return {
        "quality: columns": len(differences),
        "quality: rows at most": n_rows,
        "quality: worst column": worst,
        "quality: worst difference": differences[worst],
        "quality: columns below -1e-4": sum(d < -1e-4 for d in differences.values()),
        "quality: median difference": statistics.median(differences.values()),
    }


def main() -> None:
    """Report speed, and quality if there is a folder of tables."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--data", type=Path, help="a folder of .npy tables")
    arguments.add_argument("--rows", type=int, default=REFERENCE_ROWS, help="of a table at most")
    options = arguments.parse_args()
    figures: dict[str, object] = dict(speed_figures())
    if options.data is not None:
        figures |= quality_figures(options.data, options.rows)
    report(figures, options.json)


if __name__ == "__main__":
    main()

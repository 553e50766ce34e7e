"""The mixture kernels against libm, against SciPy and against this machine's ceiling.

python -m benchmarks.kernels
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.special import log_ndtr, logsumexp, ndtr, ndtri, ndtri_exp
from scipy.stats import norm

from benchmarks.ceiling import multiply_add_rate, two_thread_scaling
from benchmarks.harness import parser, report, timed
from rbig_numba.kernels import coefficients as c
from rbig_numba.kernels import mixture
from rbig_numba.kernels.jit import kernel
from rbig_numba.kernels.normal import INV_SQRT_2PI, LOG_SQRT_2PI, quantile_of_log

N_ROWS, N_COLUMNS, N_COMPONENTS = 20_000, 8, 8
# Of what two threads do, which waking them up, 0.3 ms here, must not be a large part of.
REPEATS = 10
SQRT_HALF = math.sqrt(0.5)


def steps(*polynomials: tuple[float, ...]) -> int:
    """Return the multiply-adds of polynomials."""
    return sum(len(coefficients) - 1 for coefficients in polynomials)


# What the formula needs apart from its polynomials, a fused multiply-add counted as one: per
# component standardising (1), the square, its rounding and the rest (3), the weight and both
# tails (4), three sums (3); per element one logarithm and one exponent (5 each), the root and the
# slope (5).
PER_COMPONENT = steps(c.EXP2, c.MILLS_TOP, c.MILLS_BOTTOM) + 11
PER_ELEMENT = steps(c.ATANH, c.QUANTILE_TOP, c.QUANTILE_BOTTOM) + 15

Run = Callable[..., None]


@kernel
def libm_forward(columns, log_weights, means, log_scales, z, log_det):
    """`mixture.forward` as one writes it first, but for the quantile, which libm hasn't."""
    weights, precisions = np.exp(log_weights), np.exp(-log_scales)
    for j in range(columns.shape[0]):
        for i in range(columns.shape[1]):
            density, lower, upper = 0.0, 0.0, 0.0
            for k in range(means.shape[1]):
                weight, precision = weights[j, k], precisions[j, k]
                u = (columns[j, i] - means[j, k]) * precision
                density += weight * precision * INV_SQRT_2PI * math.exp(-0.5 * u * u)
                lower += weight * 0.5 * math.erfc(-u * SQRT_HALF)
                upper += weight * 0.5 * math.erfc(u * SQRT_HALF)
            value = quantile_of_log(math.log(min(lower, upper)))
            z[j, i] = value if lower < upper else -value
            log_det[i] += math.log(density) + 0.5 * value * value + LOG_SQRT_2PI


def ufuncs_forward(columns, log_weights, means, log_scales, z, log_det):
    """`mixture.forward` in the fewest calls to NumPy and SciPy; infinite from 38 scales on."""
    for j, x in enumerate(columns):
        weights, scales = np.exp(log_weights[j]), np.exp(log_scales[j])
        u = (x[:, None] - means[j]) / scales
        density = np.exp(-0.5 * u * u) @ (weights / scales) * INV_SQRT_2PI
        lower, upper = ndtr(u) @ weights, ndtr(-u) @ weights
        value = ndtri(np.minimum(lower, upper))
        z[j] = np.where(lower < upper, value, -value)
        log_det += np.log(density) + 0.5 * value * value + LOG_SQRT_2PI


def stats_forward(columns, log_weights, means, log_scales, z, log_det):
    """Do the same with the distributions of `scipy.stats`, as is common."""
    for j, x in enumerate(columns):
        weights, terms = np.exp(log_weights[j]), norm(means[j], np.exp(log_scales[j]))
        lower, upper = terms.cdf(x[:, None]) @ weights, terms.sf(x[:, None]) @ weights
        value = norm.ppf(np.minimum(lower, upper))
        z[j] = np.where(lower < upper, value, -value)
        log_det += np.log(terms.pdf(x[:, None]) @ weights) - norm.logpdf(value)


def logs_forward(columns, log_weights, means, log_scales, z, log_det):
    """Do the same in logarithms: SciPy's way to results as far out as ours."""
    for j, x in enumerate(columns):
        u = (x[:, None] - means[j]) / np.exp(log_scales[j])
        log_density = logsumexp(log_weights[j] - log_scales[j] - 0.5 * u * u, axis=1)
        lower = logsumexp(log_weights[j] + log_ndtr(u), axis=1)
        upper = logsumexp(log_weights[j] + log_ndtr(-u), axis=1)
        value = ndtri_exp(np.minimum(lower, upper))
        z[j] = np.where(lower < upper, value, -value)
        log_det += log_density + 0.5 * value * value


def parameters(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return overlapping components of differing widths."""
    shape = (N_COLUMNS, N_COMPONENTS)
    weights = rng.dirichlet(np.full(N_COMPONENTS, 3.0), N_COLUMNS)
    return np.log(weights), 1.5 * rng.normal(size=shape), 0.4 * rng.normal(size=shape) - 0.5


def median_ratio(many: list[float], few: list[float]) -> float:
    """Return how many times longer the former took, pair by pair."""
    return statistics.median(a / b for a, b in zip(many, few, strict=True))


def main() -> None:
    """Time all in turn, so that each sees the same machine; report medians, and ratios by pairs."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rounds", type=int, default=9, help="how often each is timed")
    options = arguments.parse_args()
    rng = np.random.default_rng(0)
    mixtures, x = parameters(rng), 1.5 * rng.normal(size=(N_COLUMNS, N_ROWS))
    z = np.empty_like(x)
    mixture.forward(x, *mixtures, z, np.zeros(N_ROWS))

    def call(run: Run, columns: np.ndarray) -> Callable[[], None]:
        out, log_det = np.empty_like(columns), np.zeros(columns.shape[1])
        return lambda: run(columns, *mixtures, out, log_det)

    halves = [
        call(mixture.forward, np.ascontiguousarray(part)) for part in np.array_split(x, 2, axis=1)
    ]

    def repeat(run: Callable[[], None]) -> None:
        for _ in range(REPEATS):
            run()

    with ThreadPoolExecutor(2) as pool:
        calls = {
            "forward": call(mixture.forward, x),
            "inverse": call(mixture.inverse, z),
            "loop on libm": call(libm_forward, x),
            "SciPy's ufuncs": call(ufuncs_forward, x),
            "scipy.stats": call(stats_forward, x),
            "SciPy in log space": call(logs_forward, x),
            "two threads": lambda: list(pool.map(repeat, halves)),
        }
        for run in calls.values():
            run()
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(options.rounds):
            for name, run in calls.items():
                seconds[name].append(timed(run)[0] / (REPEATS if name == "two threads" else 1))
    unit = 1e-9 * x.size * N_COMPONENTS
    ceiling = (PER_COMPONENT + PER_ELEMENT / N_COMPONENTS) / multiply_add_rate() * 1e9
    figures = {"rows": N_ROWS, "columns": N_COLUMNS, "components": N_COMPONENTS}
    for name, each in seconds.items():
        figures[f"{name}, ns"] = statistics.median(each) / unit
    best = min(seconds["forward"]) / unit
    for name in list(calls)[1:-1]:
        figures[f"{name}, times forward"] = median_ratio(seconds[name], seconds["forward"])
    figures |= {
        "forward, best, ns": best,
        "two threads, times faster": median_ratio(seconds["forward"], seconds["two threads"]),
        "two threads, times faster, best of each": best * unit / min(seconds["two threads"]),
        "two threads of multiply-adds alone, times faster": two_thread_scaling(),
        "ceiling of multiply-adds, ns": ceiling,
        "share of the ceiling": ceiling / best,
    }
    report(figures, options.json)


if __name__ == "__main__":
    main()

"""Slow twins of the kernels, from the formulas: mpmath for numbers, NumPy for sums."""

import mpmath
import numpy as np

DIGITS = 50


def mills_ratio(u):
    """Return (1 - Phi(u)) / phi(u); from its continued fraction where erfc would underflow."""
    u = mpmath.mpf(u)
    if u < 50:
        return mpmath.ncdf(-u) / mpmath.npdf(u)
    value = u
    for k in range(60, 0, -1):
        value = u + k / value
    return 1 / value


def log_cdf(u):
    with mpmath.workdps(DIGITS):
        u = mpmath.mpf(float(u))
        # Above zero ncdf rounds to 1 in 50 digits; its complement keeps them all.
        return mpmath.log1p(-mpmath.ncdf(-u)) if u > 0 else mpmath.log(mpmath.ncdf(u))


def quantile_of_log(log_p):
    """Return Phi^-1(exp(log_p)) for log_p <= log(1/2), by Newton's method in log space."""
    log_p = mpmath.mpf(log_p)
    if log_p > -1:
        z = mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.exp(log_p) - 1)
    else:
        z = -mpmath.sqrt(-2 * log_p)
    for _ in range(60):
        lower = mpmath.ncdf(z)
        step = (mpmath.log(lower) - log_p) * lower / mpmath.npdf(z)
        z -= step
        if abs(step) <= abs(z) * mpmath.mpf(10) ** (4 - mpmath.mp.dps):
            break
    return z


def mixture_forward(x, log_weights, means, log_scales):
    """Return z and log dz/dx of one number under one column's mixture, as 50-digit numbers."""
    with mpmath.workdps(DIGITS):
        x = mpmath.mpf(float(x))
        density, lower, upper = mpmath.mpf(0), mpmath.mpf(0), mpmath.mpf(0)
        for log_weight, mean, log_scale in zip(log_weights, means, log_scales, strict=True):
            weight = mpmath.exp(mpmath.mpf(float(log_weight)))
            scale = mpmath.exp(mpmath.mpf(float(log_scale)))
            u = (x - mpmath.mpf(float(mean))) / scale
            density += weight * mpmath.npdf(u) / scale
            lower += weight * mpmath.ncdf(u)
            upper += weight * mpmath.ncdf(-u)
        z = quantile_of_log(mpmath.log(min(lower, upper) / (lower + upper)))
        z = z if lower < upper else -z
        log_slope = mpmath.log(density) + z * z / 2 + mpmath.log(2 * mpmath.pi) / 2
        return z, log_slope


def joint_forward(row, log_weights, means, log_scales, slopes, log_sizes, first):
    """Return z and the log-determinant of one row under a joint mixture, in 50 digits."""
    start = int(first[0])
    stop = start + means.shape[1]
    before, row, behind = row[:start], row[start:stop], row[stop:]
    with mpmath.workdps(DIGITS):

        def exact(array):
            return [mpmath.mpf(float(value)) for value in array]

        # A component more for each scale of a shape.
        n_sizes = log_sizes.shape[1]
        row, weights = exact(row), [mpmath.exp(value) for value in exact(log_weights.ravel())]
        means, log_scales, slopes = (
            np.repeat(array, n_sizes, axis=0) for array in (means, log_scales, slopes)
        )
        means, slopes = [exact(m) for m in means], [[exact(b) for b in bs] for bs in slopes]
        scales = [
            [mpmath.exp(mpmath.mpf(float(value)) + mpmath.mpf(float(size))) for value in values]
            for values, size in zip(log_scales, log_sizes.ravel(), strict=True)
        ]
        z, log_det = [], mpmath.mpf(0)
        for j, x in enumerate(row):
            total = sum(weights)
            terms, lower, upper = [], mpmath.mpf(0), mpmath.mpf(0)
            for k, weight in enumerate(weights):
                mean = means[k][j] + sum(slopes[k][j][i] * (row[i] - means[k][i]) for i in range(j))
                u = (x - mean) / scales[k][j]
                terms.append(weight * mpmath.npdf(u) / scales[k][j])
                near = weight * mpmath.npdf(u) * mills_ratio(abs(u))
                lower += near if u < 0 else weight - near
                upper += weight - near if u < 0 else near
            value = quantile_of_log(mpmath.log(min(lower, upper) / total))
            z.append(value if lower < upper else -value)
            log_det += mpmath.log(sum(terms) / total) - mpmath.log(mpmath.npdf(z[-1]))
            weights = terms
        return [*before, *z, *behind], log_det


def expectation(bins, weights, means, scales):
    """Return responsibilities (K, B) times each bin's weight, and the bound in nats."""
    p, x, v = bins
    u = (x - means[:, None]) / scales[:, None]
    terms = np.log(weights / scales)[:, None] - 0.5 * np.log(2 * np.pi)
    terms = terms - 0.5 * (u**2 + v / scales[:, None] ** 2)
    log_total = np.logaddexp.reduce(terms, axis=0)
    return p * np.exp(terms - log_total), p @ log_total


def maximisation(bins, responsibilities):
    """Return weights, means and scales (K,) of the most likely mixture."""
    _, x, v = bins
    mass = responsibilities.sum(axis=1)
    means = responsibilities @ x / mass
    squares = (x - means[:, None]) ** 2 + v
    return mass / mass.sum(), means, np.sqrt((responsibilities * squares).sum(axis=1) / mass)


def weighted_moments(rows, weights):
    """Return mean (D,) and covariance (D, D), two passes in extended precision."""
    rows, weights = rows.astype(np.longdouble), weights.astype(np.longdouble)
    mean = weights @ rows / weights.sum()
    centred = rows - mean
    return mean, (centred * weights[:, None]).T @ centred / weights.sum()


def histogram(column, weights, edges):
    """Return weight, mean and variance (3, B) of the rows between edges; NaN for an empty bin."""
    out = np.full((3, len(edges) + 1), np.nan)
    out[0] = 0.0
    bounds = np.concatenate([[-np.inf], edges, [np.inf]])
    for b in range(len(edges) + 1):
        inside = (column >= bounds[b]) & (column < bounds[b + 1])
        if weights[inside].sum() > 0:
            mean, covariance = weighted_moments(column[inside, None], weights[inside])
            out[:, b] = weights[inside].sum(), mean[0], covariance[0, 0]
    return out


def radius_of(z, n_columns):
    """Return g(z) and dg/dz of a radial map, from the formulas, as mpmath numbers."""
    m = mpmath.mpf(n_columns)
    slope = mpmath.sqrt(2 / (9 * m))
    curvature = min(2 * slope, mpmath.mpf(0.36))
    lift = curvature**2 / 4
    h = 1 - slope**2 - lift + slope * (1 + lift) * z
    root = mpmath.sqrt(h**2 + curvature**2)
    b, b_slope = (h + root) / 2, slope * (1 + lift) * (1 + h / root) / 2
    return mpmath.sqrt(m * b**3), mpmath.sqrt(m) * 1.5 * mpmath.sqrt(b) * b_slope


def radial_forward(x, log_weights, means, log_scales):
    """Return y (m,) and the log-determinant of one group's row, as 50-digit numbers."""
    with mpmath.workdps(DIGITS):
        x = [mpmath.mpf(float(value)) for value in x]
        r = mpmath.sqrt(mpmath.fsum(value**2 for value in x))
        reaches = (m - 4 * mpmath.exp(s) for m, s in zip(means, log_scales, strict=True))
        edge = min(max(r, mpmath.exp(max(min(reaches), -32))), mpmath.exp(32))
        z, log_slope = mixture_forward(mpmath.log(edge), log_weights, means, log_scales)
        g, g_slope = radius_of(z, len(x))
        y = [value * g / edge for value in x]
        log_det = len(x) * mpmath.log(g / edge)
        if edge == r:
            log_det += log_slope + mpmath.log(g_slope / g)
        return y, log_det


def coupling_forward(rows, given, projections, biases, location, log_scale):
    """Return y and the log-determinant of an affine coupling, in extended precision."""
    rows, known = rows.astype(np.longdouble), given == 1.0
    distances, reach = np.sqrt((rows[:, known] ** 2).sum(axis=1)), np.sqrt(known.sum()) + 1.0
    seen = rows[:, known] * np.minimum(1.0, reach / distances)[:, None]
    features = np.tanh(seen @ projections + biases)
    bounded = np.hstack([np.ones((len(rows), 1)), features])
    mean = np.hstack([bounded, rows[:, known]]) @ location
    log_sigma = 3.0 * np.tanh(bounded @ log_scale / 3.0)
    y = rows.copy()
    y[:, ~known] = (rows[:, ~known] - mean) * np.exp(-log_sigma)
    return y.astype(float), -log_sigma.sum(axis=1).astype(float)

"""Gaussianization by mixtures against mpmath, near and far."""

import numpy as np
import pytest

import cases
import oracles
from rbig_numba.kernels import mixture

NEAR = np.linspace(-4.0, 4.0, 41)
FAR = np.array([40.0, 72.0, 80.0, 300.0, 1e4, 1e6, 1e8, 1e9, 1e10, 1e15])
FAR = np.concatenate([-FAR[::-1], FAR])
MIXTURES = {
    "single": cases.mixture_single,
    "background": cases.mixture_with_background,
    "far modes": cases.mixture_far_modes,
}


@pytest.fixture(params=MIXTURES.values(), ids=list(MIXTURES))
def parameters(request):
    return [np.ascontiguousarray(array[:1]) for array in request.param().arrays().values()]


def run(kernel, x, parameters):
    columns = np.ascontiguousarray(x, dtype=float)[None]
    out, log_det = np.empty_like(columns), np.zeros(columns.shape[1])
    kernel(columns, *parameters, out, log_det)
    return out[0], log_det


def exact(x, parameters):
    pairs = [oracles.mixture_forward(value, *(array[0] for array in parameters)) for value in x]
    return np.array([[float(z), float(log_slope)] for z, log_slope in pairs]).T


@pytest.mark.parametrize("x", [NEAR, FAR], ids=["near", "far"])
def test_forward(x, parameters):
    z, log_slope = run(mixture.forward, x, parameters)
    exact_z, exact_log_slope = exact(x, parameters)
    np.testing.assert_allclose(z, exact_z, rtol=5e-15, atol=2e-14)
    # Where it is steep, f and the tail are of different components, whose powers differ by z^2 / 2.
    tolerance = 1e-13 + 8 * 2.0**-52 * np.abs(exact_log_slope)
    assert (np.abs(log_slope - exact_log_slope) <= tolerance).all()


@pytest.mark.parametrize("x", [1e160, 1e300])
def test_squares_that_overflow(x, parameters):
    z, log_slope = run(mixture.forward, [-x, x], parameters)
    widest = np.exp(parameters[2].max())
    np.testing.assert_allclose(z, [-x / widest, x / widest], rtol=1e-14)
    np.testing.assert_allclose(log_slope, -np.log(widest), rtol=1e-13)
    # Between two components: no density is left, and nothing is NaN.
    pair = [np.log([[0.5, 0.5]]), np.array([[-x, x]]), np.zeros((1, 2))]
    z, log_slope = run(mixture.forward, [0.1 * x], pair)
    assert np.isfinite(z).all()
    assert log_slope[0] == -np.inf


def test_direct_sums_and_logarithms_agree_where_they_meet(parameters):
    x = np.linspace(-70.0, -30.0, 400)
    z, log_slope = run(mixture.forward, x, parameters)
    column = [array[0] for array in parameters]
    logarithmic = np.array([mixture.forward1(value, *column) for value in x]).T
    np.testing.assert_allclose(z, logarithmic[0], rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(log_slope, logarithmic[1], atol=2e-12)


@pytest.mark.parametrize("distance", [1.0, 8.0, 37.0, 1e3, 1e6])
def test_inverse_round_trip(distance, parameters):
    z = distance * np.linspace(-1.0, 1.0, 201)
    x, log_slope = run(mixture.inverse, z, parameters)
    again, forward_log_slope = run(mixture.forward, x, parameters)
    # The slope is that of the last evaluation, up to a step before x: as noisy as `forward`'s own.
    tolerance = 1e-6 + 1e-9 * np.abs(log_slope) + 4 * 2.0**-52 * z**2
    assert (np.abs(log_slope + forward_log_slope) <= tolerance).all()
    # Either z comes back to its rounding or x can't be told any finer.
    finest = 8 * 2.0**-52 * np.abs(x) * np.exp(forward_log_slope)
    assert (np.abs(again - z) <= 32 * 2.0**-52 * np.maximum(1.0, np.abs(z)) + finest).all()
    assert (np.diff(x) > 0).all()


def random_mixture(rng):
    """Weights, means and scales of one column, over many orders of magnitude."""
    k = int(rng.integers(1, 25))
    weights = rng.dirichlet(np.full(k, rng.choice([0.1, 1.0, 5.0])), 1) + 1e-15
    means = rng.normal(size=(1, k)) * rng.choice([0.5, 2.0, 10.0, 1000.0])
    scales = 10.0 ** rng.uniform(-3.0, rng.choice([-2.0, 0.0, 1.0]), size=(1, k))
    return [np.log(weights / weights.sum()), means, np.log(scales)]


# Of 300 such mixtures 6 missed roots by up to 200 ulp, or by all of a valley, when rows could
# arrive after one evaluation and slopes of exp(-6497) were not limited.
@pytest.mark.parametrize("seed", range(40))
def test_inverse_of_hard_mixtures(seed):
    rng = np.random.default_rng(seed)
    parameters = random_mixture(rng)
    z = np.sort(rng.normal(size=1000)) * rng.choice([1.0, 3.0, 10.0])
    x, log_slope = run(mixture.inverse, z, parameters)
    again, forward_log_slope = run(mixture.forward, x, parameters)
    finest = 8 * 2.0**-52 * np.abs(x) * np.exp(forward_log_slope)
    assert (np.abs(again - z) <= 32 * 2.0**-52 * np.maximum(1.0, np.abs(z)) + finest).all()
    assert (np.diff(x) >= 0).all()
    assert (np.abs(log_slope + forward_log_slope) <= 1e-6 + 4 * 2.0**-52 * z**2).all()


@pytest.mark.parametrize("kernel", [mixture.forward, mixture.inverse], ids=["forward", "inverse"])
def test_a_row_has_the_same_bits_alone_and_in_any_batch(kernel, parameters):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal(1030) * 5, FAR])
    z, log_slope = run(kernel, x, parameters)
    for start, stop in [(0, 1), (511, 513), (1, 1042), (1030, 1031), (100, 700), (1041, 1042)]:
        part_z, part_log_slope = run(kernel, x[start:stop], parameters)
        assert part_z.tobytes() == z[start:stop].tobytes()
        assert part_log_slope.tobytes() == log_slope[start:stop].tobytes()


def test_log_det_is_added_to(parameters):
    columns, out = np.zeros((1, 3)), np.empty((1, 3))
    once, twice = np.zeros(3), np.full(3, 10.0)
    mixture.forward(columns, *parameters, out, once)
    mixture.forward(columns, *parameters, out, twice)
    np.testing.assert_allclose(twice, 10.0 + once, rtol=1e-14)

"""Contrast and angle against NumPy's histograms, and on columns whose axes are known."""

import numpy as np
import pytest

from rbig_numba.kernels import negentropy

N_ROWS = 4000


def slow_negentropy(u, weights):
    """Return sum p log p over bins of u in its standard deviations, rows shared, minus log sd."""
    mean = np.average(u, weights=weights)
    deviation = np.sqrt(np.average((u - mean) ** 2, weights=weights))
    nodes = np.linspace(-negentropy.REACH, negentropy.REACH, negentropy.N_BINS)
    place = np.clip((u - mean) / deviation, nodes[0], nodes[-1] - 1e-9)
    hats = np.maximum(1.0 - np.abs(place[:, None] - nodes) / (nodes[1] - nodes[0]), 0.0)
    p = weights @ hats / weights.sum()
    return np.sum(p[p > 0] * np.log(p[p > 0])) - np.log(deviation)


def turned(x, y, angle):
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x


def sources(kind, rng):
    return {
        "uniform": lambda: rng.uniform(-1.7, 1.7, (2, N_ROWS)),
        "heavy tails": lambda: rng.laplace(size=(2, N_ROWS)),
        "two modes, one skewed": lambda: np.stack(
            [
                rng.choice([-1.0, 1.0], N_ROWS) + 0.3 * rng.standard_normal(N_ROWS),
                rng.gamma(2.0, size=N_ROWS) - 2.0,
            ]
        ),
    }[kind]()


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2])
def test_contrast_is_the_sum_over_both_columns(angle):
    rng = np.random.default_rng(0)
    x, y = sources("two modes, one skewed", rng)
    y += 0.5 * x + 3.0
    weights = rng.uniform(0.5, 2.0, N_ROWS)
    moments = negentropy.pair_moments(x, y, weights)
    value = negentropy.contrast(x, y, weights, moments, angle, np.empty(negentropy.N_BINS))
    expected = sum(slow_negentropy(u, weights) for u in turned(x, y, angle))
    assert value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["uniform", "heavy tails", "two modes, one skewed"])
@pytest.mark.parametrize("angle", [0.1, 0.5, 1.0, 1.5])
def test_best_angle_undoes_a_turn(kind, angle):
    x, y = turned(*sources(kind, np.random.default_rng(1)), -angle)
    found, gain = negentropy.best_angle(x, y, np.ones(N_ROWS))
    quarter = 0.5 * np.pi
    assert abs((found - angle + 0.5 * quarter) % quarter - 0.5 * quarter) < np.radians(2.0)
    assert gain >= 0.0


def test_correlated_normals_are_turned_onto_their_principal_axes():
    rng = np.random.default_rng(2)
    x, y = turned(3.0 * rng.standard_normal(N_ROWS), 0.1 * rng.standard_normal(N_ROWS), -0.7)
    found, gain = negentropy.best_angle(x, y, np.ones(N_ROWS))
    assert found == pytest.approx(0.7, abs=0.02)
    assert gain > 1.0


def test_nothing_to_gain_on_independent_normals():
    x, y = np.random.default_rng(3).standard_normal((2, N_ROWS))
    assert negentropy.best_angle(x, y, np.ones(N_ROWS))[1] < 0.02


def test_weight_2_is_the_row_twice():
    rng = np.random.default_rng(4)
    columns, counts = rng.laplace(size=(2, 500)), rng.integers(1, 4, 500)
    found = negentropy.best_angle(*columns, counts.astype(float))
    twice = negentropy.best_angle(*np.repeat(columns, counts, axis=1), np.ones(counts.sum()))
    assert found == pytest.approx(twice, rel=1e-9)


@pytest.mark.parametrize("other", ["the same column", "a constant"])
def test_columns_on_a_line_have_a_finite_contrast(other):
    x = np.random.default_rng(5).standard_normal(500)
    y = x if other == "the same column" else np.full(500, 2.0)
    assert np.isfinite(negentropy.best_angle(x, y, np.ones(500))).all()

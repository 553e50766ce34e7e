"""Every kind: exact Jacobians, what comes back is what went in, atoms add up to one."""

import json

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from rbig_numba.columns import (
    Angle,
    Bounded,
    Columns,
    Kind,
    Ordered,
    Positive,
    Real,
    Spike,
    Steps,
    Unordered,
    Whole,
)
from rbig_numba.columns.kinds import kind_of
from rbig_numba.columns.support import Support

N = 3000
RNG = np.random.default_rng(0)
RAIN = np.where(RNG.random(N) < 0.7, 0.0, RNG.gamma(0.8, 5.0, N))
SHARE = np.clip(RNG.normal(0.5, 0.4, N), 0.0, 1.0)
CONTINUOUS = {
    "real": (Real(), RNG.normal(size=N)),
    "positive": (Positive(), RNG.lognormal(size=N)),
    "positive from -2": (Positive(low=-2.0), RNG.lognormal(size=N) - 2.0),
    "bounded": (Bounded(), RNG.beta(2.0, 3.0, N)),
    "bounded, given": (Bounded(-1.0, 3.0), RNG.uniform(-0.9, 2.9, N)),
    "angle": (Angle(), np.degrees(RNG.vonmises(1.0, 2.0, N)) % 360.0),
    "radians": (Angle(), RNG.vonmises(3.0, 1.0, N)),
    "spike": (Spike(), RAIN),
    "spike at both ends": (Spike(), SHARE),
    "spike and fill value": (Spike(), np.where(RNG.random(N) < 0.05, -9999.0, RAIN)),
    "spike inside": (Spike(), np.where(RNG.random(N) < 0.3, 0.0, RNG.normal(size=N))),
}
ATOMS = {
    "counts": (Whole(), RNG.poisson(3.0, N).astype(float)),
    "tenths": (Steps(), np.round(RNG.gamma(2.0, 0.3, N), 1)),
    "quarters": (Steps(), np.rint(RNG.normal(size=N) * 4) / 4),
    "classes": (Ordered(), RNG.choice([1.0, 2.5, 7.0], N)),
    "stations": (Unordered(), RNG.choice([3.0, 1.0, 2.0], N)),
    "compass": (Angle(), RNG.integers(0, 36, N) * 10.0),
    "dense counts": (Whole(), RNG.integers(0, 5000, N).astype(float)),
}


def learned(kind, cells):
    return Columns.of(cells[:, None], {0: kind})[0]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_log_weight_is_the_log_slope(name):
    kind, cells = CONTINUOUS[name]
    kind = learned(kind, cells)
    x = np.sort(cells[~kind.has_jump(cells)])[5:-5:50]
    step = 1e-6 * np.minimum(1.0, np.abs(x))
    v = np.full(len(x), 0.5)
    rise = kind.encode(x + step, v).y - kind.encode(x - step, v).y
    np.testing.assert_allclose(np.exp(kind.encode(x, v).log_weight), rise / (2 * step), rtol=1e-4)


@pytest.mark.parametrize("name", [*CONTINUOUS, *ATOMS])
def test_decoded_cells_are_the_cells(name):
    kind, cells = {**CONTINUOUS, **ATOMS}[name]
    kind = learned(kind, cells)
    for place in (1e-9, 0.3, 1.0 - 1e-9):
        x = kind.numbers(cells)
        y = kind.encode(x, np.full(N, place)).y
        assert np.isfinite(y).all()
        np.testing.assert_allclose(kind.decode(y), x, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [*CONTINUOUS, *ATOMS])
def test_any_score_decodes_to_a_value_that_the_column_may_hold(name):
    kind, cells = {**CONTINUOUS, **ATOMS}[name]
    kind = learned(kind, cells)
    x = kind.decode(np.concatenate([np.linspace(-40.0, 40.0, 4001), [-700.0, 700.0]]))
    assert np.isfinite(x).all()
    assert not kind.outside(x).any()


@pytest.mark.parametrize("name", ["counts", "tenths", "classes", "stations"])
def test_atoms_have_their_shares_and_fill_the_line(name):
    kind, cells = ATOMS[name]
    kind = learned(kind, cells)
    values, counts = np.unique(kind.numbers(cells), return_counts=True)
    low, high = (kind.encode(values, np.full(len(values), v)).y for v in (1e-12, 1.0 - 1e-12))
    np.testing.assert_allclose(norm.cdf(high) - norm.cdf(low), counts / N, atol=1e-9)
    np.testing.assert_allclose(norm.cdf(high)[:-1], norm.cdf(low)[1:], atol=1e-9)
    # The log of the jump over phi(y), wherever in the jump.
    encoded = kind.encode(values, np.full(len(values), 0.2))
    np.testing.assert_allclose(encoded.log_weight, np.log(counts / N) - norm.logpdf(encoded.y))


@pytest.mark.parametrize("name", ["spike", "spike at both ends", "spike and fill value"])
def test_atoms_and_density_of_a_spike_add_up_to_one(name):
    kind, cells = CONTINUOUS[name]
    kind = learned(kind, cells)

    support = Support(kind.rest.low, kind.rest.high)

    def density(t):  # of t: in x much of the mass is next to 0, and a little far out
        x = support.inverse(np.array([t]))
        encoded, (_, log_slope) = kind.encode(x, np.array([0.5])), support.forward(x)
        return float(np.exp(encoded.log_weight + norm.logpdf(encoded.y) - log_slope)[0])

    mass = quad(density, -30.0, 30.0, limit=1000, points=[0.0, 2.0])[0]
    assert sum(kind.shares) + mass == pytest.approx(1.0, abs=1e-6)


def test_scores_of_a_spike_ascend_across_its_atoms():
    kind = learned(*CONTINUOUS["spike inside"])
    x = np.array([-1.0, -1e-9, 0.0, 0.0, 1e-9, 1.0])
    y = kind.encode(x, np.array([0.5, 0.5, 1e-9, 1.0 - 1e-9, 0.5, 0.5])).y
    assert (np.diff(y) >= 0.0).all()
    np.testing.assert_allclose([y[1], y[3]], [y[2], y[4]], atol=1e-6)


@pytest.mark.parametrize("name", [*CONTINUOUS, *ATOMS])
def test_missing_cells_pass_both_ways(name):
    kind, cells = {**CONTINUOUS, **ATOMS}[name]
    kind = learned(kind, cells)
    x = np.array([np.nan, kind.numbers(cells)[0]])
    y = kind.encode(x, np.full(2, 0.5)).y
    assert np.isnan(y).tolist() == [True, False]
    assert np.isnan(kind.decode(y)).tolist() == [True, False]
    assert not kind.outside(x).any()
    assert not kind.has_jump(x)[0]


@pytest.mark.parametrize("name", [*CONTINUOUS, *ATOMS])
def test_kinds_come_back_from_json(name):
    kind, cells = {**CONTINUOUS, **ATOMS}[name]
    kind = learned(kind, cells)
    again = kind_of(json.loads(json.dumps(kind.plain())), "test")
    x, v = kind.numbers(cells), np.full(N, 0.3)
    np.testing.assert_array_equal(again.encode(x, v).y, kind.encode(x, v).y)
    assert isinstance(again, Kind)
    assert again.about == kind.about


def test_an_angle_is_cut_where_rows_are_fewest_and_turns_make_no_difference():
    kind, cells = CONTINUOUS["angle"]
    kind = learned(kind, cells)
    off = kind.cut - np.degrees(1.0) - 180.0
    assert abs((off + 180.0) % 360.0 - 180.0) < 60.0
    v = np.full(N, 0.5)
    np.testing.assert_allclose(kind.encode(cells - 720.0, v).y, kind.encode(cells, v).y, rtol=1e-9)


def test_few_counts_are_atoms_and_many_are_moved_within_their_step():
    assert learned(*ATOMS["counts"]).atoms is not None
    dense = learned(*ATOMS["dense counts"])
    assert dense.atoms is None
    y = dense.encode(np.array([4.0, 4.0]), np.array([0.0, 1.0])).y
    np.testing.assert_allclose(y, [3.5, 4.5])
    assert dense.decode(np.array([-3.2]))[0] == 2.0  # reflected at -0.5

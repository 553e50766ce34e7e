"""What "auto" takes columns for, and what it leaves alone."""

import numpy as np
import pandas as pd
import pytest

from rbig_numba.columns import Columns

N = 4000
RNG = np.random.default_rng(1)
ANGLES = np.degrees(RNG.vonmises(0.5, 1.0, N)) % 360.0
CASES = {
    "normal": (RNG.normal(10.0, 3.0, N), "real"),
    "far from zero": (RNG.normal(300.0, 10.0, N), "real"),
    "heavy tails": (RNG.standard_t(2.0, N), "real"),
    "two humps": (np.where(RNG.random(N) < 0.5, RNG.normal(-5.0, 1.0, N), 5.0), "spike"),
    "gamma": (RNG.gamma(1.0, size=N), "positive"),
    "share": (RNG.beta(1.5, 1.5, N), "bounded"),
    "percent": (100.0 * RNG.beta(1.0, 1.0, N), "bounded"),
    "counts": (RNG.poisson(3.0, N), "whole"),
    "many counts": (RNG.integers(0, 100_000, N), "whole"),
    "negative": (RNG.integers(-50, 50, N), "whole"),
    "float32 beyond whole numbers": (RNG.normal(0.0, 1e9, N).astype(np.float32), "real"),
    "tenths": (np.round(RNG.normal(10.0, 3.0, N), 1), "steps"),
    "tenths in float32": (np.round(RNG.normal(10.0, 3.0, N), 1).astype(np.float32), "steps"),
    "six digits": (np.round(RNG.normal(10.0, 3.0, N), 6), "real"),
    "rain": (np.where(RNG.random(N) < 0.8, 0.0, RNG.gamma(0.8, 5.0, N)), "spike"),
    "capped": (np.minimum(RNG.lognormal(10.0, 0.6, N), 50_000.5), "spike"),
    "classes": (RNG.choice([0.3, np.pi, 7.77], N), "ordered"),
    "truth": (RNG.random(N) < 0.3, "ordered"),
    "degrees": (ANGLES, "angle"),
    "whole degrees": (np.floor(ANGLES), "angle"),
    "radians": (RNG.uniform(-np.pi, np.pi, N), "angle"),
    "longitudes": (RNG.uniform(-180.0, 180.0, N), "angle"),
    "latitudes": (np.degrees(np.arcsin(RNG.uniform(-1.0, 1.0, N))), "real"),
    "one side of the circle": (RNG.normal(180.0, 10.0, N), "real"),
    "constant": (np.ones(N), "skip"),
    "text": (np.array([f"n{i}" for i in range(N)], dtype=object), "skip"),
    "few words": (RNG.choice(["a", "b"], N).astype(object), "skip"),
    "dates": (pd.date_range("2000", periods=N).to_numpy(), "skip"),
    "empty": (np.full(N, np.nan), "skip"),
    "category": (pd.Categorical(RNG.choice(["a", "b", "c"], N)), "unordered"),
    "grades": (pd.Categorical(RNG.choice(["a", "b"], N), ordered=True), "ordered"),
    "fill values": (np.where(RNG.random(N) < 0.01, -9999.0, RNG.normal(size=N)), "spike"),
    "netCDF's fill value": (
        np.where(RNG.random(N) < 0.01, 9.96921e36, RNG.normal(size=N)),
        "spike",
    ),
    "with holes": (np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(size=N)), "real"),
    "whole with None": ([None if u < 0.1 else int(9 * u) for u in RNG.random(N)], "whole"),
}


@pytest.fixture(scope="module")
def proposed():
    return Columns.of(pd.DataFrame({name: cells for name, (cells, _) in CASES.items()}))


@pytest.mark.parametrize("name", CASES)
def test_kind(proposed, name):
    assert proposed[name].kind == CASES[name][1]


def test_reasons_and_remarks(proposed):
    by_name = {entry.name: entry for entry in proposed.entries}
    assert by_name["constant"].why == "constant: 1.0"
    assert "suspicious fill value -9999 (" in by_name["fill values"].remark
    assert "suspicious fill value 9.96921e+36 (" in by_name["netCDF's fill value"].remark
    assert by_name["rain"].remark == by_name["counts"].remark == ""
    assert by_name["with holes"].missing == pytest.approx(0.1, abs=0.03)
    assert proposed["tenths"].step == proposed["tenths in float32"].step == 0.1
    assert proposed["percent"].high == 100.0
    assert (proposed["longitudes"].low, proposed["degrees"].low) == (-180.0, 0.0)


def test_a_named_angle_needs_less():
    cells = np.clip(ANGLES, 8.0, 352.0)[(ANGLES > 8.0) & (ANGLES < 352.0)]
    columns = Columns.of(pd.DataFrame({"wind_dir": cells, "height": cells}))
    assert columns["wind_dir"].kind == "angle"
    assert columns["height"].kind != "angle"


def test_printed_table(weather):
    columns = Columns.of(weather)
    lines = repr(columns).splitlines()
    assert lines[0].split() == ["column", "type", "kind", "found", "missing", "why"]
    assert len(lines) == 2 + len(columns)
    rain = next(line for line in lines if line.startswith("rain"))
    assert rain.split()[:4] == ["rain", "float64", "spike", "0"]


def test_edited_saved_and_loaded(weather, tmp_path):
    columns = Columns.of(weather)
    columns["rain"] = "real"
    columns["count"] = {"kind": "steps", "step": 1.0}
    columns.save(tmp_path / "columns.json")
    again = Columns.load(tmp_path / "columns.json")
    assert again == columns
    assert (again["rain"].kind, again["count"].kind) == ("real", "steps")
    assert repr(again) == repr(columns)


def test_unordered_levels_go_with_the_other_columns():
    rng, n = np.random.default_rng(0), 2000
    height = rng.normal(size=n)
    places = np.searchsorted([-1.0, -0.3, 0.3, 1.0], height)
    stations = np.array(["delta", "alpha", "echo", "bravo", "charlie"])[places]
    table = pd.DataFrame({"x": height, "y": rng.normal(size=n), "station": stations})
    found = Columns.of(table, {"station": "unordered"})["station"].levels
    in_order = ["delta", "alpha", "echo", "bravo", "charlie"]
    assert found in (in_order, in_order[::-1])


def test_counts_of_a_file_are_those_of_the_frame(weather, tmp_path):
    numbers = weather[["temperature", "humidity", "wind", "rain", "count"]]
    numbers.to_csv(tmp_path / "weather.csv", index=False)
    found = Columns.of(tmp_path / "weather.csv")
    assert [found[name].plain() for name in found] == [
        Columns.of(numbers)[name].plain() for name in numbers
    ]


def test_samples_do_not_depend_on_blocks():
    from rbig_numba.columns.cells import cells_of
    from rbig_numba.columns.survey import SAMPLE_ROWS, surveyed

    cells = cells_of(np.random.default_rng(0).normal(size=(3 * SAMPLE_ROWS, 1)))
    small, large = (
        surveyed((block, None) for block in cells.blocks(size))[0].sampled for size in (999, 50_000)
    )
    np.testing.assert_array_equal(small, large)
    assert SAMPLE_ROWS // 2 < len(small) <= SAMPLE_ROWS

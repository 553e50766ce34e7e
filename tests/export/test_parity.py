"""Engine against exported flow, number for number."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer

from rbig_keras import export_to_keras, parity
from rbig_numba import RBIG

# The float32 bounds on z and the round trip are what the conditioning of these fits leaves of 6e-8.
BOUNDS = {
    "float64": {"dlog_p": 1e-9, "dz_relative": 1e-11, "round_trip": 1e-10},
    "float32": {"dlog_p": 1e-4, "dz_relative": 5e-5, "round_trip": 5e-3},
}
each_dtype = pytest.mark.parametrize("dtype", BOUNDS)


def assert_within_bounds(report, dtype):
    assert report.finite
    for name, bound in BOUNDS[dtype].items():
        assert getattr(report, name) <= bound, f"\n{report}"


@pytest.mark.parametrize(
    ("dtype", "trainable"), [("float64", True), ("float32", True), ("float32", False)]
)
def test_two_moons(model, moons, dtype, trainable):
    flow = export_to_keras(model, dtype=dtype, trainable_rotation=trainable)
    assert_within_bounds(parity(model, flow, moons), dtype)


@each_dtype
def test_columns_of_any_scale_and_place(dtype, rng):
    """Scales of 1e-8 and 1e8, and a column a million standard deviations from 0."""
    e = rng.normal(size=(500, 4))
    X = np.c_[
        300 + 10 * e[:, 0],
        1e-8 * (e[:, 1] + 0.5 * e[:, 0] ** 2),
        1e8 * (np.exp(0.5 * e[:, 2]) + e[:, 1]),
        1e5 + 0.1 * e[:, 3],
    ]
    model = RBIG(
        blocks="classic", n_blocks=3, n_components=4, validation_fraction=0, random_state=0
    ).fit(X)
    flow = export_to_keras(model, dtype=dtype)
    assert_within_bounds(parity(model, flow, X), dtype)


@each_dtype
def test_two_rows_and_one_column(dtype):
    X = np.array([[0.0], [1.0]])
    model = RBIG(
        blocks="classic", n_blocks=2, n_components=2, validation_fraction=0, random_state=0
    ).fit(X)
    assert_within_bounds(parity(model, export_to_keras(model, dtype=dtype), X), dtype)


@each_dtype
def test_blocks_of_every_kind(dtype):
    rng = np.random.default_rng(2)
    e = rng.normal(size=(3000, 4)) * np.exp(0.5 * rng.normal(size=(3000, 1)))
    X = np.c_[e[:, :2], np.sin(e[:, 0]) + 0.3 * e[:, 2], e[:, 1] ** 2 + 0.3 * e[:, 3]]
    kinds = ["mixture", "radial", "mixture", "joint", "coupling"]
    model = RBIG(blocks=kinds, n_components=4, validation_fraction=0, random_state=0).fit(X)
    found = {bijection.kind for bijection in model.flow_.bijections}
    assert found == {"affine", "mixture", "radial", "joint", "coupling", "rotation"}
    assert_within_bounds(parity(model, export_to_keras(model, dtype=dtype), X), dtype)


@pytest.mark.parametrize("random_state", range(3))
def test_single_precision_on_a_small_real_table(random_state):
    """Components of 569 rows of 12 columns are narrow where these are functions of each other."""
    X = load_breast_cancer().data[:, :12]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model = RBIG(n_blocks=10, validation_fraction=0, random_state=random_state).fit(X)
    report = parity(model, export_to_keras(model), X)
    assert report.finite
    assert report.dlog_p <= 1e-4, f"\n{report}"


def test_sees_a_changed_weight_and_a_lost_row(small_model, small_flow, moons):
    mixture = small_flow.bijector_layers[-1]
    mixture.means.assign_add(np.full(mixture.means.shape, 1e-2))
    report = parity(small_model, small_flow, moons[:200])
    assert report.dlog_p > 1e-3
    assert report.dz_relative > 1e-3
    mixture.means.assign(np.full(mixture.means.shape, np.nan))
    report = parity(small_model, small_flow, moons[:200])
    assert not report.finite
    assert str(report).endswith("NO")


def test_prints_a_table(small_model, small_flow, moons):
    report = parity(small_model, small_flow, moons[:200])
    head, *rows, last = str(report).splitlines()
    assert head.split()[0] == small_flow.dtype
    assert [row[:15].strip() for row in rows] == [
        "given rows",
        "fresh samples",
        "10 sd out",
        "100 sd out",
        "1000 sd out",
    ]
    assert len({len(line) for line in (head, *rows)}) == 1
    assert last == "all finite: yes"


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pl.LazyFrame])
def test_frames_with_the_names_of_the_fit(frame, moons):
    rows = {"a": moons[:200, 0], "b": moons[:200, 1]}
    model = RBIG(1, blocks="classic", random_state=0).fit(frame(rows))
    assert_within_bounds(parity(model, export_to_keras(model), frame(rows)), "float32")
    with pytest.raises(ValueError, match="same order"):
        parity(model, export_to_keras(model), frame({name: rows[name] for name in "ba"}))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((5, 3)), "3 features"),
        (np.zeros(2), "must be 2D"),
        (np.array([[0.0, np.nan], [1.0, 2.0]]), "NaN in 1 rows .*the first is row 0"),
        (np.ma.masked_equal([[0.0, 7.0], [1.0, 2.0]], 7.0), "masked cells in 1 rows"),
        (np.zeros((2, 2)).astype(str), "not numbers"),
        (np.zeros((1, 2)), "at least two"),
    ],
)
def test_refuses_rows_that_do_not_fit(small_model, small_flow, X, message):
    with pytest.raises(ValueError, match=message):
        parity(small_model, small_flow, X)

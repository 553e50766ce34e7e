"""RBIG(columns=...): scores are probabilities, samples are valid, everything goes with it."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.stats import spearmanr

from benchmarks.made import COLUMNS, TABLES
from rbig_numba import RBIG, RBIGEnsemble
from rbig_numba.columns import Columns


@pytest.fixture(scope="module")
def model(weather):
    return RBIG(columns="auto", n_blocks=6, random_state=0).fit(weather[:3000])


def test_none_does_not_even_import_columns():
    script = (
        "import sys, numpy as np; from rbig_numba import RBIG\n"
        "X = np.random.default_rng(0).gamma(2.0, size=(300, 2))\n"
        "model = RBIG(n_blocks=2).fit(X); model.sample(3); model.score(X)\n"
        "assert model.columns_ is None\n"
        "assert not any(name.startswith('rbig_numba.columns') for name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_real_columns_have_the_same_bits(rng, dtype):
    X = rng.normal(size=(2000, 3)).cumsum(axis=1).astype(dtype)
    plain, auto = (RBIG(n_blocks=4, columns=c, random_state=0).fit(X) for c in (None, "auto"))
    assert auto.columns_.passes_through
    np.testing.assert_array_equal(auto.score_samples(X), plain.score_samples(X))
    np.testing.assert_array_equal(auto.sample(20, random_state=0), plain.sample(20, random_state=0))


def test_no_cell_flattens_a_real_column(rng):
    X = rng.normal(size=(5000, 2))
    clean = RBIG(columns="auto", n_blocks=4, random_state=0).fit(X)
    spoilt = np.r_[X, [[1e30, 0.0]]]
    model = RBIG(columns="auto", n_blocks=4, random_state=0).fit(spoilt)
    assert model.columns_[0].kind == "real"
    assert abs(model.score(X) - clean.score(X)) < 0.01


def test_probabilities_of_all_rows_that_there_can_be_add_up_to_one(rng):
    grade = rng.choice(3, 4000, p=[0.2, 0.5, 0.3])
    X = np.c_[grade, rng.poisson(0.5 + grade)]
    model = RBIG(columns="auto", n_blocks=4, random_state=0).fit(X)
    model.columns_.n_points = 256
    rows = np.array([[g, c] for g in range(3) for c in np.unique(X[:, 1])])
    found = np.exp(model.score_samples(rows))
    assert found.sum() == pytest.approx(1.0, abs=0.003)
    shares = np.array([(row == X).all(axis=1).mean() for row in rows])
    np.testing.assert_allclose(found, shares, atol=0.015)


def test_atoms_and_density_add_up_to_one(rng):
    rain = np.where(rng.random(4000) < 0.7, 0.0, rng.gamma(0.8, 5.0, 4000))
    X = np.c_[rain, rng.normal(size=4000) + (rain > 0)]
    model = RBIG(columns={1: "skip"}, n_blocks=4, random_state=0).fit(X)
    model.columns_.n_points = 64

    def density(t):
        return np.exp(model.score_samples([[np.exp(t)]])[0] + t)

    dry = np.exp(model.score_samples([[0.0]])[0])
    assert dry == pytest.approx((rain == 0.0).mean(), abs=0.01)
    assert dry + quad(density, -25.0, 12.0, limit=200)[0] == pytest.approx(1.0, abs=0.003)


@pytest.mark.parametrize("name", ["shares", "all"])
def test_made_tables_come_near_the_truth(name):
    """What `python -m benchmarks.columns` asks of 20,000 rows and all tables, of fewer."""
    table, rng = TABLES[name], np.random.default_rng(1)
    X, test = table.draw(10_000, rng), table.draw(600, rng)
    model = RBIG(columns="auto", random_state=0).fit(X)
    assert abs(table.log_prob(test).mean() - model.score(test)) < 0.05
    samples = model.sample(20_000, random_state=0)
    for kind, column in zip(table.kinds, samples.T, strict=True):
        assert COLUMNS[kind].valid(column).all()
    if name == "all":
        assert np.abs(spearmanr(samples)[0] - spearmanr(X)[0]).max() < 0.03


def test_a_sample_is_a_table_like_the_fitted_one(model, weather):
    new = model.sample(2000, random_state=0)
    kept = [name for name in weather if name not in ("name", "date", "site")]
    assert list(new) == kept
    assert new.dtypes.to_dict() == weather[kept].dtypes.to_dict()
    assert new["humidity"].between(0, 100).all()
    assert new["wind"].between(0.0, 360.0, inclusive="left").all()
    assert (new["rain"] >= 0.0).all()
    assert abs((new["rain"] == 0.0).mean() - (weather["rain"] == 0.0).mean()) < 0.04
    assert new["frost"].groupby(new["temperature"] < 0.0).mean().diff().iloc[-1] > 0.5
    np.testing.assert_array_equal(model.score_samples(new).shape, (2000,))
    # What it would be described as is what was fitted.
    again = Columns.of(model.sample(4000, random_state=1))
    assert [again[name].kind for name in kept] == [model.columns_[name].kind for name in kept]


def test_scores_do_not_depend_on_the_rows_beside(model, weather):
    whole = model.score_samples(weather[:300])
    np.testing.assert_array_equal(model.score_samples(weather[100:200]), whole[100:200])
    with_all = model.score_samples(weather[:300][list(model.columns_)[::-1]])
    np.testing.assert_array_equal(with_all, whole)  # columns are found by their names
    lacking = weather[:300].drop(columns=["name", "date", "site"])
    np.testing.assert_array_equal(model.score_samples(lacking), whole)


def test_latent_rows_come_back(model, weather):
    z = model.transform(weather[:3000])
    assert z.shape == (3000, model.transform(weather[:1]).shape[1])
    assert list(model.get_feature_names_out())[-1] == f"rbig{z.shape[1] - 1}"
    np.testing.assert_allclose(z.std(axis=0), 1.0, atol=0.1)
    back = model.inverse_transform(z)
    for name in back:
        if back[name].dtype.kind == "f":
            np.testing.assert_allclose(back[name], weather[name][:3000], rtol=1e-6, atol=1e-6)
        else:
            assert (back[name].to_numpy() == weather[name][:3000].to_numpy()).all()


def test_more_points_converge(model, weather):
    rows = weather[3000:3300]
    found = {}
    for n_points in (16, 64, 512):
        model.columns_.n_points = n_points
        found[n_points] = model.score_samples(rows)
    model.columns_.n_points = 16
    few, more = (np.abs(found[n] - found[512]).mean() for n in (16, 64))
    assert more < 0.6 * few < 0.1


def test_saved_and_loaded(model, weather, tmp_path):
    model.save(tmp_path / "model.rbig")
    again = RBIG.load(tmp_path / "model.rbig")
    np.testing.assert_array_equal(
        again.score_samples(weather[:50]), model.score_samples(weather[:50])
    )
    np.testing.assert_array_equal(again.transform(weather[:50]), model.transform(weather[:50]))
    pd.testing.assert_frame_equal(
        again.sample(20, random_state=0), model.sample(20, random_state=0)
    )
    assert again.columns == "auto"
    assert again.columns_ == model.columns_


def test_given_kinds_are_loaded_as_the_fitted_ones(rng, tmp_path):
    X = np.c_[rng.poisson(2.0, 500), rng.normal(size=500)]
    model = RBIG(n_blocks=2, columns={0: "ordered"}, random_state=0).fit(X)
    model.save(tmp_path / "model.rbig")
    again = RBIG.load(tmp_path / "model.rbig")
    assert again.columns == again.columns_ == model.columns_
    again.fit(X)
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))


@pytest.mark.parametrize("kind", ["csv", "parquet", "npy", "memmap"])
def test_tables_out_of_core_are_the_table_in_memory(weather, tmp_path, kind):
    numbers = weather[["temperature", "humidity", "rain"]].astype(float)
    path = tmp_path / f"weather.{kind if kind != 'memmap' else 'npy'}"
    if kind == "csv":
        numbers.to_csv(path, index=False)
    elif kind == "parquet":
        numbers.to_parquet(path)
    else:
        np.save(path, numbers.to_numpy())
    table = np.load(path, mmap_mode="r") if kind == "memmap" else path
    settings = {"columns": "auto", "blocks": "classic", "n_blocks": 2, "random_state": 0}
    plain = numbers.to_numpy() if kind in ("npy", "memmap") else numbers
    there, here = RBIG(**settings).fit(table), RBIG(**settings).fit(plain)
    np.testing.assert_array_equal(there.score_samples(plain), here.score_samples(plain))
    np.testing.assert_array_equal(there.score_samples(table), here.score_samples(plain))
    np.testing.assert_array_equal(there.transform(table), here.transform(plain))


def test_polars_and_arrow_frames(weather):
    pandas = (
        weather[:1500]
        .drop(columns=["name", "date"])
        .assign(grade=weather["grade"][:1500].astype(str))
    )
    kinds = {"grade": "ordered"}
    enum = pl.Enum(["low", "mid", "high"])
    frame = pl.from_pandas(pandas).with_columns(level=pl.col("grade").cast(enum))
    pandas = pandas.assign(level=weather["grade"][:1500])
    settings = {"columns": kinds, "blocks": "classic", "n_blocks": 2, "random_state": 0}
    model = RBIG(**settings).fit(frame)
    new = model.sample(100, random_state=0)
    assert isinstance(new, pl.DataFrame)
    assert dict(new.schema) == {k: v for k, v in frame.schema.items() if k != "site"}
    assert set(new["grade"]) <= {"low", "mid", "high"}
    other = RBIG(**settings).fit(pandas)
    np.testing.assert_array_equal(other.score_samples(pandas), model.score_samples(frame))
    assert type(RBIG(**settings).fit(frame.to_arrow()).sample(3)).__name__ == "Table"


def test_whole_weights_count_rows(rng):
    X = np.c_[rng.poisson(2.0, 2000), rng.normal(size=2000)]
    weights = rng.integers(0, 3, 2000)
    model = RBIG(columns="auto", n_blocks=3, random_state=0).fit(X, sample_weight=weights)
    twice = RBIG(columns="auto", n_blocks=3, random_state=0).fit(np.repeat(X, weights, axis=0))
    atoms, others = model.columns_[0].atoms, twice.columns_[0].atoms
    np.testing.assert_array_equal(atoms.values, others.values)
    np.testing.assert_array_equal(atoms.weights, others.weights)
    assert model.score(X) == pytest.approx(twice.score(X), abs=0.03)


def test_an_ensemble_averages_probabilities(weather, tmp_path):
    model = RBIGEnsemble(RBIG(columns="auto", n_blocks=3), n_estimators=2, random_state=0)
    model.fit(weather[:2000])
    rows = weather[2000:2200]
    # A lattice's mean of densities' means is their lattices' mean.
    each = [member.score_samples(rows) for member in model.estimators_]
    np.testing.assert_allclose(
        model.score_samples(rows), np.logaddexp(*each) - np.log(2.0), rtol=1e-9
    )
    new = model.sample(100, random_state=0)
    assert list(new) == [entry.name for entry in model.columns_.kept]
    model.save(tmp_path / "model.rbig")
    again = RBIGEnsemble.load(tmp_path / "model.rbig")
    np.testing.assert_array_equal(again.score_samples(rows), model.score_samples(rows))
    assert again.estimator.columns == "auto"


def test_fit_more_keeps_the_columns(model, weather):
    more = RBIG(columns="auto", n_blocks=2, random_state=0).fit(weather[:2000])
    before = more.columns_
    more.fit_more(weather[2000:])
    assert [more.columns_[name].kind for name in before] == [before[name].kind for name in before]
    assert np.isfinite(more.score(weather[:500]))


def test_float32_tables(rng):
    X = np.c_[rng.poisson(2.0, 2000), rng.normal(size=2000)].astype(np.float32)
    model = RBIG(columns="auto", n_blocks=3, random_state=0).fit(X)
    assert model.transform(X[:10]).dtype == np.float32
    exact = RBIG(columns="auto", n_blocks=3, random_state=0).fit(X.astype(float))
    assert model.score(X) == pytest.approx(exact.score(X), abs=0.01)

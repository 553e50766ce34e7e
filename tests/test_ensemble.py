"""Averages of fits: the density that they are, their samples, their file, their command."""

import numpy as np
import pytest
from sklearn.base import clone

from rbig_numba import RBIG, RBIGEnsemble
from rbig_numba.cli import main
from rbig_numba.flow import FlowAverage
from rbig_numba.tables import as_arrow, read_table, write_table

NAMES = ["a", "b"]


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).gamma(2.0, size=(400, 2))


def small(**parameters):
    base = RBIG(n_blocks=2, n_components=2, blocks="classic")
    return RBIGEnsemble(base, **{"n_estimators": 3, "random_state": 0} | parameters)


@pytest.fixture(scope="module")
def fitted(X):
    return small().fit(X)


def test_density_is_the_mean_of_the_members(fitted, X):
    scores = np.stack([member.score_samples(X) for member in fitted.estimators_])
    assert len(scores) == 3
    assert np.abs(np.diff(scores, axis=0)).max() > 1e-3
    np.testing.assert_allclose(fitted.score_samples(X), np.log(np.exp(scores).mean(axis=0)))
    assert fitted.score(X) >= scores.mean()  # Jensen


def test_far_rows_are_finite_and_lose_log_n_at_most(fitted, X):
    far = X.mean(axis=0) + 1000.0 * np.array([[1.0, 1.0], [-1.0, 1.0], [0.0, -1.0]])
    best = np.max([member.score_samples(far) for member in fitted.estimators_], axis=0)
    scores = fitted.score_samples(far)
    assert np.isfinite(scores).all()
    assert (scores >= best - np.log(3.0) - 1e-9).all()


def test_a_row_has_the_same_bits_alone(fitted, X):
    alone = np.concatenate([fitted.score_samples(row[None]) for row in X[:20]])
    np.testing.assert_array_equal(alone, fitted.score_samples(X)[:20])


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_same_seed_same_bits_for_any_threads(fitted, X, n_jobs):
    again = small(n_jobs=n_jobs).fit(X)
    np.testing.assert_array_equal(again.score_samples(X), fitted.score_samples(X))
    assert not np.array_equal(
        small(random_state=1).fit(X).score_samples(X), fitted.score_samples(X)
    )


def test_a_weight_of_two_is_the_row_twice(X):
    weights = np.arange(len(X)) % 3
    weighted = small().fit(X, sample_weight=weights)
    repeated = small().fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.score_samples(X), repeated.score_samples(X), atol=1e-6)
    assert weighted.n_samples_fit_ == (weights > 0).sum()


def test_paths_and_mapped_arrays_fit_the_same(fitted, X, tmp_path):
    np.save(tmp_path / "rows.npy", X)
    for table in (tmp_path / "rows.npy", np.load(tmp_path / "rows.npy", mmap_mode="r")):
        scores = small().fit(table).score_samples(table)
        np.testing.assert_array_equal(scores, fitted.score_samples(X))


def test_dask_collections(fitted, X):
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(X, chunks=(150, 2))
    model = small().fit(lazy)
    np.testing.assert_allclose(model.score_samples(lazy), fitted.score_samples(X), atol=1e-6)
    drawn = model.sample(250, random_state=3, chunks=100)
    assert drawn.chunks == ((100, 100, 50), (2,))
    assert np.isfinite(drawn.compute()).all()


def test_each_row_is_drawn_from_a_member_of_its_own(X):
    places = [RBIG(n_blocks=1, validation_fraction=0).fit(X + 100.0 * k).flow_ for k in range(4)]
    average = FlowAverage(tuple(places))
    rows = average.sample(4000, np.random.RandomState(0))
    members = np.rint((rows[:, 0] - 2.0) / 100.0).astype(int)
    # four standard errors of 4000 draws
    np.testing.assert_allclose(np.bincount(members) / 4000, 0.25, atol=0.028)
    assert (np.diff(members) != 0).mean() == pytest.approx(0.75, abs=0.04)
    within = rows - 100.0 * members[:, None]
    np.testing.assert_allclose(within.mean(axis=0), X.mean(axis=0), atol=0.15)


def test_samples_follow_the_seed_and_come_in_parts(fitted):
    drawn = fitted.sample(50, random_state=1)
    np.testing.assert_array_equal(fitted.sample(50, random_state=1), drawn)
    state = np.random.RandomState(1)
    parts = [fitted.sample(n, random_state=state) for n in (20, 30)]
    np.testing.assert_array_equal(np.concatenate(parts), drawn)
    with pytest.raises(ValueError, match="n_samples=0"):
        fitted.sample(0)


def test_nested_parameters(X):
    model = small().set_params(estimator__n_components=4, n_estimators=2)
    assert clone(model).get_params()["estimator__n_components"] == 4
    model.fit(X)
    assert [member.n_components for member in model.estimators_] == [4, 4]
    assert model.estimator.random_state is None
    assert not hasattr(model, "transform")


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"n_estimators": 0}, ValueError),
        ({"n_estimators": 1.5}, TypeError),
        ({"estimator": "RBIG"}, TypeError),
        ({"n_jobs": 0}, ValueError),
    ],
)
def test_impossible_parameters(X, parameters, error):
    with pytest.raises(error, match=next(iter(parameters))):
        small(**parameters).fit(X)


def test_a_failed_fit_leaves_the_old_model(X):
    model = small(n_estimators=1).fit(as_arrow(X, NAMES))
    before = model.score_samples(as_arrow(X, NAMES))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan))
    assert list(model.feature_names_in_) == NAMES
    np.testing.assert_array_equal(model.score_samples(as_arrow(X, NAMES)), before)
    assert not hasattr(model.fit(X), "feature_names_in_")


def test_one_file_holds_all_members(fitted, X, tmp_path):
    fitted.save(tmp_path / "m.rbig")
    again = RBIGEnsemble.load(tmp_path / "m.rbig")
    np.testing.assert_array_equal(again.score_samples(X), fitted.score_samples(X))
    assert str(again.get_params()) == str(fitted.get_params())
    assert [m.history_ for m in again.estimators_] == [m.history_ for m in fitted.estimators_]
    assert (again.n_features_in_, again.n_samples_fit_) == (2, 400)
    with pytest.raises(ValueError, match="load it with RBIGEnsemble"):
        RBIG.load(tmp_path / "m.rbig")
    fitted.estimators_[0].save(tmp_path / "one.rbig")
    with pytest.raises(ValueError, match=r"load it with RBIG$"):
        RBIGEnsemble.load(tmp_path / "one.rbig")


def test_no_estimator_given_comes_back_as_none(fitted, tmp_path):
    default = clone(fitted).set_params(estimator=None)._assemble(fitted.estimators_)
    default.save(tmp_path / "m.rbig")
    assert RBIGEnsemble.load(tmp_path / "m.rbig").estimator is None


def test_command_line(X, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_table("rows.csv", X, NAMES)

    def run(command):
        with pytest.raises(SystemExit) as stop:
            main(command.split())
        return stop.value.code or 0, *capsys.readouterr()

    fit = "fit rows.csv -o m.rbig --n-estimators 2 --n-blocks 1 --n-components 2 --random-state 1"
    assert "400 rows, 2 columns" in run(fit)[2]
    assert run("score m.rbig rows.csv -o scores.npy") == (0, "", "")
    model = RBIGEnsemble.load("m.rbig")
    assert [member.n_blocks for member in model.estimators_] == [1, 1]
    scores = model.score_samples(as_arrow(X, NAMES))
    np.testing.assert_array_equal(read_table("scores.npy")[0][:, 0], scores)
    assert run("sample m.rbig -n 5 --random-state 0")[1].startswith('"a","b"\n')
    assert run("info m.rbig")[1].count("Blocks, mean log-density") == 2
    code, _, err = run("transform m.rbig rows.csv")
    assert (code, err.count("\n")) == (2, 1)
    assert "no latent space" in err

"""Fits to tables with missing cells, and what they are asked."""

import time
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import multivariate_normal

from rbig_numba import RBIG, DensityWarning, RBIGEnsemble, RBIGImputer

MEAN = np.array([1.0, -2.0, 300.0])
COVARIANCE = np.array([[1.0, 0.7, 8.0], [0.7, 1.5, -3.0], [8.0, -3.0, 200.0]])
# Without held-out rows all blocks are kept.
ALL = {"blocks": ["mixture", "joint", "mixture"], "validation_fraction": 0}
FEW = {"missing": "model", "blocks": ["joint"], "random_state": 0}


def normal_rows(n_rows=1500, seed=0):
    return np.random.default_rng(seed).multivariate_normal(MEAN, COVARIANCE, n_rows)


def bent_rows(n_rows=1500, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, 3))
    rows[:, 1] = rows[:, 1] * 0.4 + np.sin(2.0 * rows[:, 0])
    rows[:, 2] = np.exp(0.5 * rows[:, 2]) + rows[:, 0] ** 2
    return rows


def with_holes(rows, share=0.2, seed=1):
    rows = rows.copy()
    rows[np.random.default_rng(seed).random(rows.shape) < share] = np.nan
    return rows


@pytest.fixture(scope="module")
def bent():
    return RBIG(missing="model", **ALL, random_state=0).fit(with_holes(bent_rows()))


def test_a_gaussian_with_holes_is_recovered():
    model = RBIG(**FEW).fit(with_holes(normal_rows()))
    rows = normal_rows(4000, seed=3)
    truth = multivariate_normal(MEAN, COVARIANCE)
    assert abs((model.score_samples(rows) - truth.logpdf(rows)).mean()) < 0.015
    rows[:, 1] = np.nan
    there = multivariate_normal(MEAN[[0, 2]], COVARIANCE[np.ix_([0, 2], [0, 2])])
    log_prob = model.score_samples(rows)
    assert abs((log_prob - there.logpdf(rows[:, [0, 2]])).mean()) < 0.015
    np.testing.assert_allclose(model.missing_, 0.2, atol=0.03)


def grid_log_prob(model, row, n_points=1501):
    """Return the log of the model's density of a row, summed up over a fine grid of its hole."""
    (hole,) = np.flatnonzero(np.isnan(row))
    values = np.linspace(-12.0, 30.0, n_points)
    rows = np.tile(row, (n_points, 1))
    rows[:, hole] = values
    return np.log(np.exp(model.score_samples(rows)).sum() * (values[1] - values[0]))


def test_log_densities_of_rows_with_a_hole_are_integrals(bent):
    assert [record["kind"] for record in bent.history_[:2]] == ["mixture", "joint"]
    assert len(bent.flow_.bijections) > 3  # others behind them
    rows = bent_rows(9, seed=5)
    rows[np.arange(9), np.arange(9) % 3] = np.nan
    expected = [grid_log_prob(bent, row) for row in rows]
    log_prob, std_error = bent.score_samples(rows, n_draws=512, return_std_error=True)
    np.testing.assert_allclose(log_prob, expected, rtol=0, atol=0.01)
    assert (std_error > 0.0).all()


def test_scores_depend_on_the_row_only(bent):
    rows = with_holes(bent_rows(300, seed=6), 0.4)
    log_prob = bent.score_samples(rows)
    parts = [bent.score_samples(rows[i : i + 7]) for i in range(0, 300, 7)]
    np.testing.assert_array_equal(log_prob, np.concatenate(parts))
    np.testing.assert_array_equal(log_prob, bent.set_params(n_jobs=1).score_samples(rows))
    empty = np.isnan(rows).all(axis=1)
    assert empty.any()
    assert (log_prob[empty] == 0.0).all()


def test_a_fit_with_holes_nears_the_fit_of_whole_rows(bent):
    whole = RBIG(**ALL, random_state=0).fit(bent_rows())
    test = bent_rows(5000, seed=7)
    gaussian = multivariate_normal(test.mean(axis=0), np.cov(test.T)).logpdf(test).mean()
    assert bent.score(test) - gaussian > 0.9 * (whole.score(test) - gaussian)


def test_a_fit_does_not_depend_on_the_order_of_rows_and_counts_weights():
    rows = with_holes(bent_rows(400))
    rows[5] = np.nan
    options = {"missing": "model", "blocks": ["mixture", "joint", "mixture"], "random_state": 0}
    model = RBIG(**options).fit(np.concatenate([rows, rows[:100]]))
    weights = np.where(np.arange(400) < 100, 2, 1)
    order = np.random.default_rng(0).permutation(400)
    other = RBIG(**options, n_jobs=1).fit(rows[order], sample_weight=weights[order])
    test = bent_rows(100, seed=8)
    np.testing.assert_allclose(model.score_samples(test), other.score_samples(test), atol=1e-4)
    empty = np.isnan(rows).all(axis=1)
    assert model.n_samples_fit_ == 500 - empty.sum() - empty[:100].sum()  # they say nothing


def test_means_of_cells_missing_at_random_are_right():
    """The second column is missing where the first is high: the mean of what is left is off."""
    rows = normal_rows(4000)
    holes = np.random.default_rng(2).random(4000) < 1.0 / (1.0 + np.exp(-2.0 * (rows[:, 0] - 1.0)))
    table = rows.copy()
    table[holes, 1] = np.nan
    model = RBIG(**FEW).fit(table)
    error = np.sqrt(COVARIANCE[1, 1] / 4000)
    assert np.nanmean(table[:, 1]) < MEAN[1] - 10.0 * error
    drawn = model.impute(table, n_draws=20, random_state=0)
    means = drawn[:, :, 1].mean(axis=1)
    # Rubin (1987): the variance within tables, and between them.
    total = drawn[:, :, 1].var() / 4000 + 1.05 * means.var(ddof=1)
    assert abs(means.mean() - MEAN[1]) < 2.0 * np.sqrt(total)
    mean = model.impute(table, n_draws=0, random_state=0)[holes, 1]
    slope = COVARIANCE[[1], [0, 2]], np.linalg.inv(COVARIANCE[np.ix_([0, 2], [0, 2])])
    expected = MEAN[1] + (rows[holes][:, [0, 2]] - MEAN[[0, 2]]) @ (slope[0] @ slope[1])
    assert np.abs(mean - expected).mean() < 0.05
    np.testing.assert_array_equal(drawn[3][~np.isnan(table)], table[~np.isnan(table)])


def test_draws_follow_the_density(bent):
    """Of cells drawn given the others the model's distribution function is uniform."""
    rows = bent_rows(400, seed=9)
    rows[:, 1] = np.nan
    drawn = bent.impute(rows, random_state=0)
    values = np.linspace(-6.0, 6.0, 400)
    grid = np.repeat(rows, len(values), axis=0)
    grid[:, 1] = np.tile(values, len(rows))
    density = np.exp(bent.score_samples(grid)).reshape(len(rows), -1)
    below = np.where(values < drawn[:, 1:2], density, 0.0).sum(axis=1) / density.sum(axis=1)
    distances = np.abs(np.sort(below) - (np.arange(400) + 0.5) / 400)
    assert distances.max() < 1.63 / np.sqrt(400)  # Kolmogorov, 1 %
    other = bent.impute(rows, random_state=1)
    assert (drawn[:, 1] != other[:, 1]).all()
    np.testing.assert_array_equal(drawn, bent.impute(rows, random_state=0))


def test_frames_come_back_as_frames(bent):
    rows = bent_rows(20, seed=10)
    frame = pd.DataFrame(rows, columns=["a", "b", "c"], index=range(5, 25))
    frame["d"] = pd.array(np.arange(20), dtype="Int64")
    frame["e"] = [None, *map(float, range(1, 20))]
    frame = frame.astype({"e": object})
    frame.loc[[7, 9], "b"] = pd.NA
    names = list("abcde")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DensityWarning)
        model = RBIG(**FEW).fit(pd.concat([frame] * 3, ignore_index=True))
    filled = model.impute(frame, random_state=0)
    assert list(filled.columns) == names
    assert list(filled.index) == list(frame.index)
    assert not filled.isna().any().any()
    assert filled["d"].dtype == frame["d"].dtype
    pd.testing.assert_series_equal(filled["a"], frame["a"])
    table = pl.DataFrame(dict(zip(names, frame.to_numpy(float, na_value=np.nan).T, strict=True)))
    table = table.with_columns(pl.col("e").fill_nan(None))
    other = model.impute(table, random_state=0)
    assert other.columns == names
    np.testing.assert_allclose(other.to_numpy(), filled.to_numpy(float))


def test_drop_says_how_many_rows_it_leaves_out():
    rows = with_holes(bent_rows(500))
    whole = ~np.isnan(rows).any(axis=1)
    weights = np.arange(500) % 3
    with pytest.warns(UserWarning, match=f"^{(~whole).sum()} of 500 rows have missing cells"):
        model = RBIG(3, missing="drop", random_state=0).fit(rows, sample_weight=weights)
    expected = RBIG(3, random_state=0).fit(rows[whole], sample_weight=weights[whole])
    test = bent_rows(50, seed=2)
    np.testing.assert_array_equal(model.score_samples(test), expected.score_samples(test))
    with pytest.raises(ValueError, match="NaN in 1 rows"):
        model.score_samples(np.array([[1.0, np.nan, 0.0]]))


@pytest.mark.parametrize("missing", [None, "error"])
def test_holes_are_refused_unless_asked_for(missing):
    with pytest.raises(ValueError, match="contains NaN"):
        RBIG(missing=missing).fit(with_holes(bent_rows(100)))


def test_impossible_tables_are_told_in_one_line(bent, tmp_path):
    rows = bent_rows(100)
    every = rows.copy()
    every[np.arange(100), np.arange(100) % 3] = np.nan
    assert np.isfinite(RBIG(**FEW).fit(every).score(rows))
    with pytest.raises(ValueError, match=r'leaves no row of 100.*"model"'):
        RBIG(missing="drop").fit(every)
    column = pd.DataFrame(rows, columns=["a", "b", "c"])
    column["b"] = np.nan
    with pytest.raises(ValueError, match=r"columns missing in every row: 'b'; drop them"):
        RBIG(missing="model").fit(column)
    with pytest.raises(ValueError, match="columns missing in every row: 0, 1, 2"):
        RBIG(missing="model").fit(np.full((10, 3), np.nan))
    infinite = every.copy()
    infinite[4] = np.nan, np.inf, 0.0
    with pytest.raises(ValueError, match=r"infinity \(inf\) in 1 rows .* row 4\), columns 1;"):
        RBIG(missing="model").fit(infinite)
    with pytest.raises(ValueError, match="contains NaN in 100 rows"):
        bent.transform(every)
    np.save(tmp_path / "rows.npy", every)
    with pytest.raises(ValueError, match="not available for files and Dask collections yet"):
        RBIG(missing="model").fit(tmp_path / "rows.npy")
    np.save(tmp_path / "whole.npy", rows)
    scores = bent.score_samples(tmp_path / "whole.npy"), bent.score_samples(rows)
    np.testing.assert_array_equal(*scores)
    with pytest.raises(ValueError, match=r"rows\.npy contains NaN"):
        bent.score_samples(tmp_path / "rows.npy")
    for parameters in ({"missing": "impute"}, {"missing": "model", "refit": True}):
        with pytest.raises(ValueError, match="missing="):
            RBIG(**parameters).fit(rows)
    with pytest.raises(ValueError, match="begins with 'joint'"):
        RBIG(missing="model", blocks=["radial"]).fit(rows)


def test_models_that_begin_otherwise_say_so():
    rows = bent_rows(600)
    model = RBIG(blocks="classic", n_blocks=2, random_state=0).fit(rows).set_params(missing="model")
    with pytest.raises(ValueError, match=r"begins with affine \+ mixture \+ rotation"):
        model.impute(with_holes(rows[:5], 0.5))
    model = RBIG(blocks=["mixture", "joint"], random_state=0).fit(rows)
    log_prob = model.set_params(missing="model").score_samples(with_holes(rows))
    assert np.isfinite(log_prob).all()


def test_models_are_kept_and_go_on(bent, tmp_path):
    bent.save(tmp_path / "model.rbig")
    loaded = RBIG.load(tmp_path / "model.rbig")
    rows = with_holes(bent_rows(50, seed=3))
    np.testing.assert_array_equal(loaded.score_samples(rows), bent.score_samples(rows))
    np.testing.assert_array_equal(loaded.missing_, bent.missing_)
    before = len(loaded.flow_.bijections)
    loaded.set_params(n_blocks=1, blocks="auto").fit_more(with_holes(bent_rows(1000, seed=4)))
    assert len(loaded.flow_.bijections) >= before


def test_float32_stays(bent):
    rows = with_holes(bent_rows(600, seed=3)).astype(np.float32)
    assert bent.impute(rows, random_state=0).dtype == np.float32
    model = RBIG(**FEW).fit(rows)
    single, double = model.score_samples(rows), model.score_samples(rows.astype(float))
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, double, atol=1e-6)


def test_imputer_fills_tables_in_pipelines():
    frame = pd.DataFrame(with_holes(normal_rows(400)), columns=["a", "b", "c"])
    imputer = RBIGImputer(RBIG(**FEW), random_state=0)
    filled = imputer.fit_transform(frame)
    assert list(imputer.get_feature_names_out()) == ["a", "b", "c"]
    assert not filled.isna().any().any()
    array = RBIGImputer(RBIG(**FEW), random_state=0).fit_transform(frame.to_numpy())
    np.testing.assert_array_equal(array, filled.to_numpy())
    polars = RBIGImputer(RBIG(**FEW), random_state=0).set_output(transform="polars")
    assert polars.fit_transform(frame).columns == ["a", "b", "c"]
    mean = RBIGImputer(RBIG(**FEW), method="mean", random_state=0).fit_transform(frame)
    assert mean["a"].std() < filled["a"].std()
    with pytest.raises(ValueError, match="method='median'"):
        RBIGImputer(method="median").fit(frame)


@pytest.mark.parametrize("limit", [0.0, 0.3])
def test_fits_end_in_time(limit):
    rows = with_holes(bent_rows(8000))
    started = time.perf_counter()
    model = RBIG(missing="model", max_seconds=limit, random_state=0).fit(rows)
    assert time.perf_counter() - started < limit + 5.0
    gaussian = multivariate_normal(np.nanmean(rows, axis=0), np.diag(np.nanvar(rows, axis=0)))
    test = bent_rows(500, seed=2)
    assert model.score(test) > gaussian.logpdf(test).mean()
    assert np.isfinite(model.score_samples(with_holes(test))).all()


def test_ensembles_average_the_densities_of_cells():
    rows = with_holes(bent_rows(300))
    model = RBIGEnsemble(RBIG(**FEW), n_estimators=2, random_state=0).fit(rows)
    each = np.exp([member.score_samples(rows) for member in model.estimators_])
    np.testing.assert_allclose(np.exp(model.score_samples(rows)), each.mean(axis=0))
    assert (each[0] != each[1]).any()

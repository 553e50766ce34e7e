"""Bad input: a clear error that names what is wrong, before any work."""

import numpy as np
import pandas as pd
import pytest

from rbig_numba import RBIG

PARAMETERS = [
    ({"n_blocks": 0}, ValueError, "n_blocks=0"),
    ({"n_blocks": 2.5}, TypeError, "n_blocks=2.5"),
    ({"n_components": -1}, ValueError, "n_components=-1"),
    ({"n_components": True}, TypeError, "n_components=True"),
    ({"rotation": "svd"}, ValueError, "rotation='svd'"),
    ({"validation_fraction": 1.0}, ValueError, "validation_fraction=1.0"),
    ({"validation_fraction": -0.1}, ValueError, "validation_fraction=-0.1"),
    ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change=0"),
    ({"tol": float("nan")}, ValueError, "tol=nan"),
    ({"tol": "small"}, TypeError, "tol='small'"),
    ({"n_jobs": 0}, ValueError, "n_jobs=0"),
    ({"n_jobs": 1.5}, TypeError, "n_jobs=1.5"),
    ({"random_state": "seed"}, TypeError, "random_state='seed'"),
]


@pytest.mark.parametrize(("given", "error", "message"), PARAMETERS)
def test_impossible_parameters(given, error, message, rng):
    model = RBIG(**given)
    with pytest.raises(error, match=message):
        model.fit(rng.normal(size=(20, 2)))
    assert not hasattr(model, "flow_")


def frame(rng, **columns):
    return pd.DataFrame({"a": rng.normal(size=20), "b": rng.normal(size=20)} | columns)


def spoilt(rng, value):
    X = frame(rng)
    X.loc[[3, 7], "b"] = value
    return X


TABLES = [
    (lambda rng: spoilt(rng, np.nan), r"NaN in 2 rows .*row 3.*'b'"),
    (lambda rng: spoilt(rng, np.inf), r"inf.* in 2 rows .*'b'"),
    (lambda rng: frame(rng, c=1.0), "constant.*'c'.*drop"),
    (lambda rng: frame(rng, c="text"), "not numbers: c"),
    (lambda rng: rng.normal(size=(20, 2)) + 1j, "[Cc]omplex"),
    (lambda rng: np.empty((0, 2)), "0 sample"),
    (lambda rng: np.empty((5, 0)), "0 feature"),
    (lambda rng: rng.normal(size=(1, 2)), "minimum of 2"),
    (lambda rng: rng.normal(size=20), "1D|2D"),
]


@pytest.mark.parametrize(("table", "message"), TABLES)
def test_impossible_tables(table, message, rng):
    with pytest.raises(ValueError, match=message):
        RBIG().fit(table(rng))


def test_other_columns_than_those_fitted(rng):
    X = frame(rng)
    model = RBIG(n_blocks=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match="feature names"):
        model.score_samples(X.rename(columns={"a": "other"}))
    with pytest.warns(UserWarning, match="names"), pytest.raises(ValueError, match="3 features"):
        model.score_samples(np.ones((4, 3)))
    with pytest.raises(ValueError, match="3 columns"):
        model.inverse_transform(np.ones((4, 3)))


def test_impossible_weights(rng):
    X = rng.normal(size=(20, 2))
    weights = np.ones(20)
    weights[4] = -1.0
    with pytest.raises(ValueError, match=r"negative.*row 4"):
        RBIG().fit(X, sample_weight=weights)
    with pytest.raises(ValueError, match="non-zero"):
        RBIG().fit(X, sample_weight=np.zeros(20))
    with pytest.raises(ValueError, match="sample_weight"):
        RBIG().fit(X, sample_weight=np.ones(19))


def test_a_failed_fit_keeps_the_fitted_flow(rng):
    X = rng.normal(size=(50, 2))
    model = RBIG(n_blocks=1, random_state=0).fit(X)
    before = model.score_samples(X)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((50, 2), np.nan))
    np.testing.assert_array_equal(model.score_samples(X), before)


def test_a_failed_fit_keeps_the_columns_too(rng):
    X = rng.normal(size=(50, 2))
    model = RBIG(n_blocks=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((50, 3), np.nan))
    assert model.score_samples(X).shape == (50,)

"""Tables that have no density in the strict sense are fitted, with a warning that says so."""

import warnings

import numpy as np
import pandas as pd
import pytest

from rbig_numba import RBIG, DensityWarning, RBIGEnsemble

PARAMETERS = {"n_blocks": 2, "n_components": 3, "random_state": 0}


def fit(X, **parameters):
    model = RBIG(**PARAMETERS, **parameters).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    drawn = model.sample(200, random_state=0)
    assert np.isfinite(drawn).all()
    return model


def test_whole_numbers_are_named(rng):
    X = pd.DataFrame({"size": rng.normal(size=500), "count": rng.poisson(30, 500)})
    with pytest.warns(DensityWarning, match="'count' hold whole numbers: they have prob"):
        fit(X)


def test_a_spike_is_named_with_its_share(rng):
    X = rng.normal(size=(1000, 3))
    X[:300, 1] = 0.25
    with pytest.warns(DensityWarning, match=r"one value makes up (29|30|31)% of .* column 1"):
        fit(X)


def test_collinear_columns_are_named_with_the_condition_number(rng):
    X = rng.normal(size=(1000, 4))
    X[:, 3] = X[:, 1] - 2 * X[:, 2] + 1e-7 * rng.normal(size=1000)
    with pytest.warns(DensityWarning, match=r"1, 2, 3 are nearly collinear .*number \de\+1\d"):
        fit(X)


def test_equal_columns(rng):
    X = np.repeat(rng.normal(size=(500, 1)), 2, axis=1)
    with pytest.warns(DensityWarning, match="0, 1 are nearly collinear"):
        fit(X)


def test_more_columns_than_rows(rng):
    with pytest.warns(DensityWarning, match="nearly collinear"):
        fit(rng.normal(size=(30, 50)))


def test_continuous_columns_pass_in_silence(rng):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DensityWarning)
        fit(rng.normal(size=(1000, 3)))
        fit(rng.exponential(size=(1000, 2)).round(2))


@pytest.mark.parametrize("blocks", ["auto", ["mixture", "joint", "radial", "coupling"]])
def test_ties_keep_log_densities_in_bounds(rng, blocks):
    """A floor of a thousandth of the spread: log(1000) nats for each column of ties, and more."""
    X = rng.normal(size=(2000, 3))
    X[rng.uniform(size=2000) < 0.4] = 0.5
    with pytest.warns(DensityWarning):
        model = fit(X, blocks=blocks)
    assert model.score_samples(X).max() < 3 * (np.log(1e6) + 5.0)


@pytest.mark.parametrize("fraction", [1e-9, 0.99])
def test_fractions_that_leave_hardly_any_rows(rng, fraction):
    model = RBIG(validation_fraction=fraction, random_state=0).fit(rng.normal(size=(300, 2)))
    assert np.isfinite(model.score(rng.normal(size=(100, 2))))


SKEWED = np.random.default_rng(0).lognormal(size=(500, 2))


@pytest.mark.parametrize("scale", [1.0, 1e8, 2e30, 1e150])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_numbers_are_not_taken_for_whole_ones(scale, dtype):
    """Every float32 from 2**24 on is whole, every float64 from 2**53 on."""
    if scale > float(np.finfo(dtype).max):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RBIG(blocks="classic", **PARAMETERS).fit((scale * SKEWED).astype(dtype))


@pytest.mark.parametrize("count", [lambda x: x, lambda x: np.where(x > 25, x, -(2.0**40))])
def test_counts_are_told_also_beside_a_large_code_for_missing(rng, count):
    X = np.c_[rng.normal(size=500), count(rng.poisson(30, 500))]
    with pytest.warns(DensityWarning, match="columns 1 hold whole numbers"):
        RBIG(blocks="classic", **PARAMETERS).fit(X)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("times", [1, 50])
def test_two_distinct_rows_are_fitted_without_a_word_of_numpy(seed, fraction, times):
    X = np.repeat([[0.0, 1.0], [2.0, 3.5]], times, axis=0)
    parameters = PARAMETERS | {"random_state": seed, "validation_fraction": fraction}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # collinear, and too few to hold any out
        warnings.simplefilter("error", RuntimeWarning)
        model = RBIG(blocks="classic", **parameters).fit(X)
    assert np.isfinite(model.score_samples(X)).all()


def test_warnings_name_the_line_that_called(rng):
    X = np.c_[rng.normal(size=500), rng.poisson(30, 500)]
    one = RBIG(blocks="classic", **PARAMETERS)
    for model in (one, RBIGEnsemble(one, n_estimators=1, random_state=0)):
        with pytest.warns(DensityWarning) as caught:
            model.fit(X)
        assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(DensityWarning) as caught:
        one.fit_more(X)
    assert {warning.filename for warning in caught} == {__file__}

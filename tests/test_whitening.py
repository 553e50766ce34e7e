"""Whitening by shrunk covariances, alone and as a block of a fit."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA

from rbig_numba import RBIG
from rbig_numba.bijections.whitening import MIN_VARIANCE, Shrinkage, Spread, best_shrinkage
from rbig_numba.fitting import loop


def factor_table(n_rows, n_columns, n_factors, seed=0, spread=0.0):
    """Return rows of a few factors and noise, whose size differs by exp(spread) between columns."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(n_factors, n_columns))
    noise = np.exp(spread * rng.normal(size=n_columns))
    return rng.normal(size=(n_rows, n_factors)) @ loadings + noise * rng.normal(
        size=(n_rows, n_columns)
    )


def spread_of(rows, mean=None):
    mean = rows.mean(axis=0) if mean is None else mean
    return Spread(float(len(rows)), (rows - mean).T @ (rows - mean) / len(rows))


def log_prob(block, rows):
    """Return the mean log-density of rows behind a block, in nats."""
    total = np.zeros(len(rows))
    for bijection in block:
        rows, log_det = bijection.forward(rows)
        total += log_det
    return (total - 0.5 * (rows**2 + np.log(2.0 * np.pi)).sum(axis=1)).mean()


def whitened(train, judges):
    mean = train.mean(axis=0)
    shrinkage = best_shrinkage(spread_of(train), spread_of(judges, mean))
    return shrinkage, shrinkage.block(mean, spread_of(train))


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "n_factors", "spread"),
    [(100, 80, 5, 0.0), (100, 80, 5, 1.0), (200, 10, 9, 0.0), (60, 80, 3, 0.5), (3000, 6, 1, 1.0)],
)
def test_not_below_scikit_learns_shrunk_covariances(n_rows, n_columns, n_factors, spread):
    rows = factor_table(n_rows + 4000, n_columns, n_factors, spread=spread)
    train, judges, test = np.split(rows, [n_rows, n_rows + 1000])
    shrinkage, block = whitened(train, judges)
    best_pca = max(
        (PCA(n).fit(train) for n in range(1, min(n_columns, n_rows - 1))),
        key=lambda pca: pca.score(judges),
    )
    assert log_prob(block, test) > LedoitWolf().fit(train).score(test) - 0.02
    assert log_prob(block, test) > best_pca.score(test) - 0.02
    assert shrinkage.n_factors < n_columns


def test_number_of_factors_is_found():
    """Of five factors and noise that differs: three nats better than one noise for all columns."""
    rows = factor_table(4000, 60, 5, spread=1.0)
    shrinkage, _ = whitened(rows[:2000], rows[2000:])
    assert 4 <= shrinkage.n_factors <= 6
    assert not shrinkage.isotropic


def test_many_rows_are_hardly_shrunk():
    rows = np.random.default_rng(0).normal(size=(40_000, 4)) @ np.triu(np.ones((4, 4)))
    _, block = whitened(rows[:20_000], rows[20_000:])
    out = rows
    for bijection in block:
        out, _ = bijection.forward(out)
    np.testing.assert_allclose(np.cov(out.T), np.eye(4), atol=0.03)


def test_strength_counts_rows():
    """A prior of 100 rows: half of 200, a tenth of 1,000; covariances have N - 1 below them."""
    covariance = np.diag([4.0, 1.0])
    few, many = (
        Shrinkage(0, isotropic=True, strength=100.0).block(np.zeros(2), Spread(n, covariance))
        for n in (100.0, 900.0)
    )
    np.testing.assert_allclose(few[1].scale ** 2 * 0.99, [3.25, 1.75], rtol=1e-5)
    np.testing.assert_allclose(many[1].scale ** 2 * (899 / 900), [3.85, 1.15], rtol=1e-5)


def test_floor_across_a_plane():
    """All rows on a line of 10 columns: a thousandth of the columns' width across it."""
    rows = np.outer(np.random.default_rng(0).normal(size=500), np.ones(10))
    _, block = whitened(rows[:400], rows[400:])
    np.testing.assert_allclose(block[1].scale[1:] ** 2, MIN_VARIANCE * rows.var(), rtol=0.3)


def test_covariances_of_fewer_rows_than_columns_are_rounded():
    """Of 1,000 columns that is wider than the floor: variances across the rows' plane below 0."""
    rng = np.random.default_rng(0)
    train, judges = spread_of(rng.normal(size=(18, 60))), spread_of(rng.normal(size=(9, 60)))
    noise = 1e-5 * rng.normal(size=(60, 60))
    rounded = train._replace(covariance=train.covariance + noise + noise.T)
    assert np.linalg.eigvalsh(rounded.covariance)[0] < -1e-5
    shrinkage = best_shrinkage(rounded, judges)
    assert shrinkage.n_factors < 18
    exact = best_shrinkage(train, judges)
    assert shrinkage.strength == pytest.approx(exact.strength, rel=0.1)
    block = shrinkage.block(np.zeros(60), rounded)
    assert log_prob(block, rng.normal(size=(100, 60))) > -90.0


BAD = {
    "more columns than rows": lambda rng: rng.normal(size=(40, 90)),
    "collinear columns": lambda rng: rng.gamma(2.0, size=(400, 4)) @ rng.normal(size=(4, 9)),
    "a column 50 times": lambda rng: np.repeat(rng.normal(size=(400, 1)), 50, axis=1),
    "a line": lambda rng: np.outer(rng.normal(size=400), rng.normal(size=5)) + 3.0,
    "one column": lambda rng: rng.gamma(2.0, size=(400, 1)),
    "two rows": lambda rng: rng.normal(size=(2, 3)),
}


@pytest.mark.filterwarnings("ignore:columns:rbig_numba.DensityWarning")
@pytest.mark.filterwarnings("ignore:.* rows are too few")
@pytest.mark.parametrize("name", BAD)
def test_tables_without_a_covariance(name):
    rows = BAD[name](np.random.default_rng(0))
    model = RBIG(blocks=["whitening"], random_state=0).fit(rows)
    assert np.isfinite(model.score_samples(rows)).all()
    assert np.isfinite(model.score_samples(1e6 * rows + 1.0)).all()
    assert np.isfinite(model.sample(100, random_state=0)).all()
    back = model.inverse_transform(model.transform(rows))
    np.testing.assert_allclose(back, rows, atol=1e-9)


def test_all_rows_are_counted_behind_a_sample(monkeypatch):
    rows, test = np.split(factor_table(9000, 20, 4), [6000])
    whole = RBIG(blocks=["whitening"], random_state=0).fit(rows)
    monkeypatch.setattr(loop, "SAMPLE_ROWS", 500)
    sampled = RBIG(blocks=["whitening"], random_state=0).fit(rows)
    assert sampled.score(test) == pytest.approx(whole.score(test), abs=0.02)


def test_order_of_rows_and_threads_change_nothing():
    rows = factor_table(3000, 40, 3, spread=0.5)
    one, other = (
        RBIG(blocks=["whitening"], random_state=0, n_jobs=n_jobs).fit(X)
        for n_jobs, X in ((1, rows), (3, rows[::-1].copy()))
    )
    np.testing.assert_allclose(one.score_samples(rows), other.score_samples(rows), rtol=1e-7)

"""Blocks of several kinds: which are kept, and what they promise together."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.datasets import make_moons

from rbig_numba import RBIG

KINDS = ["mixture", "joint", "radial", "coupling", "whitening"]


def ring(n_rows, n_columns=2, seed=0):
    """Rows of a sphere's shell, their sizes correlated and their columns not."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, n_columns))
    return 2.0 * rows / np.linalg.norm(rows, axis=1, keepdims=True) + 0.2 * rng.normal(
        size=rows.shape
    )


def bent(n_rows, n_columns=6, seed=0):
    """Rows whose later columns are functions of the earlier ones, and noise."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, n_columns))
    half = n_columns // 2
    rows[:, half : 2 * half] = np.sin(2.0 * rows[:, :half]) + 0.2 * rows[:, half : 2 * half]
    return rows


def sized(n_rows, n_columns=2, seed=0):
    """Rows whose columns are large together."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, n_columns)) * np.exp(0.5 * rng.normal(size=(n_rows, 1)))


@pytest.fixture(scope="module")
def moons_model(moons):
    return RBIG(random_state=0).fit(moons[0])


def test_two_moons_come_near_the_generator(moons, moons_model):
    """The notebook's flow after 150 epochs reaches -1.2085, the generator itself -1.132."""
    assert moons_model.score(moons[1]) >= -1.19


def test_kinds_that_win(moons_model):
    assert "joint" in [record["kind"] for record in moons_model.history_]


TABLES = {
    "shell": (ring(4000, 5), 0.1),
    "sizes": (sized(4000, 5), 0.01),
    "bent": (bent(4000), -0.1),
}


@pytest.mark.parametrize("name", TABLES)
def test_competition_against_the_plain_algorithm(name):
    """In the mean over seeds: one of them is off by 0.05 nats, and the gains differ by 0.07.

    Measured: gains of 0.12, 0.23 and 0.0 nats; the last table is made for rotations.
    """
    table, gain = TABLES[name]
    train, held_out = np.split(table, [2500])

    def score(blocks):
        models = (RBIG(random_state=seed, blocks=blocks).fit(train) for seed in range(3))
        return np.mean([model.score(held_out) for model in models])

    assert score("auto") > score("classic") + gain


def test_a_list_fixes_the_kinds():
    model = RBIG(blocks=KINDS, random_state=0).fit(bent(3000))
    kinds = [record["kind"] for record in model.history_]
    # In their order; a kind that finds nothing is left out.
    assert kinds[:2] == ["mixture", "joint"]
    assert kinds[2:-1] in (["radial", "coupling"], ["radial"], ["coupling"], [])
    assert kinds[-1] == "rotation + affine"


@pytest.mark.parametrize("kind", KINDS)
def test_density_integrates_to_one_after_every_kind(kind):
    model = RBIG(blocks=["mixture", kind], validation_fraction=0, random_state=0).fit(sized(2000))
    assert len(model.history_) == 2
    side = np.linspace(-16.0, 16.0, 3201)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    mass = np.exp(model.score_samples(grid)).sum() * (side[1] - side[0]) ** 2
    assert mass == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("n_columns", [6, 15])
def test_density_integrates_to_one_by_importance_sampling(n_columns):
    """Rows are drawn from a flow fitted to other rows, its latent space widened by a tenth."""
    model = RBIG(random_state=0).fit(bent(2000, n_columns))
    other = RBIG(blocks=[*5 * ["mixture"], "joint"], random_state=1)
    proposal = other.fit(bent(2000, n_columns, seed=1)).flow_
    z = 1.1 * np.random.default_rng(1).normal(size=(100_000, n_columns))
    x, log_det = proposal.inverse(z, n_jobs=-1)
    log_proposal = norm.logpdf(z, scale=1.1).sum(axis=1) - log_det
    weights = np.exp(model.score_samples(x) - log_proposal)
    error = weights.std() / np.sqrt(len(weights))
    assert error < 0.15
    assert abs(weights.mean() - 1.0) <= 4.0 * error


def test_far_rows_fall_monotonically(moons, moons_model):
    rng = np.random.default_rng(2)
    directions = rng.normal(size=(20, 2))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    far = np.geomspace(10.0, 1000.0, 60)
    log_prob = np.stack([moons_model.score_samples(f * directions) for f in far])
    assert np.isfinite(log_prob).all()
    assert (np.diff(log_prob, axis=0) < 0).all()


def test_round_trip_of_far_rows(moons_model):
    rng = np.random.default_rng(3)
    X = np.concatenate([far * rng.normal(size=(50, 2)) for far in (1.0, 10.0, 100.0, 1000.0)])
    back = moons_model.inverse_transform(moons_model.transform(X))
    assert np.max(np.abs(back - X) / np.maximum(1.0, np.abs(X))) <= 1e-9


def test_same_bits_for_any_number_of_threads():
    X = bent(2500)
    one, other = (RBIG(random_state=0, n_jobs=n).fit(X) for n in (1, 5))
    np.testing.assert_array_equal(other.score_samples(X), one.score_samples(X))


def test_neither_order_nor_source_of_rows_matters(tmp_path):
    X = bent(9000)  # two blocks of rows
    path = tmp_path / "rows.npy"
    np.save(path, X[::-1])
    one = RBIG(n_blocks=6, random_state=0).fit(X)
    other = RBIG(n_blocks=6, random_state=0).fit(path)
    np.testing.assert_allclose(other.score_samples(X), one.score_samples(X), rtol=1e-5, atol=1e-5)


def test_weights_are_repeated_rows():
    rng = np.random.default_rng(5)
    X, weights = ring(3000), rng.integers(0, 4, 3000)
    weighted = RBIG(random_state=0).fit(X, sample_weight=weights)
    repeated = RBIG(random_state=0).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(
        weighted.score_samples(X), repeated.score_samples(X), rtol=1e-5, atol=1e-5
    )


def test_no_time_is_one_block():
    assert len(RBIG(max_seconds=0.0, random_state=0).fit(ring(2000)).history_) == 1


def test_refit_uses_held_out_rows_too():
    X = ring(3000)
    once, again = (RBIG(refit=r, random_state=0).fit(X) for r in (False, True))
    kinds = [[b.kind for b in model.flow_.bijections] for model in (once, again)]
    assert kinds[0] == kinds[1]
    assert np.abs(once.score_samples(X) - again.score_samples(X)).max() > 1e-6
    held_out = ring(3000, seed=1)
    assert again.score(held_out) > once.score(held_out) - 0.01


def test_without_held_out_rows_some_of_the_sample_judge():
    model = RBIG(validation_fraction=0, random_state=0).fit(ring(3000))
    assert "joint" in [record["kind"] for record in model.history_]
    assert len(model.history_) < 20


def test_a_sample_is_searched_and_all_rows_are_fitted(monkeypatch):
    from rbig_numba.fitting import loop

    monkeypatch.setattr(loop, "SAMPLE_ROWS", 1000)
    train, held_out = np.split(ring(9000), [6000])  # whose entropy is 2.34 nats
    assert RBIG(random_state=0).fit(train).score(held_out) > -2.42


def test_files_keep_every_kind(tmp_path):
    X, _ = make_moons(1000, noise=0.1, random_state=0)
    model = RBIG(blocks=KINDS, random_state=0).fit(np.column_stack([X, X[:, ::-1] ** 2]))
    model.save(tmp_path / "model.rbig")
    again = RBIG.load(tmp_path / "model.rbig")
    assert again.get_params() == model.get_params()
    rows = np.column_stack([X, X[:, ::-1] ** 2])
    np.testing.assert_array_equal(again.score_samples(rows), model.score_samples(rows))


WRONG = {
    "blocks='all'": ({"blocks": "all"}, ValueError),
    "blocks=[]": ({"blocks": []}, TypeError),
    "blocks=3": ({"blocks": 3}, TypeError),
    "blocks[1]='flow'": ({"blocks": ["joint", "flow"]}, ValueError),
    "max_seconds=-1": ({"max_seconds": -1}, ValueError),
    "refit='yes'": ({"refit": "yes"}, TypeError),
}


@pytest.mark.parametrize("shown", WRONG)
def test_wrong_parameters_are_named(shown):
    parameters, error = WRONG[shown]
    with pytest.raises(error) as caught:
        RBIG(**parameters).fit(ring(100))
    assert shown in str(caught.value)

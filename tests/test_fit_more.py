"""Blocks appended to a fitted model."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from rbig_numba import RBIG

CLASSIC = {"blocks": "classic", "n_components": 4, "random_state": 0}


@pytest.mark.parametrize("blocks", ["classic", "auto", ["mixture", "joint"]])
def test_held_out_rows_gain_and_the_start_stays(moons, blocks):
    parameters = {"blocks": blocks, "n_components": 4, "random_state": 0}
    model = RBIG(**CLASSIC).set_params(n_blocks=2).fit(moons[0])
    start, score = model.flow_.bijections, model.score(moons[1])
    model.set_params(**parameters, n_blocks=4).fit_more(moons[0])
    assert model.flow_.bijections[: len(start)] == start
    assert len(model.flow_.bijections) > len(start)
    assert model.score(moons[1]) > score + 0.05
    assert [record["block"] for record in model.history_] == [*range(1, 1 + len(model.history_))]
    for before, after in zip(model.history_[1:], model.history_[2:], strict=False):
        assert after["gain"] == pytest.approx(after["held_out"] - before["held_out"], abs=1e-12)


def test_two_fits_are_nearly_one(moons):
    """The same rotations, drawn from other numbers: the same held-out rows, and the same start."""
    whole = RBIG(**CLASSIC, n_blocks=8).fit(moons[0])
    parts = RBIG(**CLASSIC, n_blocks=4).fit(moons[0]).fit_more(moons[0])
    held_out = [model.history_[3]["held_out"] for model in (whole, parts)]
    assert held_out[0] == held_out[1]
    assert parts.history_[4]["gain"] == pytest.approx(
        parts.history_[4]["held_out"] - held_out[1], abs=1e-9
    )
    assert parts.score(moons[1]) == pytest.approx(whole.score(moons[1]), abs=0.05)


def test_what_gains_nothing_is_not_appended(rng):
    """On normal rows a block gains or loses by chance; it is kept just when it gains."""
    appended = []
    for seed in range(8):
        model = RBIG(**CLASSIC | {"random_state": seed}, n_blocks=1)
        model.fit(rng.normal(size=(500, 2)))
        start = model.flow_.bijections
        model.fit_more(rng.normal(size=(500, 2)))
        (record,) = model.history_[1:]
        assert record["kept"] == (record["gain"] > 0)
        assert record["kept"] == (len(model.flow_.bijections) > len(start))
        appended.append(record["kept"])
    assert True in appended
    assert False in appended


def test_weights_refit_and_samples_count(moons):
    rows = moons[0][:1000]
    weights = np.arange(1000) % 3
    one = RBIG(**CLASSIC, n_blocks=2, refit=True).fit(rows)
    other = RBIG(**CLASSIC, n_blocks=2, refit=True).fit(rows)
    one.fit_more(rows, sample_weight=weights)
    other.fit_more(np.repeat(rows, weights, axis=0))
    np.testing.assert_array_equal(one.score_samples(rows), other.score_samples(rows))
    assert one.n_samples_fit_ == 1000 + 666


def test_a_saved_model_goes_on(moons, tmp_path):
    model = RBIG(**CLASSIC, n_blocks=2).fit(moons[0])
    model.save(tmp_path / "model.npz")
    again = RBIG.load(tmp_path / "model.npz").fit_more(moons[0])
    model.fit_more(moons[0])
    np.testing.assert_array_equal(again.score_samples(moons[0]), model.score_samples(moons[0]))


def test_needs_a_fit_and_its_columns(moons):
    with pytest.raises(NotFittedError):
        RBIG().fit_more(moons[0])
    model = RBIG(**CLASSIC, n_blocks=2).fit(moons[0])
    before = model.__dict__.copy()
    with pytest.raises(ValueError, match="X has 1 columns, but the model was fitted with 2"):
        model.fit_more(moons[0][:, :1])
    assert model.__dict__ == before


def test_other_names_are_refused(moons):
    pandas = pytest.importorskip("pandas")
    model = RBIG(**CLASSIC, n_blocks=2).fit(pandas.DataFrame(moons[0], columns=["a", "b"]))
    with pytest.raises(ValueError, match=r"columns of X are \['b', 'a'\]"):
        model.fit_more(pandas.DataFrame(moons[0], columns=["b", "a"]))

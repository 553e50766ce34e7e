"""Sources of random numbers: all that NumPy has, and how often they give the same."""

import numpy as np
import pytest
from sklearn.base import clone

from rbig_numba import RBIG, RBIGEnsemble

ROWS = np.random.default_rng(0).normal(size=(200, 3))


def model(random_state=0):
    return RBIG(n_blocks=2, n_components=2, blocks="classic", random_state=random_state)


def ensemble(random_state=0):
    return RBIGEnsemble(model(), n_estimators=2, random_state=random_state)


def same(one, other):
    return bool((one.score_samples(ROWS) == other.score_samples(ROWS)).all())


@pytest.mark.parametrize("make", [model, ensemble])
@pytest.mark.parametrize("source", [np.random.default_rng, np.random.RandomState])
def test_a_generator_goes_on_from_call_to_call(make, source):
    generator = source(7)
    first, second = make(generator).fit(ROWS), make(generator).fit(ROWS)
    assert not same(first, second)
    assert same(make(source(7)).fit(ROWS), first)
    drawn = first.sample(5, random_state=generator)
    assert (drawn != first.sample(5, random_state=generator)).all()
    once, again = (first.sample(5, random_state=source(3)) for _ in range(2))
    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize("make", [model, ensemble])
def test_an_estimator_with_a_generator_is_cloned_and_saved(make, tmp_path):
    generator = np.random.default_rng(7)
    unfitted = make(generator)
    assert unfitted.get_params()["random_state"] is generator
    copy = clone(unfitted)
    assert copy.random_state is not generator
    fitted = unfitted.fit(ROWS)
    assert same(copy.fit(ROWS), fitted)  # scikit-learn copies the state, too
    fitted.save(tmp_path / "m.rbig")
    again = type(fitted).load(tmp_path / "m.rbig")
    assert again.random_state is None
    assert same(again, fitted)


def test_fit_more_draws_from_the_generator_itself():
    generator = np.random.default_rng(7)
    fitted = model(generator).fit(ROWS)
    before = generator.bit_generator.state
    fitted.fit_more(ROWS)
    assert generator.bit_generator.state != before


OTHERS = [
    ("seed", TypeError, "random_state='seed'"),
    (1.5, TypeError, "random_state=1.5"),
    (True, TypeError, "random_state=True"),
    ([1, 2], TypeError, "random_state="),
    (np.random.SeedSequence(0), TypeError, "SeedSequence.* must be an integer, a RandomState"),
    (np.random.PCG64(0), TypeError, "PCG64"),
    (-1, ValueError, "between 0 and"),
    (2**32, ValueError, "between 0 and"),
]


@pytest.mark.parametrize(("seed", "error", "message"), OTHERS)
def test_others_are_refused_in_one_line(seed, error, message):
    fitted = model().fit(ROWS)
    calls = [
        lambda: model(seed).fit(ROWS),
        lambda: ensemble(seed).fit(ROWS),
        lambda: fitted.sample(3, random_state=seed),
    ]
    for call in calls:
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n_samples", [np.int8(3), np.uint64(3), 3])
def test_numbers_of_rows(n_samples):
    assert model().fit(ROWS).sample(n_samples).shape == (3, 3)


NUMBERS = [
    (0, ValueError),
    (-1, ValueError),
    (2.0, TypeError),
    (np.float64(2), TypeError),
    (True, TypeError),
    ("3", TypeError),
    ([3], TypeError),
    (np.array(3), TypeError),
]


@pytest.mark.parametrize(("number", "error"), NUMBERS)
def test_no_numbers_of_rows(number, error):
    fitted = model().fit(ROWS)
    with pytest.raises(error, match=r"n_samples=.* must be an integer"):
        fitted.sample(number)
    with pytest.raises(error, match=r"chunks=.* must be an integer"):
        fitted.sample(3, chunks=number)
    with pytest.raises(error, match=r"n_estimators=.* must be an integer"):
        RBIGEnsemble(model(), n_estimators=number).fit(ROWS)

"""Models and flows; the backend is that of the environment, KERAS_BACKEND."""

import keras
import numpy as np
import pytest
from sklearn.datasets import make_moons

from rbig_numba import RBIG


@pytest.fixture(scope="session")
def moons():
    rows, _ = make_moons(3000, noise=0.05, random_state=0)
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


@pytest.fixture(scope="session")
def model(moons):
    return RBIG(blocks="classic", n_blocks=3, n_components=4, random_state=0).fit(moons)


@pytest.fixture(scope="session")
def rows():
    """Heavy tails, sizes that move together, and a bend: something for blocks of every kind."""
    rng = np.random.default_rng(0)
    table = rng.standard_t(3, size=(4000, 4)) * np.exp(rng.normal(size=(4000, 1)))
    table[:, 1] += np.sin(2 * table[:, 0])
    return table


@pytest.fixture(scope="session")
def model_of_all_kinds(rows):
    blocks = ["radial", "coupling", "mixture", "mixture", "joint"]
    model = RBIG(blocks=blocks, validation_fraction=0, random_state=0).fit(rows)
    kinds = {bijection.kind for bijection in model.flow_.bijections}
    assert kinds == {"affine", "coupling", "joint", "mixture", "radial", "rotation"}
    return model


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Of a flow, and of what Keras casts rows to."""
    before = keras.config.floatx()
    keras.config.set_floatx(request.param)
    yield request.param
    keras.config.set_floatx(before)

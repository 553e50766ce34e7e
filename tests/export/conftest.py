"""Models and flows that several files of export tests share."""

import numpy as np
import pytest
from sklearn.datasets import make_moons

from rbig_keras import export_to_keras
from rbig_numba import RBIG


@pytest.fixture(scope="session")
def moons():
    rows, _ = make_moons(5000, noise=0.05, random_state=0)
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


@pytest.fixture(scope="session")
def model(moons):
    return RBIG(
        blocks="classic",
        rotation="pca",
        n_blocks=8,
        n_components=8,
        validation_fraction=0,
        random_state=0,
    ).fit(moons)


@pytest.fixture(scope="session")
def small_model(moons):
    return RBIG(
        blocks="classic",
        rotation="pca",
        n_blocks=2,
        n_components=4,
        validation_fraction=0,
        random_state=0,
    ).fit(moons[:500])


@pytest.fixture(params=["float32", "float64"])
def small_flow(request, small_model):
    """A new flow for each test, which may train it."""
    return export_to_keras(small_model, dtype=request.param)


@pytest.fixture
def rng():
    return np.random.default_rng(0)

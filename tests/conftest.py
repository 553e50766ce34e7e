import numpy as np
import pytest
from sklearn.datasets import make_moons


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def moons():
    """The notebook's two moons: 5,000 rows to fit, 20,000 held out, standardised by the former."""
    train, _ = make_moons(5000, noise=0.05, random_state=0)
    held_out, _ = make_moons(20_000, noise=0.05, random_state=1)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / deviation, (held_out - mean) / deviation

import warnings

import numpy as np
import pytest

# What the packages themselves do when they are imported or shut down.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from distributed import Client, LocalCluster


@pytest.fixture(scope="module")
def rows():
    """Three blocks of rows, a joint mixture of 17 components among what fits them."""
    rows = np.random.default_rng(0).normal(size=(17_000, 3))
    rows[:, 2] += np.sin(2 * rows[:, 0])
    return rows


@pytest.fixture(scope="module")
def client():
    """Two worker processes of one thread each, on the loopback interface."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    with (
        LocalCluster(**options, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client

import warnings

import numpy as np
import pytest

# What the packages themselves do when they are imported or shut down.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from distributed import Client, LocalCluster


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    rows = rng.gamma(2.0, size=(40_000, 3))
    rows[:, 2] += np.sin(3 * rows[:, 0])
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

"""A fit over a Dask collection is the fit in memory."""

import os
import pickle
import signal
import time

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from rbig_numba import RBIG
from rbig_numba.chunks import cluster

PARAMETERS = {"n_components": 4, "random_state": 0, "n_jobs": 1, "blocks": ["mixture", "joint"]}
SIZES = (3_000, 1, 0, 9_000, 4_999)


@pytest.fixture(scope="module")
def in_memory(rows):
    return RBIG(**PARAMETERS).fit(rows)


def close(model, in_memory, rows):
    assert len(model.flow_.bijections) == len(in_memory.flow_.bijections)
    difference = model.score_samples(rows) - in_memory.score_samples(rows)
    assert np.abs(difference).max() <= 1e-8


@pytest.mark.parametrize("chunks", [(SIZES, 3), (7_000, 2), (17_000, 3)])
def test_partitions_of_any_size_give_the_model_of_the_rows_in_memory(
    client, rows, in_memory, chunks
):
    model = RBIG(**PARAMETERS).fit(da.from_array(rows, chunks=chunks))
    close(model, in_memory, rows)
    assert model.n_samples_fit_ == len(rows)
    names = ("held_out", "train")
    for ours, theirs in zip(model.history_, in_memory.history_, strict=True):
        assert [ours[n] for n in names] == pytest.approx([theirs[n] for n in names], abs=1e-9)


def test_without_a_cluster_threads_do_it(rows, in_memory):
    close(RBIG(**PARAMETERS).fit(da.from_array(rows, chunks=(7_000, 3))), in_memory, rows)


def test_blocks_that_compete(client, rows):
    parameters = PARAMETERS | {"blocks": "auto", "n_blocks": 2}
    model = RBIG(**parameters).fit(da.from_array(rows[:9_000], chunks=(4_000, 3)))
    close(model, RBIG(**parameters).fit(rows[:9_000]), rows)


def test_importance_weights(client, rows):
    weights = 1e-9 * np.random.default_rng(1).exponential(size=len(rows))
    with pytest.warns(UserWarning, match="importance weights"):
        expected = RBIG(**PARAMETERS).fit(rows, sample_weight=weights)
    lazy, lazy_weights = (da.from_array(a, chunks=4_000) for a in (rows, weights))
    with pytest.warns(UserWarning, match="importance weights"):
        model = RBIG(**PARAMETERS).fit(lazy, sample_weight=lazy_weights)
    close(model, expected, rows)


def test_weights(client, rows):
    weights = np.random.default_rng(1).integers(0, 3, len(rows)).astype(float)
    expected = RBIG(**PARAMETERS).fit(rows, sample_weight=weights)
    lazy, lazy_weights = (da.from_array(a, chunks=4_000) for a in (rows, weights))
    close(RBIG(**PARAMETERS).fit(lazy, sample_weight=lazy_weights), expected, rows)


def test_data_frame_of_unknown_length(client, rows, in_memory):
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    lazy = dd.from_pandas(frame, npartitions=4)
    lazy = lazy[lazy["a"] > -100]  # keeps all, but Dask can't know
    model = RBIG(**PARAMETERS).fit(lazy)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    difference = model.score_samples(frame) - in_memory.score_samples(rows)
    assert np.abs(difference).max() <= 1e-8
    np.testing.assert_array_equal(model.score_samples(lazy).compute(), model.score_samples(frame))
    with pytest.raises(ValueError, match="feature names"):
        model.score_samples(lazy.rename(columns={"a": "A"}))


def test_scores_latents_and_samples_are_lazy(client, rows, in_memory):
    lazy = da.from_array(rows, chunks=(4_000, 2))
    scores, latents = in_memory.score_samples(lazy), in_memory.transform(lazy)
    drawn = in_memory.sample(2_500, random_state=3, chunks=1_000)
    for result in (scores, latents, drawn):
        assert isinstance(result, da.Array)
    np.testing.assert_array_equal(scores.compute(), in_memory.score_samples(rows))
    np.testing.assert_array_equal(latents.compute(), in_memory.transform(rows))
    # NumPy's mean of the same numbers differs in the last bit with where they lie in memory.
    assert in_memory.score(lazy) == pytest.approx(in_memory.score(rows), rel=1e-14)
    assert drawn.chunks == ((1_000, 1_000, 500), (3,))
    once, again = drawn.compute(), in_memory.sample(2_500, random_state=3, chunks=1_000).compute()
    np.testing.assert_array_equal(once, again)
    assert len(np.unique(once[:, 0])) == 2_500


class KilledOnce:
    """Kills a worker's process when the fit has advanced to its third block."""

    def __init__(self, client):
        self.client, self.pids = client, client.run(os.getpid)
        self.advance, self.calls = cluster.ClusterRows.advance, 0

    def __call__(self, rows, bijections):
        self.calls += 1
        if self.calls == 3:
            os.kill(next(iter(self.pids.values())), signal.SIGKILL)
        return self.advance(rows, bijections)


def test_a_worker_killed_in_mid_fit_changes_nothing(client, rows, monkeypatch):
    parameters = PARAMETERS | {"blocks": 3 * ["mixture"]}  # three blocks for sure
    in_memory = RBIG(**parameters).fit(rows)
    killer = KilledOnce(client)
    monkeypatch.setattr(
        cluster.ClusterRows, "advance", lambda self, bijections: killer(self, bijections)
    )
    model = RBIG(**parameters).fit(da.from_array(rows, chunks=(4_000, 3)))
    assert killer.calls >= 3
    client.wait_for_workers(2, timeout=60)
    assert set(client.run(os.getpid).values()) != set(killer.pids.values())
    close(model, in_memory, rows)


def test_only_statistics_come_to_the_client_and_old_rows_are_released(client, rows, monkeypatch):
    held, sizes = [], []

    def in_workers(dask_worker):
        return dask_worker.data.fast.total_weight

    def settled():
        """Return the bytes held once the scheduler, which frees in its own time, has done so."""
        for _ in range(50):
            size = sum(client.run(in_workers).values())
            if size <= 1.5 * rows.nbytes:
                break
            time.sleep(0.1)
        return size

    def watched(step):
        def call(self, *arguments):
            told = step(self, *arguments)
            sizes.append(len(pickle.dumps(told)))
            if len(sizes) > 2:  # the first block lets go of what an earlier fit left
                held.append(settled())
            return told

        return call

    for name in ("advance", "gather"):
        monkeypatch.setattr(cluster.ClusterRows, name, watched(getattr(cluster.ClusterRows, name)))
    RBIG(**PARAMETERS).fit(da.from_array(rows, chunks=(4_000, 3)))
    assert max(sizes) < 50_000  # 3 columns x 512 bins x 3 sums x 8 bytes
    # One state of the rows.
    assert min(held) >= rows.nbytes
    assert max(held) <= 1.5 * rows.nbytes


def test_nan_names_the_partition(client, rows):
    broken = rows.copy()
    broken[11_000, 1] = np.nan
    model = RBIG(**PARAMETERS)
    with pytest.raises(ValueError, match=r"Partition 2 of X contains NaN .*row 3000\), columns 1"):
        model.fit(da.from_array(broken, chunks=(4_000, 3)))
    assert not hasattr(model, "flow_")


@pytest.mark.filterwarnings("ignore::rbig_numba.DensityWarning")
def test_a_column_constant_in_one_partition_only_is_fitted(client, rows):
    odd = rows.copy()
    odd[:4_000, 1] = 1.0
    lazy = da.from_array(odd, chunks=(4_000, 3))
    model = RBIG(**PARAMETERS | {"blocks": ["mixture"]})
    close(clone(model).fit(lazy), clone(model).fit(odd), odd)
    odd[:, 1] = 1.0
    with pytest.raises(ValueError, match="constant columns have no density: 1"):
        RBIG(**PARAMETERS).fit(da.from_array(odd, chunks=(4_000, 3)))


def test_text_and_other_weights_are_refused(client, rows):
    frame = dd.from_pandas(pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), npartitions=1)
    with pytest.raises(ValueError, match="columns that are not numbers: b"):
        RBIG(**PARAMETERS).fit(frame)
    lazy = da.from_array(rows, chunks=(4_000, 3))
    with pytest.raises(TypeError, match="must be a Dask array"):
        RBIG(**PARAMETERS).fit(lazy, sample_weight=np.ones(len(rows)))
    with pytest.raises(ValueError, match="sample_weight has 1 partitions, the rows have 5"):
        RBIG(**PARAMETERS).fit(lazy, sample_weight=da.ones(len(rows), chunks=len(rows)))


def test_workers_that_die_again_and_again_end_the_fit_with_one_error(client, rows):
    def deadly(block):
        if block.size and block[0, 0] == rows[8_000, 0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return block

    lazy = da.from_array(rows, chunks=(4_000, 3)).map_blocks(deadly, meta=np.empty((0, 0)))
    model = RBIG(**PARAMETERS)
    with pytest.raises(RuntimeError, match="workers died again and again"):
        model.fit(lazy)
    assert not hasattr(model, "flow_")

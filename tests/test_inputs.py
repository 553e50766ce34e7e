"""Wherever rows come from, the model is the same: arrays, files, threads, order, weights."""

import os
import subprocess
import sys
import tempfile
import textwrap

import numba
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from rbig_numba import RBIG, threads
from rbig_numba.chunks import block, sources, stores
from rbig_numba.tables import write_table

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def rows():
    """Three blocks of rows, a joint mixture of 17 components among what fits them."""
    rows = np.random.default_rng(0).normal(size=(17_000, 3)).astype(np.float32)
    rows[:, 2] += np.sin(2 * rows[:, 0])
    return rows


@pytest.fixture(scope="module")
def models(rows):
    """One of the rows in single precision, and one of the same rows in double."""
    return {dtype: fitted(rows.astype(dtype)) for dtype in ("float32", "float64")}


@pytest.fixture(scope="module")
def model(models):
    return models["float32"]


def fitted(X, **parameters):
    """Blocks by a list: competing ones are those of `test_competition`, and take longer."""
    fixed = {"blocks": ["mixture", "joint"], "n_components": 4, "random_state": 0}
    return RBIG(**(fixed | parameters)).fit(X)


def same_bits(a, b, rows):
    np.testing.assert_array_equal(a.score_samples(rows), b.score_samples(rows))


@pytest.fixture(params=[".npy", ".parquet", ".csv"])
def path(request, rows, tmp_path):
    path = tmp_path / f"rows{request.param}"
    # As doubles in CSV, which is read as such: the digits of a float32 are another double.
    write_table(path, rows.astype(np.float64) if request.param == ".csv" else rows, NAMES)
    return path


def like(path, rows):
    """Return the rows as the file has them, with names where it has names."""
    rows = rows.astype(np.float64) if path.suffix == ".csv" else rows
    return rows if path.suffix == ".npy" else pd.DataFrame(rows, columns=NAMES)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_a_file_gives_the_same_bits_as_an_array(path, rows, models):
    from_file, same = fitted(path), like(path, rows)
    exact = np.asarray(same)
    from_array = models[exact.dtype.name]
    same_bits(from_file, from_array, exact)
    expected = from_array.score_samples(exact).tobytes()
    assert from_file.score_samples(path).tobytes() == expected
    assert from_file.score_samples(same).tobytes() == expected
    latents = np.ascontiguousarray(from_array.transform(exact)).tobytes()
    assert from_file.transform(path).tobytes() == latents
    # NumPy's mean of the same numbers differs in the last bit with where they lie in memory.
    assert from_file.score(path) == pytest.approx(from_array.score(exact), rel=1e-14)
    if path.suffix != ".npy":
        assert list(from_file.feature_names_in_) == NAMES


def test_other_columns_in_the_file_are_refused(model, rows, tmp_path):
    write_table(tmp_path / "two.npy", rows[:, :2])
    with pytest.raises(ValueError, match="2 features, but RBIG is expecting 3"):
        model.score_samples(tmp_path / "two.npy")


@pytest.mark.parametrize("mode", ["r", "c"])
def test_a_mapped_array_gives_the_same_bits(mode, rows, model, tmp_path):
    stored = np.vstack([rows[:5], rows])
    if mode == "c":
        stored[5:15] += 1
    np.save(tmp_path / "rows.npy", stored)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode=mode)[5:]
    if mode == "c":
        mapped[:10] = rows[:10]
    same_bits(fitted(mapped), model, rows)
    np.testing.assert_array_equal(mapped, rows)


@pytest.mark.parametrize("n_jobs", [8, None])
def test_threads_give_the_same_bits_and_leave_numbas_alone(n_jobs, rows, model):
    before = numba.get_num_threads()
    same_bits(fitted(rows, n_jobs=n_jobs), model, rows)
    assert numba.get_num_threads() == before


def test_n_jobs_is_the_number_of_threads(rows, monkeypatch):
    """The caller is one of them; `test_threads` counts them."""
    started = []
    thread = threads.Thread
    monkeypatch.setattr(threads, "Thread", lambda **how: started.append(how) or thread(**how))
    fitted(rows, n_jobs=1, blocks=["mixture"])
    assert started == []
    fitted(rows, n_jobs=3, blocks=["mixture"])
    assert len(started) >= 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_order_of_rows_does_not_change_a_bit(dtype, rows, models):
    rows = rows.astype(dtype)
    order = np.random.default_rng(1).permutation(len(rows))
    same_bits(fitted(rows[order]), models[dtype], rows)


@pytest.mark.parametrize("size", [1001, 100_000])
def test_size_of_blocks_does_not_change_a_bit(size, rows, model, monkeypatch):
    monkeypatch.setattr(block, "_ONES", np.ones(size))
    for module in (sources, threads):
        monkeypatch.setattr(module, "BLOCK_ROWS", size)
    monkeypatch.setattr(sources, "row_blocks", lambda n: threads.row_blocks(n, size))
    asked = []
    load = block.load
    monkeypatch.setattr(
        block, "load", lambda rows, *more: asked.append(len(rows)) or load(rows, *more)
    )
    same_bits(fitted(rows), model, rows)
    assert asked[0] == min(size, len(rows))


def test_weights_are_rows_written_several_times_also_with_held_out_rows(rows):
    exact = rows.astype(np.float64)
    weights = np.random.default_rng(2).integers(0, 4, len(rows))
    model = RBIG(blocks=["mixture", "joint"], random_state=0)
    weighted = clone(model).fit(exact, sample_weight=weights)
    repeated = clone(model).fit(np.repeat(exact, weights, axis=0))
    assert weighted.history_[-1]["held_out"] == pytest.approx(
        repeated.history_[-1]["held_out"], abs=1e-9
    )
    same_bits(weighted, repeated, exact)


def test_weights_of_a_file(rows, tmp_path):
    write_table(tmp_path / "rows.npy", rows)
    weights = np.random.default_rng(2).integers(0, 4, len(rows)).astype(float)
    parameters = {"blocks": 2 * ["mixture"], "random_state": 0}
    one = RBIG(**parameters).fit(rows, sample_weight=weights)
    same_bits(RBIG(**parameters).fit(tmp_path / "rows.npy", sample_weight=weights), one, rows)
    with pytest.raises(ValueError, match="sample_weight has 16999 values for 17000 rows"):
        RBIG().fit(tmp_path / "rows.npy", sample_weight=weights[1:])


def test_equal_rows_are_held_out_together():
    rng = np.random.default_rng(3)
    few = rng.normal(size=(40, 2))
    rows = few[rng.integers(0, 40, 5000)]
    weights = np.ones(5000)
    model = RBIG(n_blocks=2, random_state=0, validation_fraction=0.3)
    one = model.fit(rows, sample_weight=weights).history_[0]
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    two = model.fit(distinct, sample_weight=counts).history_[0]
    assert one["held_out"] == pytest.approx(two["held_out"], abs=1e-9)


def test_nan_in_a_late_block_names_file_rows_and_column(rows, tmp_path):
    broken = rows.copy()
    broken[12_000, 1] = np.nan
    write_table(tmp_path / "rows.parquet", broken, NAMES)
    model = RBIG()
    with pytest.raises(
        ValueError,
        match=r"rows.parquet contains NaN in 1 of rows 8000 to 15999 \(the first is row 12000\), "
        "columns 'b'",
    ):
        model.fit(tmp_path / "rows.parquet")
    assert not hasattr(model, "flow_")
    assert not hasattr(model, "n_features_in_")


def test_constant_column_in_a_file(rows, tmp_path):
    rows = rows.copy()
    rows[:, 1] = 7.0
    write_table(tmp_path / "rows.parquet", rows, NAMES)
    with pytest.raises(ValueError, match="constant columns have no density: 'b'; drop them"):
        RBIG().fit(tmp_path / "rows.parquet")


def test_a_file_of_one_row(tmp_path):
    write_table(tmp_path / "rows.npy", np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"1 row.*at least 2"):
        RBIG().fit(tmp_path / "rows.npy")


def test_a_full_scratch_disk_is_named_and_leaves_nothing(rows, tmp_path, monkeypatch):
    write_table(tmp_path / "rows.npy", rows)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    def full(descriptor, data, offset):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(stores.os, "pwrite", full)
    model = RBIG()
    with pytest.raises(OSError, match=r"scratch file.*TMPDIR.*scratch'") as caught:
        model.fit(tmp_path / "rows.npy")
    assert caught.value.errno == 28
    assert list(scratch.iterdir()) == []
    assert not hasattr(model, "flow_")


def test_scratch_file_is_in_tmpdir_and_gone_with_the_fit(rows, tmp_path, monkeypatch):
    write_table(tmp_path / "rows.npy", rows)
    opened = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    fitted(tmp_path / "rows.npy", blocks=["mixture"])
    if opened is not None:
        assert set(os.listdir("/proc/self/fd")) <= opened


MEASURE = """
    import sys
    import numpy as np
    from rbig_numba import RBIG

    def peak():
        lines = open("/proc/self/status").read().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

    def fit(path):
        X = np.load(path, mmap_mode="r") if sys.argv[1] == "memmap" else path
        RBIG(n_blocks=1, n_components=2, random_state=0).fit(X)
        return peak()

    print(-fit(sys.argv[2]) + fit(sys.argv[3]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("kind", ["memmap", "path"])
def test_memory_does_not_grow_with_the_rows(kind, tmp_path):
    few, many = tmp_path / "few.npy", tmp_path / "many.npy"
    rows = np.random.default_rng(0).standard_normal((6_000_000, 8), dtype=np.float32)
    np.save(few, rows[:1_000_000])
    np.save(many, rows)  # 160 MB more
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURE), kind, few, many],
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 60

"""A compiled kernel is loaded if it fits, and whatever is wrong with it, compiled."""

import logging
import os
import pickle

import numpy as np
import pytest
from numba.core import config

from rbig_numba.kernels import ahead, cache, linear
from rbig_numba.kernels.jit import Kernel

pytestmark = pytest.mark.skipif(config.DISABLE_JIT, reason="compiles nothing")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_announce", lambda: None)
    return tmp_path / "cache" / "rbig_numba"


def result_and_hits():
    """Run a small kernel as a new process would; return its sums, and how often it was loaded."""
    kernel = Kernel(linear.add_sums.py_func, {"contract"})
    sums = np.zeros(2)
    kernel(np.arange(6.0).reshape(2, 3), np.ones(3), sums)
    return sums.tolist(), sum(kernel.entry.stats.cache_hits.values())


def test_what_is_compiled_once_is_loaded(folder):
    assert result_and_hits() == ([3.0, 12.0], 0)
    assert result_and_hits() == ([3.0, 12.0], 1)
    assert len(list(folder.rglob("*.*"))) == 1


def flipped(content):
    return content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[: len(content) // 2],
        lambda content: b"not a kernel " * 1000,
        lambda content: np.random.default_rng(0).bytes(len(content)),
        flipped,
    ],
    ids=["empty", "no digest", "cut", "text", "random", "one bit"],
)
def test_a_damaged_file_is_compiled_again(folder, damage):
    result_and_hits()
    (path,) = folder.rglob("*.*")
    path.write_bytes(damage(path.read_bytes()))
    assert result_and_hits() == ([3.0, 12.0], 0)
    assert result_and_hits() == ([3.0, 12.0], 1)  # mended


@pytest.mark.parametrize("content", [b"not a pickle", pickle.dumps(3), pickle.dumps((1,) * 9)])
def test_a_sound_file_of_something_else_is_compiled_again(folder, content):
    result_and_hits()
    (path,) = folder.rglob("*.*")
    cache._write(path, content)
    assert result_and_hits() == ([3.0, 12.0], 0)


def test_a_folder_in_the_place_of_a_file_is_compiled_in_memory(folder):
    result_and_hits()
    (path,) = folder.rglob("*.*")
    path.unlink()
    path.mkdir()
    assert result_and_hits() == ([3.0, 12.0], 0)
    assert sorted(folder.rglob("*.*")) == [path]  # no temporary file is left


@pytest.mark.parametrize(
    ("name", "value"),
    [("OPT", 1), ("LOOP_VECTORIZE", 0), ("BOUNDSCHECK", 1), ("DEBUGINFO_DEFAULT", 1)],
)
def test_settings_that_change_code_have_kernels_of_their_own(folder, monkeypatch, name, value):
    result_and_hits()
    monkeypatch.setattr(config, name, value)
    assert result_and_hits() == ([3.0, 12.0], 0)
    assert len(list(folder.rglob("*.*"))) == 2


def test_what_a_wheel_ships_comes_after_the_cache(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHIPPED", tmp_path / "compiled")
    monkeypatch.setattr(cache, "_baseline", cache._native)  # as if this were the baseline
    result_and_hits()
    (path,) = folder.rglob("*.*")
    cache.SHIPPED.mkdir()
    shipped = path.rename(cache.SHIPPED / path.name)
    assert result_and_hits() == ([3.0, 12.0], 1)
    assert list(folder.rglob("*.*")) == []  # nothing is written
    shipped.write_bytes(b"damaged")
    assert result_and_hits() == ([3.0, 12.0], 0)
    assert result_and_hits() == ([3.0, 12.0], 1)


@pytest.mark.parametrize(
    ("name", "value"), [("CPU_NAME", "generic"), ("CPU_FEATURES", ""), ("ENABLE_AVX", 0)]
)
def test_who_asks_for_another_processor_gets_nothing_shipped(tmp_path, monkeypatch, name, value):
    monkeypatch.setattr(cache, "SHIPPED", tmp_path)
    monkeypatch.setattr(config, name, value)
    assert cache._baseline.__wrapped__() is None


def test_a_machine_that_lacks_a_feature_gets_nothing_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHIPPED", tmp_path)
    monkeypatch.setattr(cache.platform, "machine", lambda: "x86_64")
    features = dict.fromkeys(cache.BASELINES["x86_64"][0][1], True)
    monkeypatch.setattr(cache.binding, "get_host_cpu_features", lambda: features)
    assert cache._baseline.__wrapped__()[1] == "x86-64-v4"
    features["avx512dq"] = False
    assert cache._baseline.__wrapped__()[1] == "x86-64-v3"
    features["fma"] = False
    assert cache._baseline.__wrapped__() is None


def test_few_folders_of_older_sources_are_kept(folder, monkeypatch):
    for age in range(10):
        older = folder / f"older{age}"
        older.mkdir(parents=True)
        os.utime(older, (age, age))
    result_and_hits()
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == cache._KEPT
    assert names[-7:] == [f"older{age}" for age in range(3, 10)]


def test_who_waits_is_told_why_once(tmp_path, monkeypatch, caplog):
    monkeypatch.undo()
    assisted = []
    monkeypatch.setattr(ahead, "assist", lambda: assisted.append(1))
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    cache._announce.cache_clear()
    with caplog.at_level(logging.WARNING, logger="rbig_numba"):
        result_and_hits()
        monkeypatch.setattr(config, "BOUNDSCHECK", 1)
        result_and_hits()
    (line,) = caplog.messages
    assert "\n" not in line
    assert "compiling kernels" in line
    assert "up to a minute, once" in line
    assert "'rbig-numba warm'" in line
    assert assisted == [1]


def test_without_a_folder_it_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.undo()
    monkeypatch.setattr(ahead, "assist", lambda: None)
    (tmp_path / "file").touch()
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "file"))
    cache._announce.cache_clear()
    assert result_and_hits() == ([3.0, 12.0], 0)
    assert caplog.messages[0].endswith("NUMBA_CACHE_DIR to one that can")


def test_a_user_without_home_has_no_folder(monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setattr(cache.AppDirs, "user_cache_dir", "~/.cache/numba")  # could not be expanded
    assert cache.user_folder() is None
    assert not cache.is_writable()
    assert result_and_hits() == ([3.0, 12.0], 0)


def test_a_process_that_fails_is_named():
    worker = ahead.Worker({**os.environ, "PYTHONHOME": "/nowhere"})
    with pytest.raises(RuntimeError, match=r"compiling joint\.forward failed: \S+"):
        list(worker.compile([0]))

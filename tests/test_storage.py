"""One file: the same model back, the old one kept on a crash, a word for every bad file."""

import json
import os

import numpy as np
import pytest

import cases
from rbig_numba import RBIG
from rbig_numba.flow import Flow
from rbig_numba.storage import _checksum, load_flows, save_flows


@pytest.fixture(scope="module")
def fitted():
    X = np.random.default_rng(0).gamma(2.0, size=(200, 2))
    return RBIG(n_blocks=2, n_components=3, random_state=0).fit(X), X


@pytest.fixture
def path(fitted, tmp_path):
    fitted[0].save(tmp_path / "m.rbig")
    return tmp_path / "m.rbig"


def rewrite(path, change):
    with np.load(path) as archive:
        arrays = dict(archive)
    change(arrays)
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def test_round_trip(fitted, path):
    model, X = fitted
    again = RBIG.load(path)
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    assert again.get_params() == model.get_params()
    assert again.history_ == model.history_


def test_same_bytes_each_time(fitted, path, tmp_path):
    fitted[0].save(tmp_path / "again.rbig")
    assert (tmp_path / "again.rbig").read_bytes() == path.read_bytes()


def test_a_crash_leaves_the_old_file(fitted, path, monkeypatch):
    old = path.read_bytes()

    def crash(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="no space"):
        fitted[0].save(path)
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == ["m.rbig"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_cut(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="cut or damaged"):
        RBIG.load(path)


def test_foreign(path, tmp_path):
    path.write_bytes(b"a text")
    with pytest.raises(ValueError, match="not a model file"):
        RBIG.load(path)
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(ValueError, match="not a model file"):
        RBIG.load(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        RBIG.load(tmp_path / "none.rbig")


def test_changed(path):
    def nudge(arrays):
        arrays["0.affine.shift"] = arrays["0.affine.shift"] + 1e-9

    rewrite(path, nudge)
    with pytest.raises(ValueError, match="checksum"):
        RBIG.load(path)


def test_newer(path):
    def age(arrays):
        header = json.loads(arrays["header"].tobytes())
        header["format"] = 99
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)

    rewrite(path, age)
    with pytest.raises(ValueError, match="format 99"):
        RBIG.load(path)


def test_never_unpickles(path):
    rewrite(path, lambda arrays: arrays.update({"0.affine.shift": np.array([{}], dtype=object)}))
    with pytest.raises(ValueError, match="damaged"):
        RBIG.load(path)


def test_formats_before(fitted, path):
    """Format 1 had no lengths, and no affine map had a reach until format 3."""

    def age(arrays):
        header = json.loads(arrays["header"].tobytes())
        header["format"] = 1
        del header["lengths"], arrays["0.affine.reach"]
        content = {name: array for name, array in arrays.items() if name != "header"}
        header["checksum"] = _checksum(header, content)
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)

    rewrite(path, age)
    model, X = fitted
    np.testing.assert_array_equal(RBIG.load(path).score_samples(X), model.score_samples(X))


@pytest.mark.parametrize("version", [3, 4])
def test_joint_mixtures_of_formats_before(tmp_path, version):
    """In format 3 a shape had one scale, and log_weights one axis; in 4 mixtures all columns."""
    joint = cases.joint_overlapping()
    save_flows(tmp_path / "m.rbig", [Flow((joint,))], {})

    def age(arrays):
        header = json.loads(arrays["header"].tobytes())
        header["format"] = version
        del arrays["0.joint.first"]
        if version == 3:
            arrays["0.joint.log_weights"] = arrays["0.joint.log_weights"].ravel()
            del arrays["0.joint.log_sizes"]
        content = {name: array for name, array in arrays.items() if name != "header"}
        header["checksum"] = _checksum(header, content)
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)

    rewrite(tmp_path / "m.rbig", age)
    again = load_flows(tmp_path / "m.rbig")[0][0].bijections[0]
    assert list(again.arrays()) == list(joint.arrays())
    for name, array in joint.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


def test_a_bit_or_an_end_that_is_lost_is_noticed_or_changes_nothing(fitted, path):
    """All bits of a zip's entry, of its place in the directory and of the end; some of the rest.

    A bit of the compression's number is a NotImplementedError in zipfile, one of the flags a
    RuntimeError for want of a password, others are what their decoders raise.
    """
    model, X = fitted
    whole, expected = path.read_bytes(), model.score_samples(X)
    directory = whole.index(b"PK\x01\x02")
    headers = [*range(64), *range(directory, directory + 64), *range(len(whole) - 22, len(whole))]
    flips = [(i, bit) for i in headers for bit in range(8)]
    flips += [(i, i % 8) for i in range(64, len(whole) - 22, 7)]
    harmless = 0
    for place, bit in flips:
        broken = bytearray(whole)
        broken[place] ^= 1 << bit
        path.write_bytes(broken)
        try:
            again = RBIG.load(path)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            harmless += 1
            np.testing.assert_array_equal(again.score_samples(X), expected)
    assert harmless < len(flips) / 2  # times, owners, and what stands in two places
    for length in range(0, len(whole), 29):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"m\.rbig"):
            RBIG.load(path)

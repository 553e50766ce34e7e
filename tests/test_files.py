"""Where outputs go: links are followed, permissions stay, and only files are written."""

import os
import socket
import stat
import sys

import numpy as np
import pytest

from rbig_numba import RBIG, RBIGEnsemble
from rbig_numba.cli import main
from rbig_numba.files import replacing
from rbig_numba.tables import read_table, write_table

ROWS = np.random.default_rng(0).normal(size=(60, 2))
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files and permissions")


@pytest.fixture(scope="module")
def model():
    return RBIG(n_blocks=1, n_components=2, blocks="classic", random_state=0).fit(ROWS)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(model, path):
    model.save(path)
    return RBIG.load(path)


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


@posix
@pytest.mark.parametrize("old", [None, b"an older model"])
def test_a_link_is_followed_to_its_target(old, model, here):
    (here / "store").mkdir()
    if old is not None:
        (here / "store" / "target").write_bytes(old)
    os.symlink("store/target", "link.rbig")
    os.symlink("link.rbig", "link to a link.rbig")
    save(model, "link to a link.rbig")
    assert os.readlink("link to a link.rbig") == "link.rbig"
    assert os.readlink("link.rbig") == "store/target"
    assert (here / "store" / "target").read_bytes()[:2] == b"PK"
    assert os.listdir(here / "store") == ["target"]


@posix
def test_permissions_are_those_of_the_old_file_or_of_the_umask(model, here):
    before = os.umask(0o027)
    try:
        save(model, "new.rbig")
        (here / "old.rbig").touch()
        os.chmod("old.rbig", 0o606)
        save(model, "old.rbig")
    finally:
        os.umask(before)
    assert mode("new.rbig") == 0o640
    assert mode("old.rbig") == 0o606


def obstacle(kind):
    """Put a thing that is no file to write to in the way; return its path and the error."""
    if kind == "read-only":
        open("x.csv", "wb").close()
        os.chmod("x.csv", 0o444)
        return "x.csv", PermissionError, "x.csv is read-only"
    if kind == "link to a read-only file":
        path, error, _ = obstacle("read-only")
        os.symlink(path, "link.csv")
        return "link.csv", error, "link.csv is read-only"
    if kind == "pipe":
        os.mkfifo("x.csv")
        return "x.csv", OSError, "x.csv is a pipe, a device or a socket"
    if kind == "device":
        os.symlink("/dev/null", "x.csv")
        return "x.csv", OSError, "x.csv is a pipe, a device or a socket"
    if kind == "socket":
        socket.socket(socket.AF_UNIX).bind("x.csv")
        return "x.csv", OSError, "x.csv is a pipe, a device or a socket"
    if kind == "folder":
        os.mkdir("x.csv")
        return "x.csv", IsADirectoryError, "x.csv is a folder"
    if kind == "link to a folder":
        os.mkdir("folder")
        os.symlink("folder", "x.csv")
        return "x.csv", IsADirectoryError, "x.csv is a folder"
    if kind == "circle of links":
        os.symlink("y.csv", "x.csv")
        os.symlink("x.csv", "y.csv")
        return "x.csv", OSError, "links lead in a circle"
    if kind == "read-only folder":
        os.mkdir("folder", 0o555)
        return "folder/x.csv", PermissionError, "folder.* can't be written to"
    return "none/x.csv", FileNotFoundError, "there is no folder"


OBSTACLES = [
    "read-only",
    "link to a read-only file",
    "pipe",
    "device",
    "socket",
    "folder",
    "link to a folder",
    "circle of links",
    "read-only folder",
    "no folder",
]


@posix
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the socket
@pytest.mark.parametrize("kind", OBSTACLES)
def test_what_is_no_file_to_write_to_is_left_alone(kind, model, here, capsys):
    path, error, message = obstacle(kind)
    before = {name: os.lstat(name) for name in os.listdir()}
    ensemble = RBIGEnsemble(n_estimators=1)._assemble([model])
    for write in (model.save, ensemble.save, lambda path: write_table(path, ROWS)):
        with pytest.raises(error, match=message):
            write(path)
    save(model, "my.rbig")
    before["my.rbig"] = os.lstat("my.rbig")
    with pytest.raises(SystemExit) as stop:
        main(["sample", "my.rbig", "-n", "5", "-o", path])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    after = {name: os.lstat(name) for name in os.listdir()}
    times = {"st_atime", "st_atime_ns"}
    for name, found in after.items():
        fields = [f for f in dir(found) if f.startswith("st_") and f not in times]
        assert [getattr(found, f) for f in fields] == [getattr(before[name], f) for f in fields]


@posix
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_files_are_read(kind, model, here):
    path = obstacle(kind)[0]
    for read in (RBIG.load, RBIGEnsemble.load, read_table, model.fit, model.score_samples):
        with pytest.raises(OSError, match=r"x\.csv is a"):
            read(path)


def test_a_name_as_long_as_the_disk_takes(model, here):
    save(model, "n" * 250 + ".rbig")
    assert len(os.listdir()) == 1


def test_the_new_file_has_the_suffix_that_was_asked_for(here):
    """Keras tells the format by it, also where a link leads to a file of another name."""
    if sys.platform != "win32":
        os.symlink("target", "link.keras")
    with replacing("link.keras") as fresh:
        fresh.write_bytes(b"flow")
        assert fresh.suffix == ".keras"


@pytest.mark.parametrize("kind", ["bytes", "~", "str", "Path"])
def test_paths_as_people_write_them(kind, model, here, monkeypatch):
    home = here / "home é"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))

    def named(name):
        whole = home / name
        return {"bytes": os.fsencode(whole), "~": f"~/{name}", "str": str(whole)}.get(kind, whole)

    model.save(named("my.rbig"))
    write_table(named("rows.csv"), ROWS)
    assert sorted(os.listdir(home)) == ["my.rbig", "rows.csv"]
    again = RBIG.load(named("my.rbig"))
    with pytest.warns(UserWarning, match="feature names"):
        scores = again.score_samples(named("rows.csv"))
    np.testing.assert_array_equal(scores, model.score_samples(ROWS))
    assert again.fit(named("rows.csv")).n_samples_fit_ == 60


def test_the_command_line_takes_a_home_too(model, here, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    write_table("rows.npy", ROWS)
    model.save("my.rbig")
    for command in (
        "fit ~/rows.npy --output=~/new.rbig --n-blocks 1 --blocks classic --quiet",
        "score ~/my.rbig ~/rows.npy --output=~/scores.csv",
        "info ~/my.rbig",
    ):
        with pytest.raises(SystemExit) as stop:
            main(command.split())
        assert not stop.value.code, capsys.readouterr().err
    assert {"new.rbig", "scores.csv"} <= set(os.listdir(here))


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
@pytest.mark.parametrize("suffix", [".csv", ".npy", ".parquet", ".rbig"])
def test_what_may_not_be_read(suffix, model, here):
    path = here / f"mine{suffix}"
    model.save(path) if suffix == ".rbig" else write_table(path, ROWS)
    path.chmod(0)
    for read in (RBIG.load, model.fit) if suffix != ".rbig" else (RBIG.load,):
        with pytest.raises(PermissionError, match=rf"mine\{suffix} can't be read"):
            read(path)


@pytest.mark.parametrize("path", ["a\0b.csv", b"a\0b.csv"])
def test_a_name_with_a_nul_is_shown(path, model):
    for call in (model.save, RBIG.load, model.fit, model.score_samples, read_table):
        with pytest.raises(ValueError, match=r"'a\\x00b.csv' names no file: it holds a NUL"):
            call(path)


@pytest.mark.parametrize("path", [3, None, ["x.rbig"]])
def test_what_names_no_file(path, model):
    for call in (model.save, RBIG.load):
        with pytest.raises(TypeError, match=r"expected str, bytes or os\.PathLike object, not"):
            call(path)

"""Files that are either whole or not there, and the paths that name them."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
PATHS = (str, bytes, os.PathLike)


def as_path(path: AnyPath) -> Path:
    """Return a path as people write it: bytes are decoded, a leading ~ is their home.

    Raises
    ------
    ValueError
        If a NUL is in it: the system's own errors don't say in which.
    """
    name = os.fsdecode(path)
    if "\0" in name:
        raise ValueError(f"{name!r} names no file: it holds a NUL")
    return Path(os.path.expanduser(name))


@contextmanager
def replacing(path: AnyPath) -> Iterator[Path]:
    """Yield a path to write to, which takes the place of `path` once the block ends well.

    The new file is written into a private folder beside the old one, hence on the same disk, and
    renamed: a crash leaves the old file as it was. Links are followed, and permissions stay.

    Raises
    ------
    OSError
        As `check_writable` does.
    """
    path = as_path(path)
    target = check_writable(path)
    # Under the name of the link: Keras tells the format by the suffix.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".rbig-") as folder:
        fresh = Path(folder) / path.name
        yield fresh
        if target.exists():
            fresh.chmod(stat.S_IMODE(target.stat().st_mode))
        os.replace(fresh, target)


def check_writable(path: AnyPath) -> Path:
    """Return the file that `path` leads to, links followed, if it can be put or replaced there.

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    IsADirectoryError
        If it is a folder.
    PermissionError
        If the file or its folder is read-only, to a superuser too.
    OSError
        If it is a pipe, a device or a socket, or links lead in a circle.
    """
    path = as_path(path)
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(f"{path}: symbolic links lead in a circle")
    if target.exists():
        _check_regular(path, target)
        if not _is_writable(target):
            raise PermissionError(f"{path} is read-only: make it writable or name another file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {target.parent}: make it first")
    if not _is_writable(target.parent):
        raise PermissionError(f"{path}: the folder {target.parent} can't be written to")
    return target


def check_readable(path: AnyPath) -> Path:
    """Return `path` as a Path if a file is there; opening a pipe would wait for ever.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    PermissionError
        If it can't be read.
    OSError
        If it is something else than a file.
    """
    path = as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    _check_regular(path, path)
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{path} can't be read: you have no permission to")
    return path


def _check_regular(path: Path, target: Path) -> None:
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it")
    if not target.is_file():
        raise OSError(f"{path} is a pipe, a device or a socket: name a file")


def _is_writable(path: Path) -> bool:
    # To the superuser os.access grants everything.
    return os.access(path, os.W_OK) and bool(path.stat().st_mode & 0o222)

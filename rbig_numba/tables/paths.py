"""Which files a table is in: one, a folder of Parquet files, a glob's, or a list of these."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from rbig_numba.files import PATHS, AnyPath, as_path
from rbig_numba.tables.checks import one_line

Source = AnyPath | Sequence[AnyPath]


class Part(NamedTuple):
    """A file, and the values that names of folders such as year=2020 give to all of its rows."""

    path: Path
    keys: dict[str, Any]


def find_parts(source: Source) -> list[Part]:
    """Return the files in the order of their rows: sorted by name, but for lists, which stay.

    Raises
    ------
    FileNotFoundError
        If a glob matches nothing. That a file is missing shows when it is opened.
    IsADirectoryError
        If a folder holds no Parquet files.
    ValueError
        If a list names no file, or one of them twice.
    """
    parts = [part for path in _listed(source) for part in _expanded(path)]
    if not parts:
        raise ValueError("no table: the list of paths is empty")
    seen: set[Path] = set()
    for part in parts:
        if part.path in seen:
            raise ValueError(f"{part.path}: listed twice: its rows would count twice")
        seen.add(part.path)
    return parts


def label_of(source: Source) -> str:
    """Return what messages call a table: the path, or the first of several and their number."""
    paths = _listed(source)
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"


def _listed(source: Source) -> list[Path]:
    return [as_path(path) for path in ([source] if isinstance(source, PATHS) else source)]


def _expanded(path: Path) -> Iterator[Part]:
    paths = [path]
    # A file may be called data[1].csv.
    if glob.has_magic(str(path)) and not path.exists():
        paths = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
        if not paths:
            raise FileNotFoundError(f"{path}: no file matches")
    for found in paths:
        yield from _partitioned(found) if found.is_dir() else [Part(found, {})]


def _partitioned(folder: Path) -> list[Part]:
    """Return a folder's Parquet files, at any depth, with the keys of Hive's partitions."""
    found = (path for path in folder.rglob("*.parquet") if _is_data(path, folder))
    files = sorted(map(str, found))
    if not files:
        raise IsADirectoryError(
            f"{folder} is a folder without .parquet files: name others in it as {folder}/*.csv"
        )
    if not any("=" in os.path.relpath(file, folder) for file in files):
        return [Part(Path(file), {}) for file in files]
    return sorted(_hive(folder, files), key=lambda part: str(part.path))


def _hive(folder: Path, files: list[str]) -> Iterator[Part]:
    """Yield files, in any order, with what the names of their folders tell."""
    from pyarrow import dataset  # late, for it takes 50 MB and 0.2 s

    try:
        found = dataset.dataset(
            files, format="parquet", partitioning="hive", partition_base_dir=str(folder)
        )
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{folder}: no readable Parquet files: {one_line(error)}") from error
    for fragment in found.get_fragments():
        keys = dataset.get_partition_keys(fragment.partition_expression)
        names = (name for name in found.schema.names if name in keys)  # as the folders stand
        yield Part(Path(fragment.path), {name: keys[name] for name in names})


def _is_data(path: Path, folder: Path) -> bool:
    """Whether no part of the name marks it as another program's own, as _metadata does."""
    return path.is_file() and not any(
        name.startswith(("_", ".")) for name in path.relative_to(folder).parts
    )

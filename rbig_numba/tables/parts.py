"""One table in many files."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np

from rbig_numba.tables.checks import check_size, chosen_names, drop_hint, quoted
from rbig_numba.tables.file import OneFile, TableFile, refilled


class Parts(TableFile):
    """The rows of several files, one file after another, their columns put together by name.

    Before `select` the files may differ in their columns.
    """

    def __init__(self, label: str, parts: Sequence[OneFile]) -> None:
        self.label = label
        self.names = _names(parts)
        self.n_features = parts[0].n_features
        known = [part.n_rows for part in parts if part.n_rows is not None]
        self.n_rows = sum(known) if len(known) == len(parts) else None
        single = all(part.dtype == np.float32 for part in parts)
        self.dtype = np.dtype(np.float32 if single else np.float64)
        self._parts = parts
        self._starts = [0]  # numbers of the first rows of the files that were come to

    def select(self, columns: Sequence[str] | None = None, drop: Sequence[str] = ()) -> Parts:
        """Return the table with some of its columns; see `TableFile.select`."""
        names = chosen_names(self.label, self.names, columns, drop)
        first, *others = self._parts  # the first is right as long as it may be
        for part in (*others, first):
            self._check_columns(part, names)
        parts = [part.take(names) for part in self._parts]
        chosen = Parts(self.label, parts)
        check_size(self.label, (chosen.n_rows, chosen.n_features))
        return chosen

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Read all files once; see `TableFile.blocks`."""
        return refilled(self._rows(n_rows), n_rows, self.n_features, self.dtype)

    def place(self, row: int) -> str:
        """Return what messages call a row that was read."""
        return f"{row}, in {self._parts[bisect_right(self._starts, row) - 1].label}"

    def _rows(self, n_rows: int) -> Iterator[np.ndarray]:
        start = 0
        for number, part in enumerate(self._parts):
            self._starts[number:] = [start]
            for rows in part.blocks(n_rows):
                yield rows
                start += len(rows)

    def _check_columns(self, part: OneFile, names: list[str] | None) -> None:
        """Raise unless a file has the columns that are wanted; some other file has them."""
        if names is None:
            if part.n_features != self.n_features:
                raise ValueError(
                    f"{part.label}: has {part.n_features} columns, but {self._parts[0].label} "
                    f"{self.n_features}"
                )
            return
        there = set(part.names or [])
        missing = [name for name in names if name not in there]
        if missing:
            other = next(p.label for p in self._parts if missing[0] in (p.names or []))
            raise ValueError(
                f"{part.label}: has no column {quoted(missing)}, but {other} has: "
                f"{drop_hint(missing)}, or name other files"
            )


def _names(parts: Sequence[OneFile]) -> list[str] | None:
    """Return the names of all files' columns, those of the first in front."""
    if all(part.names is None for part in parts):
        return None
    nameless = [part.label for part in parts if part.names is None]
    if nameless:
        raise ValueError(f"{nameless[0]}: columns have no names, but those of other files have")
    return list(dict.fromkeys(name for part in parts for name in part.names or []))

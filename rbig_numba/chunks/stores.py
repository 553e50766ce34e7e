"""Where the blocks of a fit live on one machine: in memory, or in a file without a name."""

from __future__ import annotations

import os
import tempfile
import weakref
from typing import NamedTuple, Protocol

import numpy as np

from rbig_numba.chunks.block import Block, Rows


class Store(Protocol):
    """Blocks by number. Different blocks may be read and written at the same time."""

    def __len__(self) -> int:
        """Return the number of blocks."""

    def append(self, block: Block) -> None:
        """Add a block at the end."""

    def read(self, number: int) -> Block:
        """Return a block."""

    def write(self, number: int, block: Block) -> None:
        """Replace a block by one of the same shapes."""


class MemoryStore(list[Block]):
    """Blocks in memory."""

    read = list.__getitem__
    write = list.__setitem__


class _Place(NamedTuple):
    """Where an array lies in the file."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype


class ScratchStore:
    """Blocks in a temporary file, so that memory does not grow with the rows.

    The file has no name: it is gone when the store is, or the process, however they end. It is read
    and written by position, since pages of a mapped file would count as the process's own memory.
    The folder is that of `tempfile.gettempdir()`: the variable TMPDIR sets it.
    """

    def __init__(self) -> None:
        self._folder = tempfile.gettempdir()
        with tempfile.TemporaryFile(dir=self._folder) as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        self._places: list[list[_Place | None]] = []
        self._end = 0

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self._places)

    def append(self, block: Block) -> None:
        """Write a block at the end of the file."""
        places: list[_Place | None] = []
        for array in _arrays(block):
            if array is None:
                places.append(None)
                continue
            places.append(_Place(self._end, array.shape, array.dtype))
            self._write(array, self._end)
            self._end += array.nbytes
        self._places.append(places)

    def read(self, number: int) -> Block:
        """Read a block."""
        arrays = [None if place is None else self._read(place) for place in self._places[number]]
        train, train_weights, held_out, held_out_weights = arrays
        assert train is not None
        assert held_out is not None
        return Block(Rows(train, train_weights), Rows(held_out, held_out_weights))

    def write(self, number: int, block: Block) -> None:
        """Write the columns of a block over the old ones; weights stay."""
        train, _, held_out, _ = self._places[number]
        for place, rows in zip((train, held_out), block, strict=True):
            assert place is not None
            self._write(rows.columns, place.offset)

    def _read(self, place: _Place) -> np.ndarray:
        array = np.empty(place.shape, place.dtype)
        if array.size and os.preadv(self._file, [array.data], place.offset) != array.nbytes:
            raise OSError(f"the scratch file in {self._folder} was cut from outside")
        return array

    def _write(self, array: np.ndarray, offset: int) -> None:
        data = np.ascontiguousarray(array).data.cast("B") if array.size else memoryview(b"")
        try:
            while data:
                written = os.pwrite(self._file, data, offset)
                data, offset = data[written:], offset + written
        except OSError as error:
            raise OSError(
                error.errno,
                f"the scratch file of {offset / 2**20:,.0f} MiB can't grow ({error.strerror}): "
                "let TMPDIR name a folder with room for a copy of the table",
                self._folder,
            ) from error


def _arrays(block: Block) -> list[np.ndarray | None]:
    return [array for rows in block for array in rows]

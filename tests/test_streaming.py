"""Blocks of rows: the same table whatever the blocks are, bounded memory, and late mistakes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from rbig_numba.tables import SUFFIXES, open_table, read_table, separated, table_writer, write_table

ROOT = Path(__file__).parents[1]
NAMES = ["height", "width", "depth"]
ROWS = np.random.default_rng(0).normal(size=(1000, 3))


@pytest.fixture(autouse=True)
def small_csv_blocks(monkeypatch):
    """Cut the CSV files of these tests into many blocks."""
    monkeypatch.setattr(separated, "CSV_BLOCK_BYTES", 3000)


def write_all(path, blocks):
    with table_writer(path, NAMES) as append:
        for block in blocks:
            append(block)


def write_parts(path, rows, part):
    write_all(path, (rows[start : start + part] for start in range(0, len(rows), part)))


def write_one_row_group(path, rows):
    columns = dict(zip(NAMES, map(pa.array, rows.T), strict=True))
    pa.parquet.write_table(pa.table(columns), path)


FILES = {
    "parts.csv": lambda path, rows: write_parts(path, rows, 70),
    "parts.parquet": lambda path, rows: write_parts(path, rows, 70),
    "group.parquet": write_one_row_group,
    "parts.npy": lambda path, rows: write_parts(path, rows, 70),
    "fortran.npy": lambda path, rows: np.save(path, np.asfortranarray(rows)),
}


@pytest.mark.parametrize("n_rows", [1, 64, 70, 250, 999, 1000, 5000])
@pytest.mark.parametrize("name", FILES)
def test_blocks_are_full_whatever_the_parts_of_the_file(tmp_path, name, n_rows):
    FILES[name](tmp_path / name, ROWS)
    table = open_table(tmp_path / name)
    for _ in range(2):  # each call is a pass of its own
        blocks = list(table.blocks(n_rows))
        full, rest = divmod(len(ROWS), n_rows)
        assert [len(block) for block in blocks] == [n_rows] * full + [rest] * (rest > 0)
        assert all(b.flags.c_contiguous or b.flags.f_contiguous for b in blocks)
        np.testing.assert_array_equal(np.concatenate(blocks), ROWS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FILES)
def test_what_is_known_before_reading(tmp_path, name, dtype):
    FILES[name](tmp_path / name, ROWS.astype(dtype))
    table = open_table(tmp_path / name)
    suffix = table.path.suffix
    assert table.path == tmp_path / name
    assert table.names == (None if suffix == ".npy" else NAMES)
    assert table.n_features == 3
    assert table.n_rows == (None if suffix == ".csv" else 1000)
    assert table.dtype == (np.float64 if suffix == ".csv" else dtype)
    assert {block.dtype for block in table.blocks(300)} == {table.dtype}


@pytest.mark.parametrize("stored", ["<i2", ">f4", ">f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_foreign_numbers_in_npy(tmp_path, stored, order):
    rows = np.asarray(ROWS * 100, dtype=stored, order=order)
    np.save(tmp_path / "rows.npy", rows)
    blocks = list(open_table(tmp_path / "rows.npy").blocks(300))
    assert all(block.dtype.isnative for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), rows)


def test_a_block_has_at_least_one_row(tmp_path):
    write_table(tmp_path / "rows.npy", ROWS)
    with pytest.raises(ValueError, match="n_rows=0"):
        next(open_table(tmp_path / "rows.npy").blocks(0))


def test_csv_columns_may_begin_otherwise_than_they_go_on(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("whole,none\n" + "1,\n" * 2000 + "0.5,7e-3\n")
    np.testing.assert_array_equal(read_table(path)[0][[0, -1]], [[1, np.nan], [0.5, 0.007]])


LATE = {
    "Rome,2,3": "line 2002, column 'height': no number: 'Rome'",
    "1,2,2020-01-01": "line 2002, column 'depth': no number: '2020-01-01'",
    '1,"two\nlines",3': "line 2002, column 'width': no number: 'two lines'",
    "1,2": "line 2002: Expected 3 columns, got 2",
    "1,2,3,4": "line 2002: Expected 3 columns, got 4",
    "1,2," + "3" * 7000: "a line of more than 3000 bytes",
}


@pytest.mark.parametrize("line", LATE)
def test_a_late_bad_line_of_csv_is_found(tmp_path, line):
    path = tmp_path / "rows.csv"
    path.write_text(f"{','.join(NAMES)}\n" + "1,2,3\n" * 2000 + line + "\n4,5,6\n")
    blocks = open_table(path).blocks(100)
    next(blocks)
    with pytest.raises(ValueError, match="rows") as caught:
        list(blocks)
    assert str(path) in str(caught.value)
    assert LATE[line] in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_damaged_late_row_group_is_found(tmp_path):
    path = tmp_path / "rows.parquet"
    write_parts(path, ROWS, 100)
    group = pa.parquet.ParquetFile(path).metadata.row_group(7)
    whole = bytearray(path.read_bytes())
    where = group.column(1).data_page_offset + group.column(1).total_compressed_size - 9
    whole[where] ^= 1
    path.write_bytes(whole)
    blocks = open_table(path).blocks(100)
    np.testing.assert_array_equal(next(blocks), ROWS[:100])
    with pytest.raises(ValueError, match=r"rows\.parquet: not a readable .* after [1-7]00 rows"):
        list(blocks)


@pytest.mark.parametrize("name", ["parts.npy", "fortran.npy", "parts.parquet"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.9999])
def test_a_cut_file_is_refused_at_once(tmp_path, name, share):
    FILES[name](tmp_path / name, ROWS)
    os.truncate(tmp_path / name, int(share * (tmp_path / name).stat().st_size))
    with pytest.raises(ValueError, match=name):
        open_table(tmp_path / name)


def grow(path):
    with path.open("ab") as file:
        file.write(b"1,2,3\n")


CHANGES = {
    "grows": grow,
    "is cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "is emptied": lambda path: os.truncate(path, 0),
    "is written anew": lambda path: os.utime(path, (0, 0)),
    "is removed": Path.unlink,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path, name, change):
    path = tmp_path / name
    FILES[name](path, ROWS)
    table = open_table(path)
    blocks = table.blocks(100)
    next(blocks)
    CHANGES[change](path)
    with pytest.raises(ValueError, match=f"{name}: changed while it was read"):
        list(blocks)
    with pytest.raises(ValueError, match=f"{name}: changed while it was read"):
        next(table.blocks(100))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_error_between_blocks_leaves_the_old_file(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match=r"row 0, column 0: .*'object'"):
        write_all(path, [ROWS, np.full((5, 3), object())])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_npy_is_the_file_that_numpy_writes(tmp_path):
    write_parts(tmp_path / "parts.npy", np.asfortranarray(ROWS), 70)
    np.save(tmp_path / "whole.npy", ROWS)
    assert (tmp_path / "parts.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


FULL_DISK = """
import resource, sys
import numpy as np
from rbig_numba.tables import write_table

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_table(sys.argv[1], np.random.default_rng(0).random((50_000, 3)))
except OSError as error:
    print(error)
"""


def python(script, *paths):
    done = subprocess.run(
        [sys.executable, "-c", script, *paths],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_the_old_file(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(b"old")
    assert "File too large" in python(FULL_DISK, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


PEAK = """
import sys
import numpy as np
from rbig_numba.tables import open_table, table_writer

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024

before, rng, paths = peak(), np.random.default_rng(0), sys.argv[1:]
for path in paths:
    with table_writer(path) as append:
        for _ in range(75 // len(paths)):
            append(rng.random((65_536, 8)))
written = peak()
n_rows = sum(len(block) for block in open_table(paths).blocks(65_536))
assert n_rows == 75 * 65_536
print(written - before, peak() - before)
"""


# The peak of a process, for its ru_maxrss begins at the size of the process that started it.
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's VmHWM")
@pytest.mark.parametrize("n_files", [1, 5])
@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".feather"])
def test_memory_does_not_grow_with_the_files(tmp_path, suffix, n_files):
    paths = [tmp_path / f"rows-{number}{suffix}" for number in range(n_files)]
    megabytes = [float(text) for text in python(PEAK, *paths).split()]
    assert sum(path.stat().st_size for path in paths) > 300e6
    for path in paths:
        path.unlink()
    assert max(megabytes) < 120, megabytes

"""Tables: what is written is read again, and what is no table of numbers is refused in one line."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from rbig_numba.tables import SUFFIXES, check_suffix, read_table, write_table

ROWS = np.array([[1.5, -2e-300, 3.0], [0.1 + 0.2, 7e300, -0.0]])


def write_parquet(path, **columns):
    pa.parquet.write_table(pa.table(columns), path)


def message_of(path):
    with pytest.raises(ValueError, match=path.name) as caught:
        read_table(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip_to_the_last_bit(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    write_table(path, ROWS, ["a", "b, c", 'd"e'])
    rows, names = read_table(path)
    np.testing.assert_array_equal(rows, ROWS)
    assert rows.dtype == np.float64
    assert names == (None if suffix == ".npy" else ["a", "b, c", 'd"e'])


@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_single_precision_is_kept(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    write_table(path, ROWS[:, [0, 2]].astype(np.float32))
    assert read_table(path)[0].dtype == np.float32


def test_mixed_precision_is_read_as_double(tmp_path):
    path = tmp_path / "rows.parquet"
    write_parquet(path, a=np.float32([1, 2]), b=np.float64([0.1, 0.2]))
    rows, _ = read_table(path)
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows[:, 1], [0.1, 0.2])


def test_columns_without_names_are_numbered(tmp_path):
    write_table(tmp_path / "rows.csv", ROWS)
    assert read_table(tmp_path / "rows.csv")[1] == ["x0", "x1", "x2"]


def test_suffix_may_be_in_capitals(tmp_path):
    write_table(tmp_path / "ROWS.CSV", ROWS)
    assert read_table(tmp_path / "ROWS.CSV")[0].shape == (2, 3)


def test_empty_cells_are_nan_whatever_the_kind_of_the_column(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("whole,real,none\n1,,\n,2.5,\n3,nan,\n")
    nan = np.nan
    np.testing.assert_array_equal(
        read_table(path)[0], [[1, nan, nan], [nan, 2.5, nan], [3, nan, nan]]
    )


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64, np.uint64, np.float16])
def test_other_numbers_are_read_as_double(tmp_path, kind):
    values = np.array([0, np.iinfo(kind).max if kind != np.float16 else 0.5], dtype=kind)
    write_parquet(tmp_path / "rows.parquet", a=values)
    np.save(tmp_path / "rows.npy", values[:, None])
    for name in ("rows.parquet", "rows.npy"):
        rows, _ = read_table(tmp_path / name)
        np.testing.assert_array_equal(rows[:, 0], values.astype(np.float64))


def test_text_columns_are_named(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,city,b,date\n1,Rome,2,2020-01-01\n3,Oslo,4,2021-01-01\n")
    text = message_of(path)
    assert "'city', 'date'" in text
    assert "drop" in text


def test_a_long_list_of_text_columns_is_cut(tmp_path):
    write_parquet(tmp_path / "rows.parquet", **{f"c{j}": ["x"] for j in range(30)})
    assert "'c7' and 22 more" in message_of(tmp_path / "rows.parquet")


def test_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b,a\n1,2,3\n")
    assert "'a'" in message_of(path)


def test_a_missing_header_is_noticed(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("1.5,2\n3,4\n5,6\n")
    assert "column names" in message_of(path)


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1,2\n3\n", "a,b\n1,2\n3,4,5\n"])
def test_empty_and_ragged_csv(tmp_path, text):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    message_of(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_foreign_and_cut_files(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(b"\x93\xff\x00no table at all\n\x00")
    message_of(path)
    write_table(path, np.ones((1000, 3)))
    whole = path.read_bytes()
    if suffix != ".csv":  # a CSV that ends between two lines can't be told from a whole one
        path.write_bytes(whole[: len(whole) // 2])
        message_of(path)


@pytest.mark.parametrize(
    ("array", "fragment"),
    [
        (np.ones(3), "(3,)"),
        (np.ones((2, 3, 4)), "(2, 3, 4)"),
        (np.ones((2, 2), dtype=complex), "complex128"),
        (np.array([["a", "b"]]), "<U1"),
        (np.ones((0, 3)), "0 rows"),
        (np.ones((3, 0)), "0 columns"),
    ],
)
def test_arrays_that_are_no_table(tmp_path, array, fragment):
    np.save(tmp_path / "rows.npy", array)
    assert fragment in message_of(tmp_path / "rows.npy")


def test_pickles_are_not_opened(tmp_path):
    np.save(tmp_path / "rows.npy", np.array([[object()]]), allow_pickle=True)
    assert "numbers" in message_of(tmp_path / "rows.npy")


def test_unknown_suffix_lists_the_known():
    with pytest.raises(ValueError, match=r"rows\.xlsx.*\.csv or \.parquet or \.npy"):
        check_suffix("rows.xlsx")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"rows\.csv"):
        read_table(tmp_path / "rows.csv")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match=r"row 0, column 0.*'object'"):
        write_table(path, np.array([[object()]]), ["a"])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_table(tmp_path / "none" / "rows.csv", ROWS)
    (tmp_path / "rows.csv").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_table(tmp_path / "rows.csv", ROWS)

"""Tables: what is written is read again, and what is no table of numbers is refused in one line."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from rbig_numba.tables import SUFFIXES, check_suffix, read_table, table_writer, write_table

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
    assert "column 'city' holds text ('Rome' in line 2), column 'date' holds date32[day]" in text
    assert "leave them out with --drop city,date (drop= of open_table in Python)" in text


def test_a_long_list_of_text_columns_is_cut(tmp_path):
    write_parquet(tmp_path / "rows.parquet", **{f"c{j}": [None, "x"] for j in range(30)})
    text = message_of(tmp_path / "rows.parquet")
    assert "column 'c2' holds text ('x' in row 1) and 27 more hold no numbers" in text
    assert "--drop c0,c1," in text


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
    # A plain text file that ends between two lines can't be told from a whole one.
    if suffix not in (".csv", ".tsv"):
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
    with pytest.raises(ValueError, match=r"rows\.xlsx.*\.csv, \.csv\.gz, .* or \.npy"):
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


INDEXED = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}, index=[5, 7, 9])
INDEXES = {
    "without a name": INDEXED,
    "filtered": INDEXED.reset_index(drop=True)[lambda frame: frame["a"] > 1],
    "with a name": INDEXED.rename_axis("a.b"),
    "of dates": INDEXED.set_axis(pd.date_range("2020", periods=3)),
    "of two levels": INDEXED.set_index(["a", "b"]).assign(c=[1.0, 2.0, 4.0]),
    "of all rows": INDEXED.reset_index(drop=True),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_an_index_of_pandas_is_no_column(tmp_path, kind):
    frame = INDEXES[kind]
    frame.to_parquet(tmp_path / "rows.parquet")
    rows, names = read_table(tmp_path / "rows.parquet")
    assert names == list(frame.columns)
    np.testing.assert_array_equal(rows, frame)


def test_a_table_of_an_index_only(tmp_path):
    INDEXED[[]].to_parquet(tmp_path / "rows.parquet")
    assert "3 rows, 0 columns" in message_of(tmp_path / "rows.parquet")


def test_a_column_without_a_name_is_likely_an_index(tmp_path):
    INDEXED.to_csv(tmp_path / "rows.csv")
    text = message_of(tmp_path / "rows.csv")
    assert "column 0 has no name: name it, or if it numbers the rows" in text
    assert """leave it out with --drop '""'""" in text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_flags_are_numbers(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    flags = np.array([[True, False], [False, False]])
    frame = pd.DataFrame(flags, columns=["a", "b"])
    if suffix == ".npy":
        np.save(path, flags)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix in (".feather", ".arrow"):
        frame.to_feather(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in suffix else ",")
    rows, _ = read_table(path)
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, flags)


def test_flags_stay_flags_to_the_end_of_the_file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\ntrue,1\n" + "false,2\n" * 200_000 + ",3\n")
    assert np.isnan(read_table(path)[0][-1, 0])
    path.write_text(path.read_text() + "2,3\n")
    assert "column 'a': no number: '2'" in message_of(path)


def test_a_bit_of_a_header_that_is_lost_is_noticed_or_changes_the_numbers_only(tmp_path):
    """Cells of .npy have no checksum; its header is parsed as Python and raises SyntaxError."""
    path = tmp_path / "rows.npy"
    write_table(path, ROWS)
    whole = path.read_bytes()
    for place in range(128):
        for bit in range(place % 2, 8, 2):
            broken = bytearray(whole)
            broken[place] ^= 1 << bit
            path.write_bytes(broken)
            try:
                assert read_table(path)[0].size <= 4 * ROWS.size
            except ValueError as error:
                assert "\n" not in str(error)  # noqa: PT017
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        message_of(path)


def test_a_bit_of_parquet_that_is_lost_is_noticed_or_changes_nothing(tmp_path):
    path = tmp_path / "rows.parquet"
    write_table(path, ROWS, ["a", "b", "c"])
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8
        path.write_bytes(broken)
        try:
            rows, _ = read_table(path)
        except ValueError as error:
            assert path.name in str(error)  # noqa: PT017
        else:
            np.testing.assert_array_equal(rows, ROWS)
    for length in range(0, len(whole), 17):
        path.write_bytes(whole[:length])
        message_of(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", ">f4", ">f8", "g", "O"])
def test_numbers_of_every_type_are_written(tmp_path, suffix, dtype):
    path, rows = tmp_path / f"rows{suffix}", np.array([[0, 1], [1, 1]], dtype=dtype)
    write_table(path, rows, [1, 2] if suffix == ".parquet" else None)
    np.testing.assert_array_equal(read_table(path)[0], rows.astype(np.float64))


NO_ROWS = [
    (ROWS[0], "2D"),
    (ROWS[None], "2D"),
    (ROWS + 0j, "Complex"),
    (ROWS.astype(str), "not numbers"),
    (np.zeros((2, 3), dtype="M8[s]"), "datetime64"),
    (np.ma.array(ROWS, mask=ROWS > 2), "masked cells in 2 rows"),
]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("rows", "message"), NO_ROWS)
def test_what_is_no_rows_is_not_written(tmp_path, suffix, rows, message):
    with pytest.raises(ValueError, match=message):
        write_table(tmp_path / f"rows{suffix}", rows)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_blocks_of_another_width_are_refused(tmp_path, suffix):

    def write():
        with table_writer(tmp_path / f"rows{suffix}") as append:
            append(ROWS)
            append(ROWS[:, :2])

    with pytest.raises(ValueError, match="2 columns can't follow 3"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_damaged_metadata_of_pandas_names_the_file(tmp_path):
    path = tmp_path / "rows.parquet"
    table = pa.table({"a": [1.0, 2.0]}).replace_schema_metadata({"pandas": '{"index_columns": ['})
    pa.parquet.write_table(table, path)
    assert "not a readable .parquet table" in message_of(path)

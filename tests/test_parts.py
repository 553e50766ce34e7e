"""Tables in many files: lists, globs and folders, put together by name, the same as one file."""

import os
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from rbig_numba import RBIG
from rbig_numba.cli import main
from rbig_numba.tables import SUFFIXES, open_table, read_table, separated, write_table

NAMES = ["a", "b", "c"]
ROWS = np.random.default_rng(0).gamma(2.0, size=(1000, 3))
CUTS = [(0, 130), (130, 131), (131, 700), (700, 1000)]


def fitted(X, **parameters):
    given = {"n_blocks": 1, "n_components": 2, "blocks": "classic", "random_state": 0} | parameters
    return RBIG(**given).fit(X)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(separated, "CSV_BLOCK_BYTES", 3000)
    return tmp_path


def write_parts(suffix, rows=ROWS):
    """Write parts whose columns are in different orders; return their names."""
    paths = []
    for number, (start, stop) in enumerate(CUTS):
        order = np.roll(np.arange(3), 0 if suffix == ".npy" else number)
        paths.append(f"part-{number}{suffix}")
        write_table(paths[-1], rows[start:stop, order], [NAMES[j] for j in order])
    return paths


def message_of(source, error=ValueError, **choice):
    with pytest.raises(error) as caught:
        list(open_table(source, **choice).blocks(100))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("n_rows", [1, 130, 64, 5000])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_parts_are_the_blocks_of_one_table(here, suffix, n_rows):
    table = open_table(write_parts(suffix))
    assert table.names == (None if suffix == ".npy" else NAMES)
    assert table.n_rows == (1000 if suffix in (".npy", ".parquet") else None)
    for _ in range(2):
        blocks = list(table.blocks(n_rows))
        assert {len(block) for block in blocks[:-1]} <= {n_rows}
        np.testing.assert_array_equal(np.concatenate(blocks), ROWS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_list_a_glob_a_folder_and_one_file_give_the_same_bits(here, dtype):
    rows = ROWS.astype(dtype)
    parts = write_parts(".parquet", rows)
    write_table("whole.arrow", rows, NAMES)
    expected = fitted(pd.DataFrame(rows, columns=NAMES))
    scores = expected.score_samples("whole.arrow")
    latent = expected.transform("whole.arrow")
    for source in (parts, tuple(parts), "part-*.parquet", here / "p*[0-9].parquet", ".", here):
        model = fitted(source)
        assert list(model.feature_names_in_) == NAMES
        assert model.score_samples(source).tobytes() == scores.tobytes()
        assert model.transform(source).dtype == dtype
        assert model.transform(source).tobytes() == latent.tobytes()


def test_one_part_of_doubles_makes_all_of_them_doubles(here):
    single = ROWS.astype(np.float32)
    write_table("one.parquet", single, NAMES)
    write_table("other.feather", ROWS, NAMES)
    rows, _ = read_table(["one.parquet", "other.feather"])
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, np.vstack([single, ROWS]))


def test_order_is_that_of_a_list_and_of_names_elsewhere(here):
    for name, value in {"b.csv": 1.0, "a.csv": 2.0, "c.csv": 0.0}.items():
        write_table(name, [[value]], ["x"])
    assert read_table("*.csv")[0].ravel().tolist() == [2, 1, 0]
    assert read_table(["c.csv", "[ab].csv"])[0].ravel().tolist() == [0, 2, 1]
    assert read_table([b"b.csv", here / "a.csv"])[0].ravel().tolist() == [1, 2]


def test_a_file_may_be_called_as_a_glob(here):
    write_table("rows[1].csv", ROWS, NAMES)
    write_table("rows1.csv", ROWS[:5], NAMES)
    assert len(read_table("rows[1].csv")[0]) == 1000


def test_home_is_known_in_globs_and_lists(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    parts = write_parts(".csv")
    for source in ("~/part-*.csv", [f"~/{name}" for name in parts], "~"):
        if source == "~":
            write_parts(".parquet")
        np.testing.assert_array_equal(read_table(source)[0], ROWS)


@pytest.fixture
def hive(here):
    """Write a folder as Spark does, a year of text-free rows in each."""
    frame = pd.DataFrame(ROWS, columns=NAMES).assign(year=2000 + np.arange(1000) // 400)
    frame.to_parquet("hive", partition_cols=["year"])
    (here / "hive" / "_SUCCESS").touch()
    (here / "hive" / ".hidden.parquet").write_bytes(b"junk")
    (here / "hive" / "_temporary").mkdir()
    (here / "hive" / "_temporary" / "rows.parquet").write_bytes(b"junk")
    return here / "hive"


def test_names_of_folders_are_a_column(hive):
    rows, names = read_table(hive)
    assert names == [*NAMES, "year"]
    np.testing.assert_array_equal(rows[:, :3], ROWS)
    np.testing.assert_array_equal(rows[:, 3], 2000 + np.arange(1000) // 400)
    table = open_table(hive, drop=["year"])
    np.testing.assert_array_equal(np.concatenate(list(table.blocks(333))), ROWS)
    table = open_table(hive, columns=["year", "b"])
    np.testing.assert_array_equal(next(table.blocks(401))[-1], [2001, ROWS[400, 1]])


def test_partitions_of_text(here):
    frame = pd.DataFrame(ROWS[:, :1], columns=["a"]).assign(town=["Oslo", "Rome"] * 500)
    frame.to_parquet("hive", partition_cols=["town"])
    message = message_of("hive")
    assert re.search(r"hive/town=Oslo/\S+: column 'town' holds text \('Oslo' in row 0\)", message)
    assert sum(map(len, open_table("hive", drop=["town"]).blocks(300))) == 1000


def test_partitions_in_partitions(here):
    for year, month in [(2, 1), (10, 12), (10, 1)]:
        (here / f"hive/year={year}/month={month}").mkdir(parents=True)
        write_table(f"hive/year={year}/month={month}/rows.parquet", ROWS[:2, :1], ["a"])
    rows, names = read_table("hive")
    assert names == ["a", "year", "month"]
    assert rows[::2, 1:].tolist() == [[10, 1], [10, 12], [2, 1]]


def test_a_column_that_is_also_in_the_names_of_folders(hive):
    write_table(hive / "year=2001" / "more.parquet", ROWS, ["a", "b", "year"])
    text = message_of(hive)
    assert "hive/year=2001/more.parquet" in text
    text = message_of(hive, drop=["c"])
    assert "several columns are called 'year'" in text


def test_a_partition_without_a_value_is_a_missing_cell(here):
    for folder in ("year=2020", "year=__HIVE_DEFAULT_PARTITION__"):
        (here / "hive" / folder).mkdir(parents=True)
        write_table(f"hive/{folder}/rows.parquet", ROWS[:1, :1], ["a"])
    np.testing.assert_array_equal(read_table("hive")[0][:, 1], [2020, np.nan])


def test_a_folder_of_partitions_with_one_file_that_lacks_a_column(hive):
    write_table(hive / "year=2001" / "more.parquet", ROWS[:, :2], ["a", "c"])
    text = message_of(hive)
    assert re.search(r"hive/year=2001/more\.parquet: has no column 'b', but \S+ has: leave", text)
    np.testing.assert_array_equal(next(open_table(hive, columns=["a"]).blocks(1)), [[ROWS[0, 0]]])
    assert open_table(hive, drop=["b"]).n_rows == 2000


def test_a_damaged_file_of_a_folder_is_named(hive):
    (hive / "year=2001" / "more.parquet").write_bytes(b"junk")
    assert "hive/year=2001/more.parquet: not a readable .parquet table" in message_of(hive)


def test_a_list_with_a_column_of_another_kind(here):
    write_table("a.csv", ROWS, NAMES)
    write_table("b.csv", ROWS, ["a", "b", "d"])
    for source in (["a.csv", "b.csv"], "*.csv"):
        assert "b.csv: has no column 'c', but a.csv has" in message_of(source)
    assert open_table("*.csv", drop=["c", "d"]).names == ["a", "b"]
    assert "no column 'e' among 'a', 'b', 'c', 'd'" in message_of("*.csv", drop=["e"])


def test_parts_with_and_without_names_or_of_other_widths(here):
    write_table("a.csv", ROWS, NAMES)
    write_table("b.npy", ROWS)
    write_table("c.npy", ROWS[:, :2])
    assert "b.npy: columns have no names" in message_of(["a.csv", "b.npy"])
    assert "c.npy: has 2 columns, but b.npy 3" in message_of(["b.npy", "c.npy"])


def test_parts_may_be_empty_but_not_all(here):
    write_table("a.parquet", ROWS[:0], NAMES)
    write_table("b.parquet", ROWS, NAMES)
    write_table("c.csv", ROWS[:0], NAMES)
    np.testing.assert_array_equal(read_table(["a.parquet", "b.parquet", "c.csv"])[0], ROWS)
    assert "a.parquet and 1 more: the table is empty: 0 rows" in message_of(["a.parquet", "c.csv"])


NOTHING = [
    ("data/*.csv", FileNotFoundError, "data/*.csv: no file matches"),
    (["a.csv", "missing.csv"], FileNotFoundError, "missing.csv: no such file"),
    (["a.csv", "folder"], IsADirectoryError, "folder is a folder without .parquet files"),
    ("folder", IsADirectoryError, "name others in it as folder/*.csv"),
    ([], ValueError, "the list of paths is empty"),
    (["a.csv", "*.csv"], ValueError, "a.csv: listed twice"),
    ("*", ValueError, "notes.txt: the name must end in"),
]


@pytest.mark.parametrize(("source", "error", "message"), NOTHING)
def test_files_that_are_not_there(here, source, error, message):
    write_table("a.csv", ROWS, NAMES)
    (here / "folder").mkdir()
    if source == "*":
        (here / "folder").rmdir()
        (here / "notes.txt").touch()
    assert message in message_of(source, error)
    if source:
        model = RBIG()
        with pytest.raises(error, match=re.escape(message)):
            model.fit(source)
        assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet", ".npy"])
def test_a_hole_is_counted_over_all_files_and_the_file_is_named(here, suffix):
    rows = ROWS.copy()
    rows[650, 1] = np.nan
    parts = write_parts(suffix, rows)
    column = "1" if suffix == ".npy" else "'b'"
    message = (
        rf"part-0{suffix} and 3 more contains NaN in 1 of rows 0 to 999 \(the first is row 650, in "
        rf"part-2{suffix}\), columns {column}; drop or impute them"
    )
    with pytest.raises(ValueError, match=message):
        fitted(parts)
    with pytest.raises(ValueError, match=message):
        fitted(ROWS if suffix == ".npy" else pd.DataFrame(ROWS, columns=NAMES)).score_samples(parts)


def test_a_part_that_changes_while_it_is_read(here):
    blocks = open_table(write_parts(".csv")).blocks(140)
    next(blocks)
    with open("part-3.csv", "a") as file:
        file.write("1,2,3\n")
    with pytest.raises(ValueError, match=r"part-3\.csv: changed while it was read"):
        list(blocks)


# What other programs write.


def test_streams_of_arrow_and_files_of_polars_and_pandas(here):
    frame = pd.DataFrame(ROWS, columns=NAMES, index=np.arange(1000) + 5).assign(town="Oslo")
    table = pa.Table.from_pandas(frame)
    backwards = table.select(table.column_names[::-1])
    with pa.OSFile("stream.arrow", "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=300)
    with pa.OSFile("file.arrow", "wb") as file, pa.ipc.new_file(file, backwards.schema) as writer:
        writer.write_table(backwards, max_chunksize=300)
    frame.reset_index(drop=True).to_feather("pandas.feather")
    pl.from_pandas(frame).write_ipc("polars.feather", compression="zstd")
    for name in ("stream.arrow", "file.arrow", "pandas.feather", "polars.feather"):
        assert "column 'town' holds text ('Oslo' in row 0)" in message_of(name)
        read = open_table(name, columns=["c", "a"])
        np.testing.assert_array_equal(np.vstack(list(read.blocks(70))), ROWS[:, [2, 0]])
        assert set(open_table(name, drop=["town"]).names) == set(NAMES)


def test_feather_of_version_1(here):
    (here / "old.feather").write_bytes(b"FEA1" + bytes(100) + b"FEA1")
    assert "Feather of version 1: write it again as version 2" in message_of("old.feather")


# Models and the command line.


@pytest.fixture
def wide(here):
    """Write a table with text and further numbers beside the columns of the model."""
    frame = pd.DataFrame(ROWS, columns=NAMES)
    fitted(frame).save("my.rbig")
    frame = frame.assign(town="Oslo", more=1.0)[["more", "c", "town", "b", "a"]]
    frame.to_csv("wide.csv", index=False)
    frame.to_parquet("wide.parquet")
    return frame


@pytest.fixture
def run(capsys):
    def run(*command):
        with pytest.raises(SystemExit) as stop:
            main(command)
        return stop.value.code or 0, capsys.readouterr().err

    return run


@pytest.mark.parametrize("name", ["wide.csv", "wide.parquet", "wide.*"])
def test_a_model_takes_its_columns_by_name(wide, run, name):
    model = RBIG.load("my.rbig")
    names = ["wide.csv", "wide.parquet"] if name == "wide.*" else [name]
    rows = pd.concat([wide[NAMES]] * len(names))
    expected = model.score_samples(rows)
    np.testing.assert_array_equal(model.score_samples(name), expected)
    np.testing.assert_array_equal(model.transform(name), model.transform(rows))
    assert run("score", "my.rbig", *names, "-o", "scores.feather") == (0, "")
    np.testing.assert_allclose(read_table("scores.feather")[0][:, 0], expected, rtol=1e-12)
    assert run("transform", "my.rbig", name, "-o", "latent.tsv.gz") == (0, "")
    np.testing.assert_allclose(read_table("latent.tsv.gz")[0], model.transform(rows), atol=1e-12)


def test_columns_of_the_model_that_are_missing_are_named(wide, run):
    for drop in (["a"], ["a", "c"]):
        wide.drop(columns=drop).to_csv("narrow.csv", index=False)
        missing = ", ".join(map(repr, drop))
        with pytest.raises(ValueError, match=rf"narrow\.csv: no column {missing} among 'more'"):
            RBIG.load("my.rbig").score_samples("narrow.csv")
        assert f"narrow.csv: no column {missing} among" in run("score", "my.rbig", "narrow.csv")[1]
    message = "wide.csv: no column 'b' among 'more', 'c', 'town', 'a'"
    assert message in run("score", "my.rbig", "wide.csv", "--drop", "b")[1]


def test_a_column_of_the_model_that_holds_text_is_refused(wide):
    wide.assign(b="tall").to_csv("text.csv", index=False)
    with pytest.raises(ValueError, match="column 'b' holds text \\('tall' in line 2\\)"):
        RBIG.load("my.rbig").score_samples("text.csv")


FIT = ("--n-blocks", "1", "--n-components", "2", "--blocks", "classic", "--random-state", "0", "-q")


def test_columns_are_left_out_of_a_fit(wide, run):
    fit = ("fit", "wide.csv", "-o", "new.rbig", *FIT)
    code, error = run(*fit)
    assert code == 2
    assert "column 'town' holds text ('Oslo' in line 2): leave it out with --drop town" in error
    assert "constant columns have no density: 'more'" in run(*fit, "--drop", "town")[1]
    assert run(*fit, "--drop", "town, more") == (0, "")
    model = RBIG.load("new.rbig")
    assert list(model.feature_names_in_) == ["c", "b", "a"]
    again = fitted(open_table("wide.parquet", drop=["town", "more"]))
    assert again.score_samples("wide.csv").tobytes() == model.score_samples("wide.csv").tobytes()
    assert "no column 'tonw' among 'more', 'c'" in run(*fit, "--drop", "tonw")[1]


def test_names_with_commas_are_left_out_in_quotes(here, run):
    frame = pd.DataFrame(ROWS[:, :2], columns=["a", "b"]).assign(**{'wind, "m"': "x", "": "y"})
    frame.to_csv("odd.csv", index=False)
    error = run("fit", "odd.csv", "-o", "new.rbig", *FIT, "--drop", '""')[1]
    quoted = '--drop \'"wind, ""m"""\''
    assert quoted in error
    assert run("fit", "odd.csv", "-o", "m.rbig", *FIT, "--drop", '"wind, ""m""",""') == (0, "")


def test_several_files_of_the_command_line_are_one_table(here, run):
    parts = write_parts(".csv")
    assert run("fit", *parts, "-o", "one.rbig", *FIT) == (0, "")
    assert run("fit", "part-*.csv", "-o", "two.rbig", *FIT) == (0, "")
    one, two = (RBIG.load(name) for name in ("one.rbig", "two.rbig"))
    np.testing.assert_array_equal(one.score_samples(parts), two.score_samples(parts))
    error = run("score", "one.rbig", *parts, "-o", "part-2.csv")[1]
    assert "part-2.csv is the table that is read: name another output" in error
    assert len(os.listdir()) == 6

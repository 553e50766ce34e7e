"""CSV as people have it: separators, decimal commas, gzip, and text beside the numbers."""

import gzip

import numpy as np
import pytest

from rbig_numba.tables import open_table, read_table, separated, table_writer, write_table

ROWS = np.array([[1.5, -2.0, 3e-7], [0.25, 4.0, 1e20]])
NAMES = ["a", "b", "c"]


def written(separator, decimal, end="\n", quote=""):
    cells = [
        [f"{quote}{cell!r}{quote}".replace(".", decimal) for cell in row] for row in ROWS.tolist()
    ]
    return end.join(separator.join(line) for line in [NAMES, *cells]) + end


DIALECTS = {
    "commas": written(",", "."),
    "semicolons": written(";", "."),
    "tabs": written("\t", "."),
    "bars": written("|", "."),
    "semicolons, decimal commas": written(";", ","),
    "tabs, decimal commas": written("\t", ","),
    "quoted decimal commas": written(",", ",", quote='"'),
    "quoted decimal commas after semicolons": written(";", ",", quote='"'),
    "CRLF": written(";", ",", end="\r\n"),
    "BOM": "\ufeff" + written(",", "."),
    "BOM, quotes": '\ufeff"a";"b";"c"\r\n' + written(";", ",", end="\r\n").partition("\r\n")[2],
    "spaces": written(";", ",").replace(";", " ; ").replace("a ; b ; c", "a;b;c"),
    "no last line end": written("\t", ".").rstrip("\n"),
}


def message_of(path, **choice):
    with pytest.raises(ValueError, match=path.name) as caught:
        list(open_table(path, **choice).blocks(100))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.csv.gz", "ROWS.TSV.GZ"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_is_told_from_the_head(tmp_path, dialect, name):
    data = DIALECTS[dialect].encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.lower().endswith("gz") else data)
    rows, names = read_table(tmp_path / name)
    np.testing.assert_array_equal(rows, ROWS)
    assert names == NAMES


HEADS = {
    "height, cm;width\n1;2\n": ["height, cm", "width"],
    "a;x,b\n1,2\n3,4\n": ["a;x", "b"],
    "a;b\n1\n2\n": ["a;b"],  # a single column
    '"a;b","c"\n1,2\n': ["a;b", "c"],
    "a\n1\n": ["a"],
    "n;price\r\n1;2,5\r\n": ["n", "price"],
    "n,price\r\n1,2.5\r\n": ["n", "price"],
    "a;b\n1,5;2,5\n": ["a", "b"],  # commas cut it into as many cells
}


@pytest.mark.parametrize("text", HEADS)
def test_names_may_hold_separators(tmp_path, text):
    (tmp_path / "rows.csv").write_text(text)
    assert read_table(tmp_path / "rows.csv")[1] == HEADS[text]


MIXED = {
    "a,b,c\n1,2,3\n4;5;6\n": "separators, ',' and here ';': line 3: Expected 3 columns, got 1",
    "a;b\n1;2\n3\t4\n": r"separators, ';' and here '\t': line 3: Expected 2 columns, got 1",
    "a,b,c\n1;2;3\n4;5;6\n": "rows.csv: mixes separators, ',' and here ';': line 2: Expected",
    ",".join("abcdefgh") + "\n" + ";".join(["12345678901234567"] * 8): "',' and here ';': line 2",
    "a;b;c\n1;2;3\n4;5\n": "line 3: Expected 3 columns, got 2: '4;5'",
    "a;b\n1,5;2,5\n1.5;2,5\n": "column 'a' holds text ('1.5' in line 3)",
}


@pytest.mark.parametrize("text", MIXED)
def test_mixed_signs_are_told_with_their_line(tmp_path, text):
    (tmp_path / "rows.csv").write_text(text)
    assert MIXED[text] in message_of(tmp_path / "rows.csv")


def test_a_separator_that_changes_in_a_late_block(tmp_path, monkeypatch):
    monkeypatch.setattr(separated, "CSV_BLOCK_BYTES", 3000)
    (tmp_path / "rows.csv").write_text("a;b;c\n" + "1,5;2;3\n" * 5000 + "1,5\t2\t3\n")
    text = message_of(tmp_path / "rows.csv")
    assert "mixes separators, ';' and here '\\t': line 5002: Expected 3 columns, got 1" in text


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99, 0.9999])
def test_a_gzip_file_that_is_cut(tmp_path, share):
    path = tmp_path / "rows.csv.gz"
    write_table(path, np.random.default_rng(0).normal(size=(5000, 3)))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "not a readable .csv.gz table" in message_of(path)


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", gzip.compress(b"a,b\n1,2\n") + b"more"])
def test_what_is_not_gzip(tmp_path, data):
    (tmp_path / "rows.csv.gz").write_bytes(data)
    assert "not a readable .csv.gz table" in message_of(tmp_path / "rows.csv.gz")


def test_gzip_files_one_after_another_are_one(tmp_path):
    halves = gzip.compress(b"a,b\n1,2\n3,"), gzip.compress(b"4\n5,6\n")
    (tmp_path / "rows.csv.gz").write_bytes(b"".join(halves))
    np.testing.assert_array_equal(read_table(tmp_path / "rows.csv.gz")[0], [[1, 2], [3, 4], [5, 6]])


def test_equal_rows_are_equal_gzip_files_whatever_their_name(tmp_path):
    for name in ("one.csv.gz", "other.csv.gz"):
        write_table(tmp_path / name, ROWS, NAMES)
    one, other = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert one == other
    assert gzip.decompress(one).startswith(b'"a","b","c"\n1.5,-2,')


WEATHER = """station,day,"wind, m/s",temperature,notes
Oslo,2020-01-01,3.5,-1,"cold, dry"
"""


def write_weather(path, n_rows=3000, last="4.5"):
    """Write text of which one cell takes two lines, and other text that begins late."""
    row = 'Rome,2020-01-02,2,3,"two\nlines"\n'
    path.write_text(WEATHER + row * (n_rows - 2) + f'Rome,2020-01-03,1,{last},"end"\n')


@pytest.fixture
def weather(tmp_path, monkeypatch):
    monkeypatch.setattr(separated, "CSV_BLOCK_BYTES", 3000)
    write_weather(tmp_path / "weather.csv")
    return tmp_path / "weather.csv"


def test_text_is_shown_with_what_leaves_it_out(weather):
    assert message_of(weather) == (
        f"{weather}: column 'station' holds text ('Oslo' in line 2), column 'day' holds "
        "date32[day] ('2020-01-01' in line 2), column 'notes' holds text ('cold, dry' in line 2): "
        "leave them out with --drop station,day,notes (drop= of open_table in Python)"
    )


def test_columns_left_out_are_not_read_as_numbers(weather):
    table = open_table(weather, drop=["notes", "day", "station"])
    assert table.names == ["wind, m/s", "temperature"]
    rows = np.concatenate(list(table.blocks(700)))
    assert rows.shape == (3000, 2)
    np.testing.assert_array_equal(rows[[0, 1, -1]], [[3.5, -1], [2, 3], [1, 4.5]])
    again = table.select(columns=["temperature"])
    np.testing.assert_array_equal(np.concatenate(list(again.blocks(700))), rows[:, 1:])


def test_columns_are_taken_in_the_order_asked_for(weather):
    table = open_table(weather, columns=["temperature", "wind, m/s"])
    np.testing.assert_array_equal(next(table.blocks(1)), [[-1, 3.5]])


def test_a_column_that_is_text_in_a_late_block(weather):
    write_weather(weather, last="mild")
    text = message_of(weather, columns=["temperature", "wind, m/s"])
    assert "line 3001, column 'temperature': no number: 'mild'" in text
    assert "leave it out with --drop temperature" in text
    assert len(next(open_table(weather, columns=["wind, m/s"]).blocks(3000))) == 3000


CHOICES = [
    ({"drop": ["towns"]}, "no column 'towns' among 'station', 'day', 'wind, m/s', 'temperature'"),
    ({"columns": ["wind"]}, "no column 'wind' among 'station'"),
    ({"columns": ["day"], "drop": ["day"]}, "no column 'day' among 'station', 'wind, m/s'"),
    ({"columns": []}, "the table is empty: some rows, 0 columns"),
    ({"columns": ["temperature"] * 2}, "asked for twice: 'temperature', 'temperature'"),
]


@pytest.mark.parametrize(("choice", "message"), CHOICES)
def test_columns_that_are_not_there(weather, choice, message):
    assert message in message_of(weather, **choice)


def test_one_name_is_no_list_of_names(weather):
    with pytest.raises(TypeError, match="'day' is one name: give a list"):
        open_table(weather, drop="day")


def test_columns_of_npy_have_no_names(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    assert "no names to choose columns by" in message_of(tmp_path / "rows.npy", drop=["a"])


def test_two_columns_of_one_name_matter_where_they_are_read(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b,a\n1,2,3\n")
    assert "several columns are called 'a'" in message_of(path)
    np.testing.assert_array_equal(next(open_table(path, drop=["a"]).blocks(9)), [[2]])


ENCODED = [
    ("größe;x\n1,5;2\n".encode("latin-1"), "names of columns are not in UTF-8"),
    ("a;stadt\n1,5;Köln\n".encode("latin-1"), "'stadt' holds text ('K\ufffdln' in line 2)"),
    ("a\tb\n1\t2\n".encode("utf-16"), "written in UTF-16: save it in UTF-8"),
]


@pytest.mark.parametrize(("data", "message"), ENCODED)
def test_text_in_other_codes(tmp_path, data, message):
    (tmp_path / "rows.csv").write_bytes(data)
    assert message in message_of(tmp_path / "rows.csv")
    if b"stadt" in data:
        rows = next(open_table(tmp_path / "rows.csv", drop=["stadt"]).blocks(5))
        np.testing.assert_array_equal(rows, [[1.5]])


def test_decimals_that_come_after_the_head(tmp_path, monkeypatch):
    monkeypatch.setattr(separated, "CSV_BLOCK_BYTES", 3000)
    (tmp_path / "rows.csv").write_text("a;b\n" + "1;2\n" * 3000 + "1;2,5\n")
    text = message_of(tmp_path / "rows.csv")
    assert "line 3002, column 'b': no number with decimals after '.': '2,5'" in text


@pytest.mark.parametrize("cell", ["", "NA", "NaN", "nan", "null", "None", "<NA>", "N/A"])
def test_missing_cells_are_nan(tmp_path, cell):
    (tmp_path / "rows.csv").write_text(f"a,b\n{cell},1\n2,{cell}\n")
    rows, _ = read_table(tmp_path / "rows.csv")
    np.testing.assert_array_equal(rows, [[np.nan, 1], [2, np.nan]])


def test_a_row_of_text_among_tabs_is_written_and_read(tmp_path):
    with table_writer(tmp_path / "rows.tsv", ["a\tb", "c"]) as append:
        append(ROWS[:, :2])
    assert (tmp_path / "rows.tsv").read_text().startswith('"a\tb"\t"c"\n')
    assert read_table(tmp_path / "rows.tsv")[1] == ["a\tb", "c"]

"""Whatever holds a table of numbers is taken as such; for all else there is one clear line."""

import array
import datetime
import fractions

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from rbig_numba import RBIG

ROWS = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32).astype(np.float64)
WHOLE = np.round(100 * ROWS)
FRAME = pd.DataFrame(ROWS, columns=["a", "b"])
TABLE = pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1]})
DATES = pd.date_range("2020", periods=60)
HOLES = np.arange(120).reshape(60, 2) == 7


def fit(X, **more):
    return RBIG(n_blocks=1, n_components=2, blocks="classic", random_state=0).fit(X, **more)


@pytest.fixture(scope="module")
def model():
    return fit(ROWS)


def flagged(rows):
    rows = rows.view()
    rows.flags.writeable = False
    return rows


TAKEN = {
    "list": ROWS.tolist(),
    "tuple of arrays": tuple(ROWS),
    "matrix": ROWS.view(np.matrix),
    "Fortran order": np.asfortranarray(ROWS),
    "negative strides": ROWS[::-1, ::-1].copy()[::-1, ::-1],
    "every other row and column": np.repeat(np.repeat(ROWS, 2, axis=0), 2, axis=1)[::2, ::2],
    "read-only": flagged(ROWS),
    "big-endian": ROWS.astype(">f8"),
    "longdouble": ROWS.astype(np.longdouble),
    "objects": ROWS.astype(object),
    "fractions": np.vectorize(fractions.Fraction, otypes=[object])(ROWS),
    "memoryview": memoryview(ROWS),
    "masked array without masked cells": np.ma.array(ROWS),
    "list of masked arrays": list(np.ma.array(ROWS)),
    "pandas": FRAME,
    "pandas, nullable": FRAME.astype("Float64"),
    "pandas, Arrow": FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "pandas, names that are numbers": pd.DataFrame(ROWS),
    "pandas, two rows of names": pd.DataFrame(
        ROWS, columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
    ),
    "pandas, objects": FRAME.astype(object),
    "pandas, odd names": FRAME.set_axis(["é\n", "名" * 300], axis=1),
    "pandas, names of methods": FRAME.set_axis(["dims", "coords"], axis=1),
    "Arrow table": TABLE,
    "Arrow batch": TABLE.to_batches()[0],
    "Polars": pl.DataFrame(TABLE),
    "Polars, lazy": pl.DataFrame(TABLE).lazy(),
}


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@pytest.mark.parametrize("kind", TAKEN)
def test_taken_as_the_same_rows(kind, model):
    X = TAKEN[kind]
    expected = model.score_samples(ROWS)
    np.testing.assert_array_equal(model.score_samples(X), expected)
    np.testing.assert_array_equal(model.transform(X), model.transform(ROWS))
    fitted = fit(X)
    np.testing.assert_array_equal(fitted.score_samples(X), expected)
    np.testing.assert_array_equal(fitted.inverse_transform(X), model.inverse_transform(ROWS))


@pytest.mark.parametrize(
    "dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "?", ">i4"]
)
@pytest.mark.filterwarnings("ignore::rbig_numba.DensityWarning")
def test_other_numbers_are_computed_with_as_doubles(dtype):
    X = (WHOLE > 0 if dtype == "?" else np.abs(WHOLE).clip(0, 100)).astype(dtype)
    one, other = fit(X), fit(X.astype(np.float64))
    np.testing.assert_array_equal(one.score_samples(X), other.score_samples(X.astype(np.float64)))
    assert one.transform(X).dtype == np.float64


@pytest.mark.parametrize(
    "single",
    [
        ROWS.astype(">f4"),
        FRAME.astype(np.float32),
        pl.DataFrame(TABLE).cast(pl.Float32),
    ],
)
@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
def test_single_precision_stays(single, model):
    assert model.transform(single).dtype == np.float32


@pytest.mark.parametrize("dtype", ["Int64", "UInt8", "boolean", "Float32"])
@pytest.mark.filterwarnings("ignore::rbig_numba.DensityWarning")
def test_nullable_columns(dtype):
    frame = pd.DataFrame((np.abs(WHOLE) > 70).astype(int), columns=["a", "b"])
    fitted = fit(frame.astype(dtype))
    expected = fit(frame.astype(np.float64)).score_samples(frame.astype(np.float64))
    np.testing.assert_array_equal(fitted.score_samples(frame.astype(dtype)), expected)
    with pytest.raises(ValueError, match=r"NaN in 1 rows \(the first is row 3\), columns 'b'"):
        fit(frame.astype(dtype).mask(HOLES))


def cells(value, row=3):
    """Objects with one of another kind, in column 1."""
    rows = ROWS.astype(object)
    rows[row, 1] = value
    return rows


REFUSED = {
    "masked cells": (
        np.ma.array(ROWS, mask=HOLES),
        ValueError,
        r"masked cells in 1 rows \(the first is row 3\), columns 1; drop or impute",
    ),
    "masked rows in a list": (
        list(np.ma.array(ROWS, mask=HOLES)),
        ValueError,
        r"masked cells in 1 rows \(the first is row 3\), columns 1",
    ),
    "dates": (ROWS.astype("M8[s]"), ValueError, r"holds datetime64\[s\], not numbers"),
    "spans": (ROWS.astype("m8[s]"), ValueError, r"holds timedelta64\[s\], not numbers"),
    "complex": (ROWS + 0j, ValueError, "Complex data not supported: Input X holds complex128"),
    "text": (ROWS.astype(str), ValueError, "holds <U32, not numbers"),
    "bytes": (ROWS.astype("S"), ValueError, "holds |S32, not numbers"),
    "records": (FRAME.to_records(index=False), ValueError, "records of type"),
    "an object of text": (cells("tall"), ValueError, "row 3, column 1: no number but 'tall'"),
    "text of digits": (cells("1_0"), ValueError, "row 3, column 1: no number but '1_0'"),
    "bytes of digits": (cells(b"1.5"), ValueError, "row 3, column 1: no number but b'1.5'"),
    "text of digits only": (ROWS.astype(str).astype(object), ValueError, "row 0, column 0: no num"),
    "an object of NumPy's complex": (
        cells(np.complex64(1 + 2j)),
        TypeError,
        r"row 3, column 1: no number but np.complex64\(1\+2j\)",
    ),
    "an object of Python's complex": (cells(1 + 2j), TypeError, "row 3, column 1: .*'complex'"),
    "an object of none": (cells(None), ValueError, r"NaN in 1 rows \(the first is row 3\)"),
    "an object pd.NA": (cells(pd.NA), TypeError, "row 3, column 1: .*'NAType'"),
    "an object of NumPy's time": (
        np.array([[np.datetime64("2020"), 1.0]] * 9, dtype=object),
        TypeError,
        "row 0, column 0: no number but np.datetime64",
    ),
    "an object of Python's time": (cells(DATES[0]), TypeError, "row 3, column 1: .*'Timestamp'"),
    "an object list": (cells([1, 2]), TypeError, "row 3, column 1: .*'list'"),
    "an object too large": (cells(10**400), ValueError, "row 3, column 1: int too large"),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError, "rows of equal length"),
    "one axis": (ROWS[:, 0], ValueError, r"2D.*shape \(60,\).*reshape\(-1, 1\)"),
    "three axes": (ROWS[None], ValueError, r"2D.*shape \(1, 60, 2\)"),
    "a number": (3.0, ValueError, r"2D.*shape \(\)"),
    "a series": (FRAME["a"], ValueError, r"2D.*shape \(60,\)"),
    "a series of Polars": (pl.Series(ROWS[:, 0]), ValueError, r"2D.*shape \(60,\)"),
    "a Python array": (array.array("d", [1, 2]), ValueError, r"2D.*shape \(2,\)"),
    "none": (None, TypeError, "NoneType"),
    "generator": ((row for row in ROWS), TypeError, "generator"),
    "dictionary": ({"a": ROWS[:, 0]}, TypeError, "dict"),
    "set": ({1.0, 2.0}, TypeError, "set"),
    "sparse": (scipy.sparse.csr_array(ROWS), TypeError, "[Ss]parse"),
    "no rows": (ROWS[:0], ValueError, "0 sample"),
    "no columns": (ROWS[:, :0], ValueError, "0 feature"),
    "pandas, dates": (FRAME.assign(a=DATES), ValueError, r"not numbers: a \(datetime64"),
    "pandas, dates only": (
        pd.DataFrame({"a": DATES, "b": DATES}),
        ValueError,
        r"not numbers: a \(datetime64.*, b \(datetime64",
    ),
    "pandas, zones": (FRAME.assign(a=DATES.tz_localize("UTC")), ValueError, "not numbers: a"),
    "pandas, spans": (FRAME.assign(a=DATES - DATES[0]), ValueError, r"not numbers: a \(timedelta"),
    "pandas, periods": (FRAME.assign(a=DATES.to_period()), ValueError, "not numbers: a"),
    "pandas, complex": (FRAME.assign(a=1j), ValueError, "not numbers: a .complex128"),
    "pandas, text": (FRAME.assign(a="x"), ValueError, "not numbers: a"),
    "pandas, text of digits": (FRAME.astype(str), ValueError, "not numbers: a .*, b "),
    "pandas, Python's dates": (
        FRAME.assign(a=pd.Series([datetime.date(2020, 1, 1)] * 60, dtype=object)),
        ValueError,
        "not numbers: a .object",
    ),
    "pandas, Arrow's text": (
        FRAME.assign(a=pd.Series(["x"] * 60, dtype=pd.ArrowDtype(pa.string()))),
        ValueError,
        "not numbers: a",
    ),
    "pandas, categories": (FRAME.astype({"a": "string"}).assign(a="x"), ValueError, "numbers: a"),
    "pandas, sparse": (FRAME.astype(pd.SparseDtype(float)), TypeError, r"sparse: a, b; .*to_dense"),
    "pandas, one name twice": (FRAME.set_axis(["a", "a"], axis=1), ValueError, "called 'a'"),
    "pandas, names of two kinds": (FRAME.set_axis(["a", 1], axis=1), TypeError, "string names"),
    "Arrow, text": (TABLE.append_column("c", [["x"] * 60]), ValueError, "string in column 'c'"),
    "Arrow, dates": (
        TABLE.append_column("c", [pa.array(DATES)]),
        ValueError,
        "timestamp.* in column 'c'",
    ),
    "Arrow, nothing": (
        pa.table({"a": pa.array([None, *ROWS[1:, 0]]), "b": ROWS[:, 1]}),
        ValueError,
        r"NaN in 1 rows \(the first is row 0\), columns 'a'",
    ),
    "Polars, text": (pl.DataFrame({"a": ["x"], "b": 1.0}), ValueError, "in column 'a'"),
    "Polars, dates": (pl.DataFrame({"a": DATES}), ValueError, "timestamp.* in column 'a'"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line_and_nothing_changes(kind, model):
    X, error, message = REFUSED[kind]
    unfitted, before = RBIG(), model.__dict__.copy()
    for call in (unfitted.fit, model.fit, model.fit_more, model.score_samples, model.transform):
        if kind in {"Arrow, nothing", "pandas, names of two kinds"} and call != unfitted.fit:
            continue  # the names of the columns differ too
        with pytest.raises(error, match=message) as caught:
            call(X)
        assert "\n" not in str(caught.value)
    assert vars(unfitted) == vars(RBIG())
    assert model.__dict__ == before


WEIGHTS = {
    "whole numbers": np.ones(60, dtype=int),
    "booleans": np.ones(60, dtype=bool),
    "list": [1.0] * 60,
    "pandas": pd.Series(np.ones(60)),
    "pandas, nullable": pd.Series(np.ones(60), dtype="Float64"),
    "Polars": pl.Series(np.ones(60)),
    "Arrow": pa.array(np.ones(60)),
    "masked array without masked cells": np.ma.ones(60),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_of_one_are_no_weights(kind, model):
    weights = WEIGHTS[kind]
    fitted = fit(ROWS, sample_weight=weights)
    np.testing.assert_array_equal(fitted.score_samples(ROWS), model.score_samples(ROWS))
    assert model.score(ROWS, sample_weight=weights) == pytest.approx(model.score(ROWS), rel=1e-14)


NO_WEIGHTS = {
    "few": (np.ones(3), ValueError, "shape .3,., expected .60,.|3 values for 60 rows"),
    "none": ([], ValueError, "shape .0,.|at least one"),
    "a column": (np.ones((60, 1)), ValueError, "shape .60, 1."),
    "a number": (1.0, ValueError, r"shape \(\)"),
    "a name": ("weights.npy", TypeError, "Path"),
    "text": (["a"] * 60, ValueError, "holds <U1"),
    "NaN": (np.where(np.arange(60) == 7, np.nan, 1), ValueError, "NaN in 1 rows .*row 7"),
    "infinite": (np.full(60, np.inf), ValueError, "inf"),
    "negative": (np.arange(60.0) - 1, ValueError, "1 negative values, the lowest in row 0"),
    "zeros": (np.zeros(60), ValueError, "non-zero"),
    "masked": (
        np.ma.array(np.ones(60), mask=np.arange(60) == 7),
        ValueError,
        "masked cells in 1 rows .*row 7",
    ),
    "complex": (np.ones(60) + 0j, ValueError, "Complex"),
    "dates": (np.ones(60).astype("M8[s]"), ValueError, "datetime64"),
}


@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_other_weights_are_refused(kind, model, tmp_path):
    weights, error, message = NO_WEIGHTS[kind]
    np.save(tmp_path / "rows.npy", ROWS)
    before = model.__dict__.copy()
    for call in (model.fit, model.fit_more, model.score):
        for X in (ROWS, tmp_path / "rows.npy"):
            with pytest.raises(error, match=message):
                call(X, sample_weight=weights)
    assert model.__dict__ == before


def test_a_copy_of_a_mapped_array_is_an_array(tmp_path, model):
    np.save(tmp_path / "rows.npy", ROWS)
    copy = np.load(tmp_path / "rows.npy", mmap_mode="r").copy()
    assert isinstance(copy, np.memmap)
    np.testing.assert_array_equal(fit(copy).score_samples(copy), model.score_samples(ROWS))


@pytest.mark.parametrize("rows", [ROWS > 0, ROWS.astype(">f4"), ROWS.astype("f2")])
@pytest.mark.filterwarnings("ignore::rbig_numba.DensityWarning")
def test_a_type_is_the_same_from_memory_mapped_and_from_a_file(rows, tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, rows)
    expected = fit(rows).transform(rows)
    for X in (path, np.load(path, mmap_mode="r")):
        np.testing.assert_array_equal(fit(X).transform(X), expected)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.filterwarnings("ignore::rbig_numba.DensityWarning")
def test_a_frame_with_flags_is_the_file_it_was_written_to(suffix, tmp_path):
    frame = FRAME.assign(flag=ROWS[:, 0] > 0.5)
    path = tmp_path / f"rows{suffix}"
    getattr(frame, f"to_{suffix[1:]}")(path, index=False)
    np.testing.assert_allclose(fit(frame).score_samples(path), fit(path).score_samples(frame))

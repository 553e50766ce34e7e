"""What collections of Dask hold and what xarray wraps: taken as the rows in memory, or refused."""

import dask
import dask.array as da
import dask.bag
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import xarray as xr

from rbig_numba import RBIG

ROWS = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32).astype(np.float64)
FRAME = pd.DataFrame(ROWS, columns=["a", "b"])
DATES = pd.date_range("2020", periods=60)
MASKED = np.ma.array(ROWS, mask=np.arange(120).reshape(60, 2) == 67)


def fit(X, **more):
    return RBIG(n_blocks=1, n_components=2, blocks="classic", random_state=0).fit(X, **more)


@pytest.fixture(scope="module")
def model():
    return fit(ROWS)


def chunked(array):
    return da.from_array(array, chunks=(30, *array.shape[1:]))


def parted(frame):
    return dd.from_pandas(frame, npartitions=2)


TAKEN = {
    "array": chunked(ROWS),
    "big-endian": chunked(ROWS.astype(">f8")),
    "longdouble": chunked(ROWS.astype(np.longdouble)),
    "objects": chunked(ROWS.astype(object)),
    "masked array without masked cells": chunked(np.ma.array(ROWS)),
    "frame": parted(FRAME),
    "frame, nullable": parted(FRAME.astype("Float64")),
    "frame, names that are numbers": parted(pd.DataFrame(ROWS)),
    "xarray": xr.DataArray(ROWS, dims=("row", "column")),
    "xarray, coordinates": xr.DataArray(ROWS, coords={"t": DATES, "c": ["a", "b"]}),
    "xarray of Dask": xr.DataArray(chunked(ROWS)),
}


@pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")
@pytest.mark.parametrize("kind", TAKEN)
def test_taken_as_the_same_rows(kind, model):
    X, expected = TAKEN[kind], model.score_samples(ROWS)
    np.testing.assert_array_equal(np.asarray(model.score_samples(X)), expected)
    np.testing.assert_array_equal(np.asarray(model.transform(X)), model.transform(ROWS))
    np.testing.assert_array_equal(fit(X).score_samples(ROWS), expected)
    np.testing.assert_array_equal(model.inverse_transform(X), model.inverse_transform(ROWS))
    assert model.score(X) == pytest.approx(model.score(ROWS), rel=1e-14)


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@pytest.mark.parametrize("X", [chunked(ROWS.astype(">f4")), parted(FRAME.astype(np.float32))])
def test_single_precision_stays(X, model):
    latents = model.transform(X)
    assert latents.dtype == latents.compute().dtype == np.float32


@pytest.mark.parametrize("X", [chunked(np.round(ROWS).astype(int)), parted(FRAME > 0)])
@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
def test_other_numbers_give_latents_of_the_type_that_was_promised(X, model):
    latents = model.transform(X)
    assert latents.dtype == latents.compute().dtype == np.float64


REFUSED = {
    "complex": (chunked(ROWS + 1j), ValueError, "Complex data not supported"),
    "dates": (chunked(ROWS.astype("M8[s]")), ValueError, "datetime64"),
    "text": (chunked(ROWS.astype(str)), ValueError, "not numbers"),
    "one axis": (chunked(ROWS[:, 0]), ValueError, r"2D.*shape \(60,\)"),
    "three axes": (chunked(ROWS[:, :, None]), ValueError, "2D"),
    "no columns": (chunked(ROWS[:, :0]), ValueError, "no columns"),
    "sparse": (chunked(ROWS).map_blocks(scipy.sparse.csr_array), TypeError, "sparse"),
    "frame, dates": (parted(FRAME.assign(a=DATES)), ValueError, "not numbers: a .datetime64"),
    "frame, dates only": (
        parted(pd.DataFrame({"a": DATES, "b": DATES})),
        ValueError,
        "not numbers: a .datetime64.*, b .datetime64",
    ),
    "frame, complex": (parted(FRAME + 0j), ValueError, "not numbers: a .complex128"),
    "series": (parted(FRAME["a"]), TypeError, "Dask Series: pass a Dask array or DataFrame"),
    "bag": (dask.bag.from_sequence(ROWS.tolist()), TypeError, "Dask Bag"),
    "delayed": (dask.delayed(ROWS), TypeError, "Dask Delayed"),
    "xarray, three axes": (xr.DataArray(ROWS[None]), ValueError, r"2D.*shape \(1, 60, 2\)"),
    "xarray, dates": (xr.DataArray(ROWS.astype("M8[s]")), ValueError, "datetime64"),
    "xarray.Dataset": (xr.Dataset({"a": ("r", ROWS[:, 0])}), TypeError, "to_dataframe"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_before_any_work(kind, model):
    X, error, message = REFUSED[kind]
    unfitted, before = RBIG(), model.__dict__.copy()
    for call in (unfitted.fit, model.fit, model.fit_more, model.score_samples, model.transform):
        with pytest.raises(error, match=message) as caught:
            call(X)
        assert "\n" not in str(caught.value)
    assert vars(unfitted) == vars(RBIG())
    assert model.__dict__ == before


HOLES = {
    "masked": (chunked(MASKED), r"masked cells in 1 rows \(the first is row 3\), columns 1"),
    "nullable": (
        parted(FRAME.astype("Float64").mask(MASKED.mask)),
        r"NaN in 1 rows \(the first is row 3\), columns '?[1b]'?",
    ),
    "late text": (
        chunked(np.where(MASKED.mask, "x", ROWS.astype(object))),
        "row 3, column 1: no number but 'x'",
    ),
    "a type other than promised": (
        chunked(ROWS).map_blocks(lambda block: block + 1j, dtype=float, meta=np.empty((0, 0))),
        "Complex data not supported: (P|A p)artition",
    ),
}


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@pytest.mark.parametrize("kind", HOLES)
def test_what_partitions_hold_is_told_with_the_partition(kind, model):
    X, message = HOLES[kind]
    with pytest.raises(ValueError, match=message) as caught:
        fit(X)
    assert "Partition " in str(caught.value)
    with pytest.raises(ValueError, match=message):
        model.score_samples(X).compute()


WEIGHTS = np.ones(60)
NO_WEIGHTS = {
    "negative": (-chunked(WEIGHTS), ValueError, r"Partition \d of sample_weight has negative"),
    "NaN": (np.nan * chunked(WEIGHTS), ValueError, r"Partition \d of sample_weight contains NaN"),
    "masked": (
        chunked(np.ma.array(WEIGHTS, mask=np.arange(60) == 37)),
        ValueError,
        "Partition 1 of sample_weight contains masked cells in 1 rows .*row 7",
    ),
    "other lengths": (
        da.ones(60, chunks=(31, 29)),
        ValueError,
        r"Partition \d of sample_weight has \d+ values for 30 rows",
    ),
    "other partitions": (da.ones(60, chunks=20), ValueError, "3 partitions, the rows have 2"),
    "two axes": (chunked(WEIGHTS[:, None]), ValueError, "2 axes"),
    "complex": (chunked(WEIGHTS + 0j), ValueError, "Complex"),
    "zeros": (0.0 * chunked(WEIGHTS), ValueError, "0 row"),
    "in memory": (WEIGHTS, TypeError, "must be a Dask array"),
    "a series": (parted(pd.Series(WEIGHTS)), TypeError, "must be a Dask array"),
}


@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_other_weights_are_refused(kind, model):
    weights, error, message = NO_WEIGHTS[kind]
    before = model.__dict__.copy()
    with pytest.raises(error, match=message):
        model.fit(chunked(ROWS), sample_weight=weights)
    assert model.__dict__ == before


@pytest.mark.parametrize("wrap", [chunked, lambda w: xr.DataArray(chunked(w))])
def test_weights_of_one_are_no_weights(wrap, model):
    fitted = fit(chunked(ROWS), sample_weight=wrap(WEIGHTS))
    np.testing.assert_array_equal(fitted.score_samples(ROWS), model.score_samples(ROWS))
    for rows in (ROWS, chunked(ROWS)):
        score = model.score(rows, sample_weight=wrap(WEIGHTS))
        assert score == pytest.approx(model.score(ROWS), rel=1e-14)

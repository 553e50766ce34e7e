"""What callers hand over: every container of rows and weights, and what is wrong with it."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import tensorflow as tf

from rbig_keras import Affine, GaussianizationFlow
from rbig_keras.tables import row_weights

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [0.5, -1.0]])
FRAME = pd.DataFrame(ROWS, columns=["a", "b"])


@pytest.fixture(scope="module")
def flow():
    """N(0, I): log p is known."""
    return GaussianizationFlow([Affine(dtype="float64")], 2, dtype="float64", name="flow")


CONTAINERS = {
    "list": ROWS.tolist(),
    "tuple": tuple(map(tuple, ROWS)),
    "pandas": FRAME,
    "pandas, nullable": FRAME.convert_dtypes(),
    "pandas, Arrow": FRAME.astype("double[pyarrow]"),
    "Polars": pl.DataFrame(ROWS, schema=["a", "b"]),
    "masked, nothing hidden": np.ma.masked_array(ROWS, np.zeros((3, 2), bool)),
    "objects": ROWS.astype(object),
    "tensor": tf.constant(ROWS),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_of_rows(flow, container):
    expected = -0.5 * np.sum(ROWS**2, axis=1) - np.log(2 * np.pi)
    np.testing.assert_allclose(flow.log_prob(CONTAINERS[container]), expected, rtol=1e-12)
    np.testing.assert_allclose(flow.predict(CONTAINERS[container], verbose=0), ROWS, rtol=1e-7)


def with_a_hole(fill):
    rows = ROWS.copy()
    rows[1, 1] = fill
    return rows


MISSING = pd.DataFrame(with_a_hole(np.nan), columns=["a", "b"])
WRONG = {
    "array": (with_a_hole(np.nan), r"1 row\(s\) are not finite, the first in row 1, column 1: nan"),
    "infinity": (with_a_hole(-np.inf), "row 1, column 1: -inf"),
    "list": (with_a_hole(np.nan).tolist(), "row 1, column 1: nan"),
    "pandas": (MISSING, r"row 1, column 1 \(b\): nan"),
    "pandas, nullable": (MISSING.convert_dtypes(), r"row 1, column 1 \(b\): nan"),
    "Polars": (pl.DataFrame({"a": [1, 2], "b": [3.0, None]}), r"row 1, column 1 \(b\): nan"),
    "masked": (np.ma.masked_array(ROWS, ROWS == 5.0), "row 1, column 1: nan"),
    "text": (FRAME.assign(b=["1", "2", "3"]), "numbers, row 0, column 1 holds '1'"),
    "bytes": (np.array([[b"1", 2.0]], dtype=object), "row 0, column 0 holds"),
    "an object of complex": (
        np.array([[1.0, np.complex64(2)]], dtype=object),
        "row 0, column 1 holds '\\(2",
    ),
    "an object of NumPy's time": (
        np.array([[np.datetime64("2020"), 1.0]], dtype=object),
        "row 0, column 0 holds '2020'",
    ),
    "an object too large": (np.array([[1, 10**400]], dtype=object), "row 0, column 1 holds '1000"),
    "masked text": (np.ma.array(ROWS.astype(str)), "real numbers, got <U32"),
    "masked complex": (np.ma.array(ROWS + 1j), "real numbers, got complex128"),
    "masked dates": (np.ma.array(ROWS.astype("M8[s]")), "real numbers, got datetime64"),
    "dates": (FRAME.assign(b=pd.Timestamp(2020, 1, 1)), "row 0, column 1 holds '2020-01-01"),
    "complex": (ROWS.astype(complex), "real numbers, got complex128"),
    "lazy": (pl.DataFrame(ROWS).lazy(), r"not a LazyFrame: collect\(\) it"),
    "dict": ({"a": [1.0], "b": [2.0]}, r"not a dict of columns: stack \['a', 'b'\]"),
    "ragged": ([[1.0, 2.0], [3.0]], "takes rows of numbers"),
    "three axes": (ROWS[None], r"takes rows \(N, 2\); received shape \(1, 3, 2\)"),
    "None": (None, "not None"),
}


@pytest.mark.parametrize("container", WRONG)
def test_rows_that_are_refused(flow, container):
    rows, message = WRONG[container]
    with pytest.raises(ValueError, match=message):
        flow.log_prob(rows)


def test_numbers_that_the_dtype_cannot_hold_are_named():
    narrow = GaussianizationFlow([Affine()], 2)
    with pytest.raises(ValueError, match=r"column 1: 1e\+39, which float32 can't hold"):
        narrow.log_prob([[0.0, 1e39]])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(2), r"one number for each of the 3 rows, got shape \(2,\)"),
        ([1.0, np.nan, 1.0], "finite and at least 0, is nan in row 1"),
        ([1.0, 1.0, -2.0], "finite and at least 0, is -2.0 in row 2"),
        ([np.inf, 1.0, 1.0], "finite and at least 0, is inf in row 0"),
        (np.zeros(3), "0 in every row"),
        (["a", "b", "c"], "real numbers"),
    ],
)
def test_weights_that_are_refused(weights, message):
    with pytest.raises(ValueError, match=f"^flow: sample_weight.*{message}"):
        row_weights("flow", weights, 3)


@pytest.mark.parametrize("unit", [1e-300, 0.1, 1.0, 1e290])
def test_weights_of_any_scale_keep_their_ratios(unit):
    for given in (unit * np.array([1.0, 2.0, 0.0]), pd.Series([unit, 2 * unit, 0.0])):
        weights = row_weights("flow", given, 3)
        assert 0.25 <= weights[0] <= 1.0
        np.testing.assert_array_equal(weights[1:], [2 * weights[0], 0.0])

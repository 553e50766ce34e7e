"""The contract of `Bijection`, over every case in `cases`."""

import numpy as np
import pytest

from cases import CASES, rows_of

DISTANCES = [1.0, 10.0, 100.0, 1000.0]


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def bijection(request):
    return request.param()


@pytest.fixture(params=["forward", "inverse"])
def method(request, bijection):
    return getattr(bijection, request.param)


def assert_same_bits(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        assert a.tobytes(order="C") == b.tobytes(order="C")


def widths_of(rows):
    return np.sqrt((rows**2).mean(axis=0))


def test_shapes_types_and_order(bijection, method):
    rows = rows_of(bijection, 700)
    out, log_det = method(rows)
    assert out.shape == rows.shape
    assert out.dtype == log_det.dtype == np.float64
    assert out.flags.f_contiguous
    assert log_det.shape == (700,)


def test_inputs_stay_as_they_are(bijection, method):
    rows = np.asfortranarray(rows_of(bijection, 100))
    before = rows.copy()
    rows.flags.writeable = False
    out, _ = method(rows)
    assert_same_bits([rows], [before])
    assert not np.shares_memory(out, rows)


@pytest.mark.parametrize("sd", DISTANCES)
def test_round_trip(bijection, sd):
    rows = rows_of(bijection, 500, sd=sd)
    y, log_det = bijection.forward(rows)
    back, log_det_back = bijection.inverse(y)
    assert np.isfinite(y).all()
    assert np.isfinite(log_det).all()
    # In a valley of the density an ulp of y is worth many of x: there y must come back instead.
    again, log_det_again = bijection.forward(back)
    error = np.abs(back - rows) / widths_of(rows)
    assert error.max() < 1e-8
    assert ((error < 1e-10) | (np.abs(again - y) <= 32 * 2.0**-52 * np.maximum(1, np.abs(y)))).all()
    np.testing.assert_allclose(log_det_back, -log_det_again, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("sd", [1.0, 10.0])
def test_round_trip_from_the_latent_side(bijection, sd):
    z = sd * np.random.default_rng(1).standard_normal((500, rows_of(bijection, 1).shape[1]))
    x, log_det = bijection.inverse(z)
    again, log_det_back = bijection.forward(x)
    # An ulp of x is worth slope ulps of z.
    slope = np.exp(np.abs(log_det))[:, None]
    tolerance = 1e-12 * (1 + np.abs(z)) + 8 * 2.0**-52 * np.abs(x) * slope
    assert (np.abs(again - z) < tolerance).all()
    np.testing.assert_allclose(log_det_back, -log_det, atol=1e-6)


@pytest.mark.parametrize("sd", [1.0, 10.0])
def test_log_det_is_that_of_the_numerical_jacobian(bijection, sd):
    z = sd * np.random.default_rng(2).standard_normal((40, rows_of(bijection, 1).shape[1]))
    rows = bijection.inverse(z)[0]  # in valleys of the density y does not resolve such steps
    _, log_det = bijection.forward(rows)
    jacobians = np.empty((len(rows), rows.shape[1], rows.shape[1]))
    # Rows of a radial map differ in length by orders of magnitude.
    lengths = np.linalg.norm(rows, axis=1)
    for j, width in enumerate(widths_of(rows) / sd):
        step = np.zeros_like(rows)
        step[:, j] = 1e-6 * np.minimum(width, lengths)
        above, below = rows + step, rows - step
        difference = bijection.forward(above)[0] - bijection.forward(below)[0]
        jacobians[:, :, j] = difference / (above - below)[:, j, None]
    numerical = np.linalg.slogdet(jacobians)[1]
    np.testing.assert_allclose(log_det, numerical, atol=2e-6)


def test_a_row_alone_has_the_bits_it_has_in_a_batch(bijection, method):
    rows = rows_of(bijection, 1100, sd=3.0)
    whole = method(rows)
    for chosen in (
        [0],
        [511],
        [512],
        [1099],
        [3, 700, 1, 999],
        slice(5, 900),
        slice(None, None, -1),
    ):
        part = method(rows[chosen])
        assert_same_bits(part, [array[chosen] for array in whole])


def test_any_memory_order_gives_the_same_bits(bijection, method):
    rows = np.ascontiguousarray(rows_of(bijection, 300))
    expected = method(rows)
    wide = np.zeros((600, 2 * rows.shape[1]))
    wide[::2, ::2] = rows
    for other in (np.asfortranarray(rows), wide[::2, ::2], rows[::-1].copy()[::-1]):
        assert_same_bits(method(other), expected)


def test_arrays_rebuild_the_bijection(bijection):
    rebuilt = type(bijection)(**bijection.arrays())
    rows = rows_of(bijection, 10)
    assert_same_bits(rebuilt.forward(rows), bijection.forward(rows))

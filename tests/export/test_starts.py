"""Rows that a new flow starts from."""

import keras
import numpy as np
import pandas as pd
import pytest

from rbig_keras import make_gaussianization_flow

ROWS = np.random.default_rng(0).gamma(2.0, size=(640, 2))


def started(rows, **kwargs):
    return make_gaussianization_flow(2, 1, num_components=4, mixture_init_data=rows, **kwargs)


@pytest.mark.parametrize("argument", ["pca_init_data", "mixture_init_data"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:1], "at least two rows are needed, got 1"),
        (ROWS[:, :1], r"must be \(n, d\), with d = input_dim = 2; got shape \(640, 1\)"),
        (np.where(ROWS[7, 1] == ROWS, np.nan, ROWS), "row 7, column 1: nan"),
        (np.where(ROWS[7, 1] == ROWS, 1e39, ROWS), "which float32 can't hold"),
    ],
)
def test_rows_that_are_refused(argument, rows, message):
    with pytest.raises(ValueError, match=f"^{argument}: .*{message}"):
        make_gaussianization_flow(2, 1, **{argument: rows})


def test_a_constant_column():
    flow = started(np.where([True, False], ROWS, 3.0))
    assert np.isfinite(flow.log_prob(ROWS)).all()


def test_a_row_far_out_spoils_nothing():
    far = ROWS.copy()
    far[100] = [1e12, -1e12]
    rest = np.delete(ROWS, 100, axis=0)
    mean = []
    for rows in (ROWS, far):
        keras.utils.set_random_seed(0)  # which draws the rotation
        mean.append(np.mean(started(rows, pca_init_data=rows).log_prob(rest)))
    assert mean[1] > mean[0] - 0.5  # wider components even suit the others
    clipped = started(far, pca_init_data=far, clip=1e-6)
    assert np.isfinite(clipped.log_prob(far)).all()


def test_frames_are_tables():
    """The first rotation is random: means of what comes behind it are not compared."""
    flow = started(pd.DataFrame(ROWS))
    assert np.isfinite(flow.log_prob(ROWS)).all()

"""Tables that a covariance, or a density, is hardly there for: a finite model all the same."""

import numpy as np
import pytest

from rbig_numba import RBIG

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(150, 3))
TABLES = {
    "more columns than rows": RNG.normal(size=(12, 40)),
    "collinear columns": np.c_[NORMAL, NORMAL @ RNG.normal(size=(3, 3))],
    "a column 50 times": np.repeat(RNG.gamma(2.0, size=(60, 1)), 50, axis=1),
    "a line": NORMAL[:, :1] * RNG.normal(size=(1, 20)) + RNG.normal(size=(1, 20)),
    "one column": RNG.standard_t(2, size=(600, 1)),
}
PARAMETERS = {
    "default": {},
    "one block": {"n_blocks": 1},
    "no time": {"max_seconds": 0.01},
}


@pytest.mark.filterwarnings("ignore:columns .* collinear:rbig_numba.DensityWarning")
@pytest.mark.filterwarnings("ignore:.* rows are too few")
@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("table", TABLES)
def test_finite_everywhere(table, parameters):
    rows = TABLES[table]
    model = RBIG(random_state=0, **PARAMETERS[parameters]).fit(rows)
    if parameters == "one block":
        assert len(model.history_) == 1
    rng = np.random.default_rng(1)
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    fresh = centre + spread * rng.normal(size=(50, rows.shape[1]))
    far = centre + 1000.0 * spread * rng.choice([-1.0, 1.0], size=(50, rows.shape[1]))
    drawn = model.sample(50, random_state=0)
    for each in (rows, fresh, far, drawn):
        assert np.isfinite(each).all()
        z = model.transform(each)
        assert np.isfinite(z).all()
        assert np.isfinite(model.score_samples(each)).all()
        back = model.inverse_transform(z)
        assert (np.abs(back - each) <= 1e-5 * np.maximum(spread, np.abs(each - centre))).all()
    assert model.score_samples(far).max() < model.score_samples(rows).min()
    # Samples are as far out as rows, and not all at one place.
    middle = np.median(np.abs(drawn - centre), axis=0)
    assert (middle < 3.0 * spread).all()
    assert (middle > 0.05 * np.median(np.abs(rows - centre), axis=0)).all()

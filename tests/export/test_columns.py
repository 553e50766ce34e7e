"""Models that encode their columns."""

import numpy as np
import pytest

from rbig_keras import export_to_keras
from rbig_numba import RBIG


def test_encoded_columns_are_refused_and_real_ones_are_not(rng):
    X = rng.normal(size=(500, 2))
    real = RBIG(columns="auto", n_blocks=2, random_state=0).fit(X)
    flow = export_to_keras(real, dtype="float64")
    np.testing.assert_allclose(flow.log_prob(X), real.score_samples(X), rtol=1e-9)
    counts = RBIG(columns="auto", n_blocks=2, random_state=0).fit(np.c_[X, rng.poisson(2.0, 500)])
    with pytest.raises(ValueError, match=r"the model encodes its columns \(columns_\)"):
        export_to_keras(counts)

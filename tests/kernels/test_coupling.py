"""The kernels of couplings against mpmath."""

import mpmath
import numpy as np
import pytest

from rbig_numba.kernels import coupling


def test_tanh():
    v = np.concatenate([np.random.default_rng(0).uniform(-20, 20, 2000), np.logspace(-20, 3, 200)])
    errors = [abs(mpmath.tanh(float(x)) - coupling.tanh(float(x))) for x in v]
    assert max(errors) <= 2.0**-52


@pytest.mark.parametrize(("v", "value"), [(0.0, 0.0), (1e300, 1.0), (-1e300, -1.0)])
def test_tanh_at_its_ends(v, value):
    assert coupling.tanh(v) == value

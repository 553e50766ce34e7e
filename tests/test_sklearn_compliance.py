"""scikit-learn's own checks of an estimator, with every excuse in one table."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from rbig_numba import RBIG, RBIGEnsemble

EXCUSES: dict[str, str] = {}


# Some of the tables that scikit-learn makes up repeat values or columns.
@pytest.mark.filterwarnings("ignore::rbig_numba.DensityWarning")
@parametrize_with_checks(
    [
        RBIG(n_blocks=3, n_components=3, random_state=0),
        RBIG(n_blocks=2, n_components=3, validation_fraction=0, rotation="random", random_state=0),
        RBIGEnsemble(RBIG(2, n_components=3, blocks="classic"), n_estimators=2, random_state=0),
    ],
    expected_failed_checks=lambda estimator: EXCUSES,
)
def test_sklearn(estimator, check):
    check(estimator)

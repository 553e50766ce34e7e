"""scikit-learn's own checks of an estimator, with every excuse in one table."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from rbig_numba import RBIG, RBIGEnsemble, RBIGImputer

# Of RBIG(missing="model"), which is fitted to rows with holes.
EXCUSES = {"check_estimators_pickle": "transforms rows with holes: a latent row needs all cells"}


# Some of the tables that scikit-learn makes up repeat values or columns.
@pytest.mark.filterwarnings("ignore::rbig_numba.DensityWarning")
@parametrize_with_checks(
    [
        RBIG(n_blocks=3, n_components=3, random_state=0),
        RBIG(n_blocks=2, n_components=3, validation_fraction=0, rotation="random", random_state=0),
        RBIG(n_blocks=2, n_components=3, missing="model", random_state=0),
        RBIGImputer(RBIG(2, n_components=3, random_state=0), random_state=0),
        RBIGEnsemble(RBIG(2, n_components=3, blocks="classic"), n_estimators=2, random_state=0),
    ],
    expected_failed_checks=lambda estimator: (
        EXCUSES if getattr(estimator, "missing", None) == "model" else {}
    ),
)
def test_sklearn(estimator, check):
    check(estimator)

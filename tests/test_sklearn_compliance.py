"""scikit-learn's own checks of an estimator, with every excuse in one table."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from rbig_numba import RBIG

EXCUSES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "held-out rows are drawn by position, so that a row written twice may be split where a row "
        "of weight 2 is not; with validation_fraction=0 the check passes"
    ),
}


def excuses(estimator):
    return EXCUSES if estimator.validation_fraction else {}


@parametrize_with_checks(
    [
        RBIG(n_blocks=3, n_components=3, random_state=0),
        RBIG(n_blocks=2, n_components=3, validation_fraction=0, rotation="random", random_state=0),
    ],
    expected_failed_checks=excuses,
)
def test_sklearn(estimator, check):
    check(estimator)

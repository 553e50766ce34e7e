"""What a fitted flow answers of rows with missing cells."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from rbig_numba.checks.containers import is_lazy, is_stored, unwrapped
from rbig_numba.checks.parameters import check_number
from rbig_numba.checks.seeds import random_state_of
from rbig_numba.estimators.density import DensityEstimator
from rbig_numba.tables import TableFile

if TYPE_CHECKING:
    from rbig_numba.flow import Flow


class HolesDensity(DensityEstimator):
    """Base of estimators of one flow, `flow_`, that have a parameter `missing`."""

    flow_: Flow
    missing: str | None

    def __sklearn_tags__(self) -> Any:
        """Say whether NaN is taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "model"
        return tags

    def score_samples(self, X: Any, *, n_draws: int = 64, return_std_error: bool = False) -> Any:
        """Return log p(x) (N,) of rows (N, D), in nats per row, float64.

        With `missing="model"` that of a row with holes is the log-density of the cells that are
        there, 0 if there is none: in closed form for the blocks up to the first joint mixture, and
        by importance sampling for those behind it. Draws follow from the row's content: a row has
        the same log-density wherever it stands.

        Parameters
        ----------
        X : array-like of shape (N, D), path, or Dask array or DataFrame
            What `fit` takes; a Dask collection gives a lazy Dask array.
        n_draws : int, default=64
            Draws of the holes of each row.
        return_std_error : bool, default=False
            Whether to return standard errors (N,) too, in nats: those of independent draws, which
            these are better than. Rows without holes have 0.

        Raises
        ------
        ValueError
            For rows with holes, if `missing` is another or the model doesn't begin with maps of
            single columns and a joint mixture.
        """
        check_is_fitted(self)
        check_number("n_draws", n_draws, Integral, 2)
        if self.missing != "model":
            log_prob = super().score_samples(X)
            return (log_prob, 0.0 * log_prob) if return_std_error else log_prob
        from rbig_numba.missing.draws import log_prob_of_rows

        def score(rows: np.ndarray, n_jobs: int | None) -> np.ndarray:
            log_prob, std_error = log_prob_of_rows(self.flow_, rows, n_draws, n_jobs)
            return np.stack([log_prob, std_error], axis=1) if return_std_error else log_prob

        scores = self._apply(score, X, scalar=not return_std_error, holes=not _is_remote(X))
        return (scores[:, 0], scores[:, 1]) if return_std_error else scores

    def impute(self, X: Any, n_draws: int = 1, random_state: Any = None) -> Any:
        """Fill holes by draws given the cells that are there, or by their means.

        Draws are the model's own, by sampling importance resampling from its first joint mixture:
        exact for the blocks up to there, and approximate for those behind it.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows with holes, in memory.
        n_draws : int, default=1
            Draws of each hole; 0 gives the mean.
        random_state : int, RandomState, Generator or None, default=None
            Draws them.

        Returns
        -------
        ndarray or DataFrame of shape (N, D), or ndarray of shape (n_draws, N, D)
            Whole rows, the latter if `n_draws` is 2 or more. A frame of pandas or Polars gives one
            of the same names, whose columns without holes are as they were.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            If the model isn't fitted, for impossible tables, and for a model that doesn't begin
            with maps of single columns and a joint mixture.
        """
        check_is_fitted(self)
        check_number("n_draws", n_draws, Integral, 0)
        from rbig_numba.estimators.inputs import check_rows, framed
        from rbig_numba.missing.draws import imputed

        rows = check_rows(self, unwrapped(X), fitting=False, holes=True)
        filled = imputed(self.flow_, rows, n_draws, random_state_of(random_state), self.n_jobs)
        return filled if n_draws > 1 else framed(filled, X)


def _is_remote(X: Any) -> bool:
    """Whether a table is a file or a Dask collection, whose rows must be whole."""
    return is_stored(X) or isinstance(X, TableFile) or is_lazy(unwrapped(X))

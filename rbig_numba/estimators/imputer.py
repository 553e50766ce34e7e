"""Missing cells filled in pipelines of scikit-learn."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from rbig_numba.estimators.rbig import RBIG


class RBIGImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fill missing cells given those that are there, by draws from a fitted density or its means.

    Draws keep the spread of columns and their relations, as what is estimated from a table should
    see them; means are nearest to the cells.

    Parameters
    ----------
    estimator : RBIG, default=None
        What is fitted, with `missing="model"`; `RBIG(missing="model")` if None.
    method : {"draw", "mean"}, default="draw"
        What fills a cell.
    random_state : int, RandomState, Generator or None, default=None
        Draws the fit, if `estimator` is None, and the cells: a transformer gives the same cells
        each time if it is an integer.

    Attributes
    ----------
    estimator_ : RBIG
        The fitted density.
    n_features_in_ : int
        Columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if `fit` got names.

    Examples
    --------
    >>> import numpy as np
    >>> from rbig_numba import RBIG, RBIGImputer
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> X[:, 1] += X[:, 0]
    >>> X[::7, 1] = np.nan
    >>> imputer = RBIGImputer(RBIG(4, missing="model", random_state=0), random_state=0)
    >>> int(np.isnan(imputer.fit_transform(X)).sum())
    0
    """

    def __init__(
        self, estimator: RBIG | None = None, *, method: str = "draw", random_state: Any = None
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> RBIGImputer:
        """Fit the density to the cells that are there, as `RBIG.fit` does.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows with missing cells, in memory.
        y : None
            Ignored.
        sample_weight : array-like of shape (N,), default=None
            As for `RBIG.fit`.

        Returns
        -------
        RBIGImputer
            The transformer itself.

        Raises
        ------
        ValueError, TypeError
            For impossible parameters or tables, before any work.
        """
        if self.method not in ("draw", "mean"):
            raise ValueError(f"method={self.method!r} must be 'draw' or 'mean'")
        if not isinstance(self.estimator, (RBIG, type(None))):
            raise TypeError(f"estimator={self.estimator!r} must be an RBIG or None")
        model = RBIG(random_state=self.random_state) if self.estimator is None else self.estimator
        model = clone(model).set_params(missing="model").fit(X, sample_weight=sample_weight)
        self.__dict__.pop("feature_names_in_", None)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))
        self.estimator_ = model
        return self

    def transform(self, X: Any) -> Any:
        """Return rows (N, D) without missing cells: an array, or a frame if X is one."""
        check_is_fitted(self)
        n_draws = 1 if self.method == "draw" else 0
        return self.estimator_.impute(X, n_draws, self.random_state)

    def __sklearn_tags__(self) -> Any:
        """Say that NaN is taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

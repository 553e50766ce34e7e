"""What every fitted density answers: log-densities of rows, and rows drawn from it."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from rbig_numba.checks.parameters import check_number
from rbig_numba.checks.seeds import random_state_of
from rbig_numba.checks.validation import check_weights


class DensityEstimator(DensityMixin, BaseEstimator):
    """Base of the estimators: a subclass fits and says what its `_density` is.

    That is a `Flow` or a `FlowAverage`. Subclasses have a parameter `n_jobs`.
    """

    @property
    def _density(self) -> Any:
        raise NotImplementedError

    def score_samples(self, X: Any) -> Any:
        """Return log p(x) (N,) of rows (N, D), in nats per row, float64.

        With `columns` it is a probability as to atoms, values that repeat, and a density as to all
        else, in the table's units; -inf for a row with a value that its column can't hold.
        X may be what `fit` takes; of files the columns of the fit are taken, by name. A Dask
        collection gives a lazy Dask array.
        """
        check_is_fitted(self)
        return self._apply(self._density.log_prob, X, scalar=True)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the (weighted) mean log-density of rows (N, D), in nats per row."""
        log_prob = np.asarray(self.score_samples(X))
        weights = check_weights(sample_weight, len(log_prob))
        if weights is not None:
            weights = weights / weights.max()  # sums of 1e308 overflow
        return float(np.average(log_prob, weights=weights))

    def sample(
        self, n_samples: int = 1, random_state: Any = None, *, chunks: int | None = None
    ) -> Any:
        """Draw rows (n_samples, D) from the fitted density.

        Parameters
        ----------
        n_samples : int, default=1
            Rows to draw.
        random_state : int, RandomState, Generator or None, default=None
            Draws the latent rows.
        chunks : int, default=None
            Rows of a partition of a lazy Dask array; without it the rows are drawn at once, as a
            NumPy array. The two draw different rows.

        Returns
        -------
        ndarray, or DataFrame if one was fitted with `columns`
            Its names, order and types; columns that are left out are missing.

        Raises
        ------
        ValueError, TypeError
            If `n_samples` or `chunks` is no integer of at least 1.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, Integral, 1)
        random_state = random_state_of(random_state)
        if chunks is not None:
            check_number("chunks", chunks, Integral, 1)
            from rbig_numba.chunks.cluster import sample_partitions

            if self.columns_ is not None:
                raise ValueError("chunks: a model with columns_ draws no Dask arrays; leave it out")
            shape = (n_samples, self.n_features_in_)
            return sample_partitions(self._density.sample, shape, chunks, random_state)
        return self._drawn(self._density.sample(n_samples, random_state, self.n_jobs))

    def _drawn(self, rows: np.ndarray) -> Any:
        if self.columns_ is None:
            return rows
        from rbig_numba.estimators.encoded import drawn

        return drawn(self.columns_, rows)

    def _apply(
        self, function: Callable[..., np.ndarray], X: Any, *, scalar: bool, holes: bool = False
    ) -> Any:
        from rbig_numba.estimators import inputs

        return inputs.apply(self, X, function, scalar=scalar, holes=holes)

"""What a table may be: an array or DataFrame, a mapped array, a path, or a Dask collection."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from rbig_numba import validation
from rbig_numba.chunks.block import Split
from rbig_numba.chunks.local import load_local
from rbig_numba.chunks.sources import ArraySource, FileSource, MappedSource
from rbig_numba.splitting import Rows
from rbig_numba.tables import BLOCK_ROWS, TableFile, as_arrow, open_table
from rbig_numba.weighting import as_counts


def is_path(X: Any) -> bool:
    """Whether X names a file."""
    return isinstance(X, (str, os.PathLike))


def is_lazy(X: Any) -> bool:
    """Whether X is a Dask collection."""
    return hasattr(X, "__dask_graph__")


def loader(estimator: Any, X: Any, sample_weight: Any) -> Callable[[Split], Rows]:
    """Check a table at the door, and return what loads its rows for a fit.

    Raises
    ------
    ValueError, TypeError
        For tables that can't be fitted; what only a walk over the rows can tell, the loader raises.
    """
    if is_lazy(X):
        return _lazy_loader(estimator, X, sample_weight)
    if is_path(X):
        source: ArraySource | FileSource | MappedSource = FileSource(
            _open(estimator, X, fitting=True)
        )
    elif isinstance(X, np.memmap):
        _check_mapped(estimator, X)
        source = MappedSource(X)
    else:
        source = ArraySource(validation.check_rows(estimator, X, fitting=True))
    n_rows = None if isinstance(source, FileSource) else len(source.rows)
    weights = validation.check_weights(sample_weight, n_rows)
    weights = None if weights is None else as_counts(weights)
    return lambda split: load_local(source, weights, split, estimator.n_jobs)


def apply(estimator: Any, X: Any, function: Callable[..., np.ndarray], *, scalar: bool) -> Any:
    """Return function(rows, n_jobs) of a table.

    Of a path block by block; of a Dask collection lazily, and on one thread per partition.
    """
    if is_lazy(X):
        from rbig_numba.chunks.cluster import map_partitions

        validate_data(estimator, _head(X), reset=False, skip_check_array=True)
        return map_partitions(_Checked(function), X, scalar=scalar)
    if is_path(X):
        table = _open(estimator, X, fitting=False)
        label, start, parts = str(table.path), 0, []
        for rows in table.blocks(BLOCK_ROWS):
            validation.check_finite(rows, table.names, label, start)
            parts.append(function(rows, estimator.n_jobs))
            start += len(rows)
        return np.concatenate(parts)
    return function(validation.check_rows(estimator, X), estimator.n_jobs)


class _Checked:
    """A function of rows that checks them first; it pickles."""

    def __init__(self, function: Callable[..., np.ndarray]) -> None:
        self.function = function

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows, dtype=None if rows.dtype == np.float32 else np.float64)
        validation.check_finite(rows, None, "A partition of X")
        return self.function(rows, 1)


def _open(estimator: Any, path: Any, *, fitting: bool) -> TableFile:
    table = open_table(path)
    head = np.empty((0, table.n_features))
    named = head if table.names is None else as_arrow(head, table.names)
    validate_data(estimator, named, reset=fitting, skip_check_array=True)
    return table


def _check_mapped(estimator: Any, X: np.memmap) -> None:
    if X.ndim != 2 or 0 in X.shape or X.dtype.kind not in "iuf":
        raise ValueError(
            f"Input X ({X.filename}) must be rows and columns of real numbers, "
            f"but has shape {X.shape} and dtype {X.dtype}"
        )
    validate_data(estimator, X, reset=True, skip_check_array=True)


def _lazy_loader(estimator: Any, X: Any, sample_weight: Any) -> Callable[[Split], Rows]:
    from rbig_numba.chunks.cluster import load_cluster

    if sample_weight is not None and not is_lazy(sample_weight):
        raise TypeError("sample_weight of a Dask collection must be a Dask array")
    head = _head(X)
    if len(head.shape) != 2 or head.shape[1] == 0:
        raise ValueError(f"X must be rows and columns, but has shape {head.shape}")
    validation.check_columns_are_numbers(getattr(X, "_meta_nonempty", head))
    validate_data(estimator, head, reset=True, skip_check_array=True)
    names = getattr(estimator, "feature_names_in_", None)
    return lambda split: load_cluster(X, sample_weight, split, names)


def _head(X: Any) -> Any:
    """Return a table without rows, of the columns of a Dask collection."""
    return X._meta if hasattr(X, "columns") else np.empty((0, *X.shape[1:]), X.dtype)

"""What a table may be: an array or DataFrame, a mapped array, a path, or a Dask collection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from rbig_numba.checks.columns import as_floats, check_frame, check_kind, check_shape, is_frame
from rbig_numba.checks.containers import is_lazy, is_stored, unwrapped
from rbig_numba.checks.holes import as_nan, check_columns_there, check_not_infinite, whole_rows
from rbig_numba.checks.validation import check_finite, check_weights
from rbig_numba.checks.weighting import as_counts
from rbig_numba.chunks.block import Split
from rbig_numba.chunks.local import load_local
from rbig_numba.chunks.sources import ArraySource, FileSource, MappedSource
from rbig_numba.fitting.splitting import Rows
from rbig_numba.tables import BLOCK_ROWS, TableFile, arrow_rows, as_arrow, check_columns, find_table


def loader(estimator: Any, X: Any, sample_weight: Any) -> Callable[[Split], Rows]:
    """Check a table at the door, and return what loads its rows for a fit.

    Raises
    ------
    ValueError, TypeError
        For tables that can't be fitted; what only a walk over the rows can tell, the loader raises.
    """
    X = find_table(X) if is_stored(X) else unwrapped(X)
    if getattr(estimator, "missing", None) in ("drop", "model"):
        return _holes_loader(estimator, X, sample_weight)
    if is_lazy(X):
        return _lazy_loader(estimator, X, unwrapped(sample_weight))
    if isinstance(X, TableFile):
        source: ArraySource | FileSource | MappedSource = FileSource(
            choose(estimator, X, fitting=True)
        )
    elif isinstance(X, np.memmap) and X.filename:  # copies of one are mere arrays
        check_kind(X.dtype)
        check_shape(X.shape)
        validate_data(estimator, X, reset=True, skip_check_array=True)
        source = MappedSource(X)
    else:
        source = ArraySource(check_rows(estimator, X, fitting=True))
    n_rows = None if isinstance(source, FileSource) else len(source.rows)
    weights = check_weights(sample_weight, n_rows)
    weights = None if weights is None else as_counts(weights)
    return lambda split: load_local(source, weights, split, estimator.n_jobs)


def _holes_loader(estimator: Any, X: Any, sample_weight: Any) -> Callable[[Split], Rows]:
    """Check a table that may have holes; keep how often each column is missing.

    A row without cells says nothing, and is left out as if its weight were 0.
    """
    rows = check_rows(estimator, X, fitting=True, holes=True)
    names = getattr(estimator, "feature_names_in_", None)
    weights = check_weights(sample_weight, len(rows))
    estimator.missing_ = np.isnan(rows).mean(axis=0)
    if estimator.missing == "drop":
        whole = whole_rows(rows)
        rows, weights = rows[whole], None if weights is None else weights[whole]
    check_columns_there(rows, names)
    weights = None if weights is None else as_counts(weights)
    empty = np.isnan(rows).all(axis=1)
    if empty.any():
        weights = np.where(empty, 0.0, 1.0 if weights is None else weights)
    source = ArraySource(rows)
    return lambda split: load_local(source, weights, split, estimator.n_jobs)


def apply(
    estimator: Any,
    X: Any,
    function: Callable[..., np.ndarray],
    *,
    scalar: bool,
    holes: bool = False,
) -> Any:
    """Return function(rows, n_jobs) of a table; with holes that of an array may have some.

    Of files block by block; of a Dask collection lazily, and on one thread per partition.
    """
    if estimator.columns_ is not None:
        from rbig_numba.estimators import encoded

        return encoded.apply(estimator.columns_, X, function, estimator.n_jobs, scalar=scalar)
    X = find_table(X) if is_stored(X) else unwrapped(X)
    if is_lazy(X):
        from rbig_numba.chunks.cluster import map_partitions

        return map_partitions(
            _Checked(function), _lazy_numbers(estimator, X, fitting=False), scalar=scalar
        )
    if isinstance(X, TableFile):
        table, start, parts = choose(estimator, X, fitting=False), 0, []
        for rows in table.blocks(BLOCK_ROWS):
            check_finite(rows, table.names, table.label, start, table.place)
            parts.append(function(rows, estimator.n_jobs))
            start += len(rows)
        return np.concatenate(parts)
    return function(check_rows(estimator, X, fitting=False, holes=holes), estimator.n_jobs)


def check_rows(estimator: Any, X: Any, *, fitting: bool, holes: bool = False) -> np.ndarray:
    """Return a table in memory as float32 or float64 rows (N, D); keep or compare its columns.

    With holes, what stands for a missing cell becomes NaN, and is let in.

    Raises
    ------
    ValueError, TypeError
        For text, dates, complex, empty or ragged tables, other columns than those fitted, and NaN,
        masked cells or infinity (with the columns and the number of rows).
    """
    if holes and (is_lazy(X) or isinstance(X, TableFile)):
        raise ValueError(
            f"missing={estimator.missing!r} is not available for files and Dask collections yet: "
            "read the table into memory"
        )
    X = as_nan(X) if holes else X
    if isinstance(X, pa.Table):
        check_columns("Input X", X.schema, X.num_rows)
        rows = arrow_rows(X)
    else:
        rows = as_floats(X)
    check_shape(rows.shape)
    named = X if is_frame(X) or isinstance(X, pa.Table) else rows
    validate_data(estimator, named, reset=fitting, skip_check_array=True)
    least = 2 if fitting else 1
    check_array(rows, ensure_all_finite=False, ensure_min_samples=least, estimator=estimator)
    names = getattr(estimator, "feature_names_in_", None)
    if holes:
        return check_not_infinite(rows, names)
    check_finite(rows, names)
    return rows


def framed(rows: np.ndarray, X: Any) -> Any:
    """Return rows (N, D) like the table X that they are filled from: a frame, if it is one."""
    if is_frame(X):
        filled = X.copy()
        for j in np.flatnonzero(X.isna().to_numpy().any(axis=0)):
            filled.isetitem(j, rows[:, j])
        return filled
    if hasattr(type(X), "with_columns") and hasattr(type(X), "null_count"):  # Polars
        new = type(X)(dict(zip(X.columns, rows.T, strict=True)))
        holes = [name for name in X.columns if _polars_holes(X[name])]
        return X.with_columns(new[name] for name in holes)
    return rows


def _polars_holes(column: Any) -> bool:
    return bool(column.null_count()) or (column.dtype.is_float() and bool(column.is_nan().any()))


def check_same_columns(estimator: Any, fitted: Any) -> None:
    """Raise ValueError if two estimators weren't given the same columns; says which."""
    expected, given = fitted.n_features_in_, estimator.n_features_in_
    if given != expected:
        raise ValueError(f"X has {given} columns, but the model was fitted with {expected}")
    names, others = (getattr(e, "feature_names_in_", None) for e in (fitted, estimator))
    if names is not None and others is not None and list(names) != list(others):
        raise ValueError(f"the columns of X are {list(others)}, those of the fit {list(names)}")


class _Checked:
    """A function of rows that checks them first; it pickles."""

    def __init__(self, function: Callable[..., np.ndarray]) -> None:
        self.function = function

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        label = "A partition of X"
        rows = as_floats(rows, label)
        check_finite(rows, None, label)
        return self.function(rows, 1)


def choose(
    estimator: Any, table: TableFile, *, fitting: bool, drop: Sequence[str] = ()
) -> TableFile:
    """Return a table in files with the columns to read; keep or compare them.

    A fitted model takes its own, by name where both have names.

    Raises
    ------
    ValueError
        If columns are missing or hold no numbers.
    """
    names = None if fitting else getattr(estimator, "feature_names_in_", None)
    table = table.select(None if names is None or table.names is None else list(names), drop)
    head = np.empty((0, table.n_features))
    named = head if table.names is None else as_arrow(head, table.names)
    validate_data(estimator, named, reset=fitting, skip_check_array=True)
    return table


def _lazy_loader(estimator: Any, X: Any, sample_weight: Any) -> Callable[[Split], Rows]:
    from rbig_numba.chunks.cluster import counted, load_cluster

    if sample_weight is not None:
        if not is_lazy(sample_weight) or not hasattr(sample_weight, "chunks"):
            raise TypeError("sample_weight of a Dask collection must be a Dask array")
        check_kind(sample_weight.dtype, "sample_weight")
        if sample_weight.ndim != 1:
            raise ValueError(f"sample_weight has {sample_weight.ndim} axes, but must have one")
    X = _lazy_numbers(estimator, X, fitting=True)
    names = getattr(estimator, "feature_names_in_", None)
    if sample_weight is not None:
        sample_weight = counted(sample_weight)
    return lambda split: load_cluster(X, sample_weight, split, names)


def _lazy_numbers(estimator: Any, X: Any, *, fitting: bool) -> Any:
    """Check what a Dask collection tells without work; return it, frames as plain floats."""
    head: Any = getattr(X, "_meta", None)
    if is_frame(head):
        check_frame(X._meta_nonempty)
        if not all(dtype == np.float32 for dtype in X.dtypes):
            X = X.astype(np.float64)  # a missing value of a nullable column becomes NaN
    elif hasattr(type(X), "chunks"):
        if hasattr(head, "todense"):
            raise TypeError("X holds sparse matrices: pass X.map_blocks(lambda x: x.toarray())")
        check_kind(X.dtype)
        check_shape(X.shape)
        if np.isnan(X.shape[1]):
            raise ValueError("X doesn't tell how many columns it has: X.compute_chunk_sizes() does")
        head = np.empty((0, X.shape[1]), X.dtype)
    else:
        raise TypeError(f"X is a Dask {type(X).__name__}: pass a Dask array or DataFrame")
    if not head.shape[1]:
        raise ValueError("X has no columns")
    validate_data(estimator, head, reset=fitting, skip_check_array=True)
    return X

"""What tables come in: containers that only hold one give it out."""

from __future__ import annotations

import os
from typing import Any

from rbig_numba.files import as_path


def is_lazy(X: Any) -> bool:
    """Whether X is a Dask collection."""
    return hasattr(X, "__dask_graph__")


def unwrapped(X: Any) -> Any:
    """Return a table as a Path, an Arrow table, a pandas frame, a Dask collection or an array-like.

    Lazy frames of Polars are collected, an xarray.DataArray gives out its array, and all frames
    that Arrow can take over (Polars, DuckDB) become Arrow tables.

    Raises
    ------
    TypeError
        For xarray.Dataset, whose variables may differ in shape.
    """
    if isinstance(X, (str, bytes, os.PathLike)):
        return as_path(X)
    if type(X).__module__.startswith("dask"):
        return X
    if hasattr(X, "collect_schema") and hasattr(X, "collect"):
        X = X.collect()
    if hasattr(X, "data_vars"):
        raise TypeError("X is a Dataset of xarray: pass X.to_dataframe(), or one DataArray of it")
    if hasattr(X, "dims") and hasattr(X, "coords"):
        return X.data
    if hasattr(X, "__arrow_c_stream__") and hasattr(X, "columns") and not hasattr(X, "iloc"):
        import pyarrow as pa  # is there, or nothing has that method; and `import rbig_numba` light

        return pa.table(X)
    return X

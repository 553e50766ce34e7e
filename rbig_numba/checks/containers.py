"""What tables come in: containers that only hold one give it out."""

from __future__ import annotations

from typing import Any

from rbig_numba.files import PATHS, as_path


def is_lazy(X: Any) -> bool:
    """Whether X is a Dask collection."""
    return hasattr(X, "__dask_graph__")


def is_stored(X: Any) -> bool:
    """Whether X names files: a path or a list of paths."""
    paths = X if isinstance(X, (list, tuple)) and X else [X]
    return all(isinstance(path, PATHS) for path in paths)


def frame_of(X: Any) -> str | None:
    """Return what kind of frame a table is: "pandas", "polars" or "arrow"; None for all others."""
    root = type(X).__module__.partition(".")[0]
    if _has(X, "columns") and root in ("pandas", "polars"):
        return root
    return "polars" if root == "polars" else "arrow" if root == "pyarrow" else None


def unwrapped(X: Any) -> Any:
    """Return a table as a Path, an Arrow table, a pandas frame, a Dask collection or an array-like.

    Lazy frames of Polars are collected, an xarray.DataArray gives out its array, and all frames
    that Arrow can take over (Polars) become Arrow tables.

    Raises
    ------
    TypeError
        For xarray.Dataset, whose variables may differ in shape.
    """
    if isinstance(X, PATHS):
        return as_path(X)
    if _has(X, "collect_schema", "collect"):
        X = X.collect()
    if _has(X, "data_vars"):
        raise TypeError("X is a Dataset of xarray: pass X.to_dataframe(), or one DataArray of it")
    if _has(X, "dims", "coords"):
        return X.data
    if _has(X, "__arrow_c_stream__", "columns") and not _has(X, "iloc"):
        import pyarrow as pa  # at the latest now: `import rbig_numba` stays light

        return pa.table(X)
    return X


def _has(X: Any, *names: str) -> bool:
    """Whether X's type has attributes: a frame has those, too, that its columns are called."""
    return all(hasattr(type(X), name) for name in names)

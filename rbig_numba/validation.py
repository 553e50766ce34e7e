"""Checks at the door: what comes in is right, or the error says what is wrong and where."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

ROTATIONS = ("auto", "ica", "sliced", "pca", "random")
BLOCKS = ("mixture", "joint", "radial", "coupling")
SHOWN = 5


def check_parameters(estimator: Any) -> None:
    """Raise TypeError or ValueError, naming parameter and value, unless all are possible."""
    _check_number(estimator, "n_blocks", Integral, 1)
    _check_number(estimator, "n_components", Integral, 1)
    _check_number(estimator, "n_iter_no_change", Integral, 1)
    _check_number(estimator, "tol", Real, 0.0)
    _check_number(estimator, "validation_fraction", Real, 0.0)
    if estimator.validation_fraction >= 1.0:
        raise ValueError(
            f"validation_fraction={estimator.validation_fraction!r} must be below 1: "
            "the rest is fitted"
        )
    if estimator.rotation not in ROTATIONS:
        raise ValueError(f"rotation={estimator.rotation!r} must be one of {', '.join(ROTATIONS)}")
    _check_blocks(estimator.blocks)
    if estimator.max_seconds is not None:
        _check_number(estimator, "max_seconds", Real, 0.0)
    if not isinstance(estimator.refit, (bool, np.bool_)):
        raise TypeError(f"refit={estimator.refit!r} must be True or False")
    check_n_jobs(estimator.n_jobs)


def _check_blocks(blocks: Any) -> None:
    """Raise unless blocks is "auto", "classic" or a sequence of kinds."""
    kinds = ", ".join(map(repr, BLOCKS))
    if isinstance(blocks, str):
        if blocks not in ("auto", "classic"):
            raise ValueError(f"blocks={blocks!r} must be 'auto', 'classic' or a list of {kinds}")
        return
    if not isinstance(blocks, (list, tuple)) or not blocks:
        raise TypeError(f"blocks={blocks!r} must be 'auto', 'classic' or a list of {kinds}")
    for number, kind in enumerate(blocks):
        if kind not in BLOCKS:
            raise ValueError(f"blocks[{number}]={kind!r} must be one of {kinds}")


def check_n_jobs(n_jobs: Any) -> None:
    """Raise unless n_jobs is None or an integer other than 0."""
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or isinstance(n_jobs, bool)):
        raise TypeError(f"n_jobs={n_jobs!r} must be an integer or None")
    if n_jobs == 0:
        raise ValueError("n_jobs=0 is no number of threads: use -1 for one per core")


def _check_number(estimator: Any, name: str, kind: Any, low: float) -> None:
    value = getattr(estimator, name)
    noun = "an integer" if kind is Integral else "a number"
    if not isinstance(value, kind) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}={value!r} must be {noun}")
    if not value >= low or value == float("inf"):
        raise ValueError(f"{name}={value!r} must be {noun} of at least {low} and finite")


def check_rows(estimator: Any, X: Any, *, fitting: bool = False) -> np.ndarray:
    """Return X as float32 or float64 rows (N, D); remember or compare the columns.

    Raises
    ------
    ValueError
        For text, complex, empty or ragged tables, other columns than those fitted, and NaN or
        infinity (with the columns and the number of rows).
    """
    check_columns_are_numbers(X)
    rows = validate_data(
        estimator,
        X,
        reset=fitting,
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
        ensure_min_samples=2 if fitting else 1,
    )
    names = getattr(estimator, "feature_names_in_", None)
    check_finite(rows, names)
    return rows


def check_same_columns(estimator: Any, fitted: Any) -> None:
    """Raise ValueError if two estimators weren't given the same columns; says which."""
    expected, given = fitted.n_features_in_, estimator.n_features_in_
    if given != expected:
        raise ValueError(f"X has {given} columns, but the model was fitted with {expected}")
    names, others = (getattr(e, "feature_names_in_", None) for e in (fitted, estimator))
    if names is not None and others is not None and list(names) != list(others):
        raise ValueError(f"the columns of X are {list(others)}, those of the fit {list(names)}")


def check_latent(z: Any, n_features: int) -> np.ndarray:
    """Return latent rows (N, D) as floats, finite and of the width of the fit."""
    z = check_array(z, dtype=[np.float64, np.float32])
    if z.shape[1] != n_features:
        raise ValueError(f"Z has {z.shape[1]} columns, but the model was fitted with {n_features}")
    return z


def check_weights(sample_weight: Any, n_rows: int | None) -> np.ndarray | None:
    """Return weights (N,) in float64, or None for None.

    Raises
    ------
    ValueError
        If they are negative, not finite or nowhere positive, or not as many as `n_rows`, which is
        None where only reading tells.
    """
    if sample_weight is None:
        return None
    weights = check_array(
        sample_weight, dtype=np.float64, ensure_2d=False, input_name="sample_weight"
    )
    if weights.ndim != 1 or n_rows not in (None, len(weights)):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n_rows,)}!")
    if weights.min() < 0:
        where = int(weights.argmin())
        raise ValueError(
            f"sample_weight has {(weights < 0).sum()} negative values, the lowest in row {where}"
        )
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def check_columns_are_numbers(X: Any) -> None:
    """Name the columns of a DataFrame (pandas, Polars) that hold something else than numbers."""
    dtypes = getattr(X, "dtypes", None)
    columns = getattr(X, "columns", None)
    if dtypes is None or columns is None or not hasattr(X, "shape"):
        return
    text = [
        str(name)
        for name, dtype in zip(columns, dtypes, strict=True)
        if str(dtype).lower() in {"object", "str", "string", "category", "categorical", "utf8"}
        and not _is_numeric(X[name])
    ]
    if text:
        raise ValueError(f"columns that are not numbers: {listed(text)}; drop or encode them")


def _is_numeric(column: Any) -> bool:
    try:
        np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def check_finite(
    rows: np.ndarray, names: Sequence[str] | None, label: str = "Input X", start: int = 0
) -> None:
    """Raise ValueError for NaN or infinity in rows (n, D), of which the first has number `start`.

    The message names what holds them, how many rows, the first of them and the columns.
    """
    with np.errstate(over="ignore"):
        if np.isfinite(rows.sum(dtype=np.float64)):  # one pass without a mask, when all is well
            return
    bad = ~np.isfinite(rows)
    if not bad.any():
        return
    what = "NaN" if np.isnan(rows).any() else "infinity (inf)"
    if what == "NaN" and np.isinf(rows).any():
        what = "NaN and infinity (inf)"
    columns = column_names(np.flatnonzero(bad.any(axis=0)), names)
    first = int(np.flatnonzero(bad.any(axis=1))[0])
    among = f" of rows {start} to {start + len(rows) - 1}" if start or label != "Input X" else ""
    raise ValueError(
        f"{label} contains {what} in {int(bad.any(axis=1).sum())}{among or ' rows'} "
        f"(the first is row {start + first}), columns {listed(columns)}; drop or impute them"
    )


def check_varies(lowest: np.ndarray, highest: np.ndarray, names: Sequence[str] | None) -> None:
    """Raise ValueError, naming the columns, where lowest and highest value (D,) are the same."""
    constant = np.flatnonzero(lowest == highest)
    if len(constant):
        raise ValueError(
            f"constant columns have no density: {listed(column_names(constant, names))}; drop them"
        )


def column_names(indices: np.ndarray, names: Sequence[str] | None) -> list[str]:
    """Return what messages call columns: their names, or their numbers."""
    return [str(i) if names is None else repr(str(names[i])) for i in indices]


def listed(names: list[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more

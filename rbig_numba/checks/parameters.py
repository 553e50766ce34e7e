"""Parameters of estimators: possible, or the error names parameter and value."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

ROTATIONS = ("auto", "ica", "sliced", "pca", "random")
MISSING = ("error", "drop", "model")
BLOCKS = ("mixture", "joint", "radial", "coupling", "whitening")


def check_parameters(estimator: Any) -> None:
    """Raise TypeError or ValueError, naming parameter and value, unless all are possible."""
    for name in ("n_blocks", "n_components", "n_iter_no_change"):
        check_number(name, getattr(estimator, name), Integral, 1)
    for name in ("tol", "validation_fraction"):
        check_number(name, getattr(estimator, name), Real, 0.0)
    if estimator.validation_fraction >= 1.0:
        raise ValueError(
            f"validation_fraction={estimator.validation_fraction!r} must be below 1: "
            "the rest is fitted"
        )
    rotation = estimator.rotation
    if not isinstance(rotation, str) or rotation not in ROTATIONS:
        raise ValueError(f"rotation={rotation!r} must be one of {', '.join(ROTATIONS)}")
    _check_blocks(estimator.blocks)
    if estimator.max_seconds is not None:
        check_number("max_seconds", estimator.max_seconds, Real, 0.0)
    if not isinstance(estimator.refit, (bool, np.bool_)):
        raise TypeError(f"refit={estimator.refit!r} must be True or False")
    missing = estimator.missing
    if missing is not None and (not isinstance(missing, str) or missing not in MISSING):
        raise ValueError(f"missing={missing!r} must be None or one of {', '.join(MISSING)}")
    if missing == "model" and estimator.refit:
        raise ValueError('refit=True is not available with missing="model"')
    if missing == "model" and estimator.blocks == "classic":
        raise ValueError('blocks="classic" can\'t fit missing cells: give "auto" or a list')
    check_n_jobs(estimator.n_jobs)


def check_number(name: str, value: Any, kind: Any, low: float) -> None:
    """Raise unless a value is finite, of a kind (Integral or Real) and at least `low`."""
    noun, finite = ("an integer", "") if kind is Integral else ("a number", " and finite")
    if not isinstance(value, kind) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}={value!r} must be {noun}")
    if not value >= low or value == float("inf"):
        raise ValueError(f"{name}={value!r} must be {noun} of at least {low}{finite}")


def check_n_jobs(n_jobs: Any) -> None:
    """Raise unless n_jobs is None or an integer other than 0."""
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or isinstance(n_jobs, bool)):
        raise TypeError(f"n_jobs={n_jobs!r} must be an integer or None")
    if n_jobs == 0:
        raise ValueError("n_jobs=0 is no number of threads: use -1 for one per core")


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
        if not isinstance(kind, str) or kind not in BLOCKS:
            raise ValueError(f"blocks[{number}]={kind!r} must be one of {kinds}")

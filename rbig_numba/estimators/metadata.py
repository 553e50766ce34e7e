"""What a file holds of a fitted model beside its flow, as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

if TYPE_CHECKING:
    from rbig_numba.estimators.rbig import RBIG
    from rbig_numba.flow import Flow


def described(model: RBIG) -> dict[str, Any]:
    """Return what a file holds of a fitted model beside its flow, as JSON values."""
    names = getattr(model, "feature_names_in_", None)
    return {
        "parameters": plain_parameters(model),
        "history": model.history_,
        "n_features_in": model.n_features_in_,
        "n_samples_fit": model.n_samples_fit_,
        "feature_names_in": None if names is None else list(names),
        "columns": None if model.columns_ is None else model.columns_.plain(),
    } | ({"missing": model.missing_.tolist()} if hasattr(model, "missing_") else {})


def restored(cls: type[RBIG], flow: Flow, metadata: dict[str, Any]) -> RBIG:
    """Return the fitted model of a flow and of what `described` told."""
    columns = metadata.get("columns")
    model = cls(**metadata["parameters"])
    if columns is not None:
        from rbig_numba.columns.schema import Columns

        columns = Columns.from_plain(columns)
        model.set_params(columns=model.columns or columns)
    model.columns_ = columns
    model.flow_, model.history_ = flow, metadata["history"]
    model.n_features_in_ = metadata["n_features_in"]
    model.n_samples_fit_ = metadata["n_samples_fit"]
    if metadata["feature_names_in"] is not None:
        model.feature_names_in_ = np.array(metadata["feature_names_in"], dtype=object)
    if "missing" in metadata:
        model.missing_ = np.array(metadata["missing"])
    return model


def plain_parameters(estimator: BaseEstimator) -> dict[str, Any]:
    """Return the parameters, those of nested estimators left out, as JSON values."""
    parameters = estimator.get_params(deep=False)
    if not isinstance(parameters["random_state"], (int, np.integer)):
        parameters["random_state"] = None
    if not isinstance(parameters.get("columns"), str):
        parameters.pop("columns", None)  # what was fitted stands for kinds that were given
    return {k: _plain(v) for k, v in parameters.items()}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value

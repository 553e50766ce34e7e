"""How closely a Keras flow repeats the model it comes from."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from keras import ops
from sklearn.utils.validation import check_is_fitted

from rbig_keras.ensemble import MixtureOfFlows
from rbig_keras.flow import GaussianizationFlow

FAR = (10, 100, 1000)
N_SAMPLES = 1000
N_DIRECTIONS = 64


@dataclass(frozen=True)
class Deviation:
    """Largest differences over one set of rows; NaN where a result isn't finite.

    `dz_relative` is relative to max(1, |z|), `dlog_p` to max(1, |log p|), and `round_trip`, that of
    flow.invert(flow(x)), to max(|x - mean|, standard deviation) of each column.
    """

    rows: str
    n_rows: int
    dz: float
    dz_relative: float
    dlog_p: float
    round_trip: float


@dataclass(frozen=True)
class Parity:
    """Report of `parity`: one `Deviation` per set of rows, and the largest over all of them."""

    dtype: str
    deviations: tuple[Deviation, ...]

    @property
    def dz_relative(self) -> float:
        """Largest |dz| relative to max(1, |z|)."""
        return self._largest("dz_relative")

    @property
    def dlog_p(self) -> float:
        """Largest |dlog p| relative to max(1, |log p|)."""
        return self._largest("dlog_p")

    @property
    def round_trip(self) -> float:
        """Largest relative round-trip error."""
        return self._largest("round_trip")

    @property
    def finite(self) -> bool:
        """Whether every result is finite."""
        return bool(np.isfinite([self.dz_relative, self.dlog_p, self.round_trip]).all())

    def __str__(self) -> str:
        """Return a small table."""
        heads = (self.dtype, "rows", "dz", "dz rel.", "dlog p rel.", "round trip")
        lines = ["{:<15}{:>8}{:>12}{:>12}{:>13}{:>12}".format(*heads)]
        lines += [
            "{:<15}{:>8}{:>12.1e}{:>12.1e}{:>13.1e}{:>12.1e}".format(*astuple(deviation))
            for deviation in self.deviations
        ]
        return "\n".join([*lines, f"all finite: {'yes' if self.finite else 'NO'}"])

    def _largest(self, name: str) -> float:
        return float(np.max([getattr(deviation, name) for deviation in self.deviations]))


def parity(
    model: Any, flow: GaussianizationFlow | MixtureOfFlows, X: Any, random_state: int = 0
) -> Parity:
    """Compare a model with its Keras flow on given rows, on fresh samples and on far rows.

    Of an ensemble log p is compared as a whole, and the latent spaces of its members one by one.

    Far rows lie 10, 100 and 1,000 standard deviations of X's columns from their mean, along each
    axis both ways and along random directions. All rows are rounded to the flow's dtype first, so
    that both sides see the same numbers.

    Parameters
    ----------
    model : RBIG or RBIGEnsemble
        A fitted model.
    flow : GaussianizationFlow or MixtureOfFlows
        What `export_to_keras(model)` gave.
    X : array-like or frame (N, D)
        At least two rows.
    random_state : int
        Seeds the samples and the directions.

    Returns
    -------
    report : Parity
        `print(report)` shows a table.

    Raises
    ------
    TypeError
        If the model isn't one of the engine, or the flow isn't one of Keras.
    ValueError
        If X isn't finite numbers (N, D) with the model's D columns, N >= 2, and if the model and
        the flow have other numbers of columns or members.
    """
    _check_pair(model, flow)
    X = _checked(model, X)
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    directions = _directions(X.shape[1], np.random.default_rng(random_state))
    sets = {"given rows": X, "fresh samples": model.sample(N_SAMPLES, random_state=random_state)}
    sets |= {f"{far} sd out": mean + far * deviation * directions for far in FAR}
    rows = np.vstack([*sets.values()]).astype(flow.compute_dtype).astype(np.float64)
    errors = _errors(model, flow, rows, np.maximum(np.abs(rows - mean), deviation))
    ends = np.cumsum([len(part) for part in sets.values()])
    largest = (part.max(axis=0).tolist() for part in np.split(errors, ends[:-1]))
    deviations = (
        Deviation(name, len(part), *worst)
        for (name, part), worst in zip(sets.items(), largest, strict=True)
    )
    return Parity(flow.compute_dtype, tuple(deviations))


def _check_pair(model: Any, flow: Any) -> None:
    check_is_fitted(model)
    if not isinstance(flow, (GaussianizationFlow, MixtureOfFlows)):
        raise TypeError(f"flow must be what export_to_keras gave, got {type(flow).__name__}")
    sides = [
        (model.n_features_in_, len(getattr(model, "estimators_", [model]))),
        (flow.input_dim, len(getattr(flow, "flows", [flow]))),
    ]
    if sides[0] != sides[1]:
        raise ValueError(
            "the flow isn't the model's: (columns, members) are {} in the model and {} in the "
            "flow".format(*sides)
        )


def _checked(model: Any, X: Any) -> np.ndarray:
    from rbig_numba.checks.containers import unwrapped
    from rbig_numba.estimators.inputs import check_rows

    rows = check_rows(model, unwrapped(X), fitting=False).astype(np.float64, copy=False)
    if len(rows) < 2:
        raise ValueError(f"X has {len(rows)} row(s): at least two are needed")
    return rows


def _directions(n_columns: int, rng: np.random.Generator) -> np.ndarray:
    axes = np.eye(n_columns)
    random = rng.normal(size=(N_DIRECTIONS, n_columns))
    return np.vstack([axes, -axes, random / np.linalg.norm(random, axis=1, keepdims=True)])


def _errors(
    model: Any, flow: GaussianizationFlow | MixtureOfFlows, x: np.ndarray, unit: np.ndarray
) -> np.ndarray:
    """Return the four errors of `Deviation` row by row, (N, 4)."""
    members = [member.flow_ for member in getattr(model, "estimators_", [model])]
    flows = getattr(flow, "flows", [flow])
    pairs = zip(members, flows, strict=True)
    dz, relative, round_trip = np.max([_latent_errors(*pair, x, unit) for pair in pairs], axis=0)
    log_p = model._density.log_prob(x)  # without names, which `X` had, if the fit had some
    dlog_p = np.abs(_array(flow.log_prob(x)) - log_p) / np.maximum(1.0, np.abs(log_p))
    return np.stack([dz, relative, dlog_p, round_trip], axis=1)


def _latent_errors(
    engine: Any, flow: GaussianizationFlow, x: np.ndarray, unit: np.ndarray
) -> np.ndarray:
    """Return the errors of z, absolute and relative, and of the round trip, (3, N)."""
    z, _ = engine.forward(x)
    flow_z = flow.forward_and_log_det(x)[0]
    dz = np.abs(_array(flow_z) - z)
    round_trip = np.abs(_array(flow.invert(flow_z)) - x) / unit
    relative = dz / np.maximum(1.0, np.abs(z))
    return np.stack([error.max(axis=1) for error in (dz, relative, round_trip)])


def _array(tensor: Any) -> np.ndarray:
    return ops.convert_to_numpy(tensor).astype(np.float64)

"""Couplings fitted in closed form: blind to the columns given, or with regressions on them."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np

from rbig_keras.blocks import BLOCK, by_blocks
from rbig_keras.conditioners import LogScaleClamp, last_dense, set_constant
from rbig_keras.fits import mixtures_of
from rbig_keras.layers import MixtureCDFCoupling
from rbig_keras.push import gaussianized, pushed

# Rows that regressions see, every JUDGESth of which judges; rows' worth of penalty, and rounds.
REGRESSED_ROWS, JUDGES = 20_000, 5
PENALTIES, ROUNDS = (30.0, 300.0, 3000.0), 4
# Of a column's deviation: narrower components would score without bound on ties.
LEAST_SCALE = 1e-3
# Of log-scales to the clamp's bounds: there its slope, and what training can change, is all but 0;
# and how far bounds move beyond a fit that is outside.
ROOM, WIDER = 0.01, 1.0
# Of what a clamp is given, on each side, of which the best is taken.
NEIGHBOURS = 8


def fit_coupling(
    layer: MixtureCDFCoupling, rows: np.ndarray, draws: np.random.RandomState, conditioner: str
) -> np.ndarray:
    """Fit the last dense layer of a coupling's conditioner to rows (N, D); return them behind it.

    A clamp of log-scales whose bounds are too narrow for the fit is widened: the map at the start
    is that of a diagonal layer, whatever the clamp.

    Raises
    ------
    ValueError
        If there is none, if what it says isn't what the conditioner returns, and if the clamp is no
        `LogScaleClamp`. Names the layer.
    """
    known, other = rows[:, layer.halves.known], rows[:, layer.halves.other]
    dense = last_dense(layer.conditioner)
    if dense is None:
        raise ValueError(f"{layer.name}: the conditioner has no layer with a kernel and a bias")
    shared = dense.bias.shape[0] == 3 * layer.num_components
    if shared:
        known, other = np.repeat(known, layer.d_b, axis=0), other.reshape(-1, 1)
    mixtures = mixtures_of(other, layer.num_components)
    packed = _packed(layer, mixtures)
    set_constant(dense, packed)
    expected = np.repeat(packed, layer.d_b if shared else 1, axis=1).reshape(1, -1)
    returned = keras.ops.convert_to_numpy(layer.conditioner(known[:2]))
    if not np.array_equal(returned, np.repeat(expected, 2, axis=0).astype(returned.dtype)):
        raise ValueError(
            f"{layer.name}: the conditioner must return what its last dense layer, {dense.name}, "
            "returns"
        )
    if conditioner == "fit":
        chosen = draws.permutation(len(known))[:REGRESSED_ROWS]
        _regress(layer, dense, known[chosen], other[chosen].astype(float), mixtures)
        return pushed(layer, rows)
    mixtures = np.repeat(mixtures, layer.d_b if shared else 1, axis=1).astype(layer.compute_dtype)
    behind = rows.copy()
    behind[:, layer.halves.other] = gaussianized(rows[:, layer.halves.other], mixtures, layer.clip)
    return behind


def _regress(
    layer: MixtureCDFCoupling,
    dense: keras.layers.Dense,
    known: np.ndarray,
    other: np.ndarray,
    mixtures: np.ndarray,
) -> None:
    """Assign kernel and bias that make mixtures (3, B, K) of the columns B depend on the others."""
    features = _features(layer, dense, known)
    columns = zip(other.T, mixtures.swapaxes(0, 1), strict=True)
    experts = [_best_experts(features, column, mixture) for column, mixture in columns]
    logits = np.stack([each.logits for each in experts], axis=1)
    means = np.stack([each.means for each in experts], axis=1)
    log_scales = np.stack([each.log_scales for each in experts])
    bias = _packed(layer, np.stack([logits[0], means[0], log_scales]))
    kernel = np.stack([logits[1:], means[1:], np.zeros_like(means[1:])], axis=1)
    dense.kernel.assign(kernel.reshape(dense.kernel.shape))
    dense.bias.assign(bias.ravel())


def _packed(layer: MixtureCDFCoupling, mixtures: np.ndarray) -> np.ndarray:
    """Return mixtures (3, B, K) as a conditioner returns them, the layer's clamp holding them."""
    clamp = layer.log_scale_clamp
    if not isinstance(clamp, LogScaleClamp):
        raise ValueError(f"{layer.name}: log_scale_clamp must be a LogScaleClamp, to be inverted")
    low, high = float(mixtures[2].min()), float(mixtures[2].max())
    if low < clamp.low + ROOM or high > clamp.high - ROOM:
        clamp = LogScaleClamp(
            min(clamp.low, low - WIDER), max(clamp.high, high + WIDER), clamp.slope
        )
        layer.log_scale_clamp = clamp
    packed = mixtures.copy()
    packed[2] = _nearest(clamp, mixtures[2], layer.compute_dtype)
    return packed


def _nearest(clamp: LogScaleClamp, log_scales: np.ndarray, dtype: str) -> np.ndarray:
    """Return what a clamp, in its own arithmetic, maps closest to log-scales.

    Rounding the exact inverse would leave 1e-6 in float32, eight times as much as the log-scales'.
    """
    raw = clamp.inverse(log_scales).astype(dtype)
    tried = np.stack([raw + n * np.spacing(raw) for n in range(-NEIGHBOURS, NEIGHBOURS + 1)])
    errors = np.abs(keras.ops.convert_to_numpy(clamp(tried)) - log_scales.astype(dtype))
    return np.take_along_axis(tried, errors.argmin(axis=0)[None], axis=0)[0]


def _features(
    layer: MixtureCDFCoupling, dense: keras.layers.Dense, known: np.ndarray
) -> np.ndarray:
    """Return what the last dense layer is given, (N, H)."""
    if not hasattr(layer.conditioner, "inputs"):
        raise ValueError(
            f"{layer.name}: conditioner='fit' takes Sequential and functional conditioners only"
        )
    inner = keras.Model(layer.conditioner.inputs, dense.input)
    rows = keras.ops.convert_to_tensor(known, dtype=layer.compute_dtype)
    return keras.ops.convert_to_numpy(by_blocks(inner, rows, BLOCK)).astype(float)


class Experts(NamedTuple):
    """A mixture of linear regressions on features [1, h] (1 + H).

    Attributes
    ----------
    logits, means : ndarray of shape (1 + H, K)
        Coefficients.
    log_scales : ndarray of shape (K,)
        The same for all rows.
    """

    logits: np.ndarray
    means: np.ndarray
    log_scales: np.ndarray

    def log_terms(self, features: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return log w_k N(y; m_k, s_k), (N, K), but for a constant."""
        u = (y[:, None] - features @ self.means) * np.exp(-self.log_scales)
        return _normalised(features @ self.logits) - 0.5 * u * u - self.log_scales


def _best_experts(features: np.ndarray, y: np.ndarray, mixture: np.ndarray) -> Experts:
    """Return the experts that score best on rows that they weren't fitted to.

    EM for a mixture of regressions (Jordan and Jacobs 1994, "Hierarchical mixtures of experts and
    the EM algorithm"), started from the column's own mixture (3, K), which is among those judged.
    Gates are linear discriminants, closed forms both. The last component, the background, stays.
    """
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    design = np.column_stack([np.ones(len(y)), (features - centre) / scale])
    judging = np.arange(len(y)) % JUDGES == 0
    slopes = np.zeros((design.shape[1] - 1, mixture.shape[1]))
    best = Experts(np.vstack([mixture[0], slopes]), np.vstack([mixture[1], slopes]), mixture[2])
    start, best_score = best, -np.inf
    for penalty in PENALTIES:
        experts = start
        for number in range(1 + ROUNDS):
            if number:
                experts = _updated(experts, design[~judging], y[~judging], penalty)
            terms = experts.log_terms(design[judging], y[judging])
            score = np.logaddexp.reduce(terms, axis=1).mean()
            if score > best_score:
                best, best_score = experts, score
    return Experts(
        _unscaled(best.logits, centre, scale),
        _unscaled(best.means, centre, scale),
        best.log_scales,
    )


def _normalised(log_terms: np.ndarray) -> np.ndarray:
    return log_terms - np.logaddexp.reduce(log_terms, axis=1, keepdims=True)


def _unscaled(coefficients: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    slopes = coefficients[1:] / scale[:, None]
    return np.vstack([coefficients[0] - centre @ slopes, slopes])


def _updated(experts: Experts, design: np.ndarray, y: np.ndarray, penalty: float) -> Experts:
    """Return the experts after a step of EM, with a penalty of so many rows on slopes."""
    shares = np.exp(_normalised(experts.log_terms(design, y)))
    totals = shares.sum(axis=0)
    ridge = np.diag(np.append(0.0, np.full(design.shape[1] - 1, penalty)))
    means, log_scales = experts.means.copy(), experts.log_scales.copy()
    for k in range(len(totals) - 1):
        weighted = design * shares[:, k, None]
        gram = weighted.T @ design + ridge + 1e-9 * np.eye(len(ridge))
        means[:, k] = np.linalg.solve(gram, weighted.T @ y)
        residual = y - design @ means[:, k]
        variance = (shares[:, k] @ residual**2) / max(totals[k], 1e-300)
        log_scales[k] = 0.5 * np.log(max(variance, (LEAST_SCALE * y.std()) ** 2))
    features = design[:, 1:]
    centres = (shares.T @ features) / (totals[:, None] + penalty)
    centres[-1] = 0.0
    spread = features.T @ features - (centres.T * totals) @ centres
    spread = spread / len(y) + (penalty / len(y)) * np.eye(features.shape[1])
    slopes = np.linalg.solve(spread, centres.T)
    shares_of = np.log(np.maximum(totals, 1e-300) / len(y))
    logits = np.vstack([shares_of - 0.5 * np.sum(centres.T * slopes, axis=0), slopes])
    return Experts(logits, means, log_scales)

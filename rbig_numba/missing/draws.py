"""Whole rows drawn from a flow given the cells that are there: importance resampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rbig_numba.bijections.base import as_columns
from rbig_numba.flow import Flow
from rbig_numba.kernels import hashing
from rbig_numba.missing.leading import Leading, leading_of
from rbig_numba.threads import map_threads, row_blocks

# Draws of all rows of a block at a time.
BLOCK_DRAWS = 16_384
# Draws that one is chosen from, if there are blocks behind the leading ones, and their number for
# each one wanted; those that a mean is of.
CANDIDATES, EACH, MEAN_DRAWS = 64, 4, 128


# The fraction of the golden ratio: points of any number of its multiples are spread evenly.
GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)
_SHIFT = np.uint64(11)


class Weighted(NamedTuple):
    """Draws (D, N, M) of rows, and the shares (N, M) that the flow gives them; see `Drawn`."""

    columns: np.ndarray
    shares: np.ndarray
    log_prob: np.ndarray
    std_error: np.ndarray


def weighted_draws(leading: Leading, rows: np.ndarray, keys: np.ndarray, n_draws: int) -> Weighted:
    """Draw from the leading blocks, and weigh the draws by what the others say.

    Returns
    -------
    Weighted
        With the log-densities (N,) of the cells that are there, in nats, and their standard errors
        (N,): p(there) = q(there) E[p / q], the mean over draws of the holes from q given what is
        there. They are those of independent draws, and a lattice's errors are smaller.
    """
    log_prob, columns = leading.draw(rows, keys, n_draws)
    log_ratios = leading.log_ratios(columns)
    largest = log_ratios.max(axis=1, keepdims=True)
    ratios = np.exp(log_ratios - largest)
    mean = ratios.mean(axis=1)
    deviation = ratios.std(axis=1, ddof=1) if n_draws > 1 else np.zeros_like(mean)
    return Weighted(
        columns,
        ratios / ratios.sum(axis=1, keepdims=True),
        log_prob + largest[:, 0] + np.log(mean),
        deviation / (mean * np.sqrt(n_draws)),
    )


def row_keys(rows: np.ndarray, seed: int) -> np.ndarray:
    """Return a key (N,) for each row that follows from its content and a seed."""
    keys = np.empty(len(rows), np.uint64)
    hashing.hash_rows(as_columns(rows), np.uint64(seed), keys)
    return keys


def filled(
    leading: Leading,
    rows: np.ndarray,
    keys: np.ndarray,
    n_draws: int = 1,
    n_jobs: int | None = 1,
    n_candidates: int = CANDIDATES,
) -> np.ndarray:
    """Return rows (n_draws, N, D), their holes filled by draws given the cells that are there.

    Rubin (1988), "Using the SIR algorithm to simulate posterior distributions". Of one row's
    candidates those are taken that the points of a lattice fall on, each in proportion to its
    share.
    """
    n_candidates = max(n_candidates, EACH * n_draws)
    if n_draws == 1 and not leading.later:
        n_candidates = 1  # a draw as it should be
    first = (keys >> _SHIFT) * 2.0**-53
    points = (first[:, None] + GOLDEN * np.arange(n_draws)) % 1.0

    def fill(block: slice) -> np.ndarray:
        drawn = weighted_draws(leading, rows[block], keys[block], n_candidates)
        ends = np.cumsum(drawn.shares, axis=1)
        chosen = (ends[:, None] < points[block, :, None] * ends[:, None, -1:]).sum(axis=2)
        columns = np.take_along_axis(drawn.columns, chosen[None], axis=2)
        return _into(rows[block], _rows_of(leading, columns))

    return _in_blocks(fill, len(rows), n_candidates, n_jobs).transpose(1, 0, 2)


def filled_by_mean(
    leading: Leading, rows: np.ndarray, keys: np.ndarray, n_jobs: int | None
) -> np.ndarray:
    """Return rows (N, D), their holes filled by their means given the cells that are there."""

    def fill(block: slice) -> np.ndarray:
        drawn = weighted_draws(leading, rows[block], keys[block], MEAN_DRAWS)
        values = _rows_of(leading, drawn.columns)
        return _into(rows[block], np.einsum("nm,nmd->nd", drawn.shares, values)[:, None])[:, 0]

    return _in_blocks(fill, len(rows), MEAN_DRAWS, n_jobs)


def log_prob_of_holes(
    leading: Leading, rows: np.ndarray, n_draws: int, n_jobs: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return log-densities (N,) of the cells that are there, and standard errors (N,), in nats.

    Without blocks behind the leading ones they are exact. A row without cells has the density 1.
    """
    keys, exact = row_keys(rows, 0), not leading.later

    def score(block: slice) -> np.ndarray:
        if exact:
            log_prob = leading.draw(rows[block], keys[block], 0).log_prob
            return np.column_stack([log_prob, np.zeros_like(log_prob)])
        drawn = weighted_draws(leading, rows[block], keys[block], n_draws)
        return np.column_stack([drawn.log_prob, drawn.std_error])

    scores = _in_blocks(score, len(rows), 1 if exact else n_draws, n_jobs)
    scores[np.isnan(rows).all(axis=1)] = 0.0
    return scores[:, 0], scores[:, 1]


def log_prob_of_rows(
    flow: Flow, rows: np.ndarray, n_draws: int, n_jobs: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return log-densities and standard errors (N,), in nats, of rows of which some have holes."""
    holes = np.isnan(rows).any(axis=1)
    if not holes.any():
        return flow.log_prob(rows, n_jobs), np.zeros(len(rows))
    log_prob, std_error = np.empty(len(rows)), np.zeros(len(rows))
    scored = log_prob_of_holes(leading_of(flow), rows[holes], n_draws, n_jobs)
    log_prob[holes], std_error[holes] = scored
    if not holes.all():
        log_prob[~holes] = flow.log_prob(rows[~holes], n_jobs)
    return log_prob, std_error


def imputed(
    flow: Flow,
    rows: np.ndarray,
    n_draws: int,
    random_state: np.random.RandomState,
    n_jobs: int | None,
) -> np.ndarray:
    """Return rows (N, D), or (n_draws, N, D) for 2 draws or more, without holes; 0 draws: means."""
    leading, holes = leading_of(flow), np.isnan(rows).any(axis=1)
    filled_rows = np.repeat(rows[None], max(n_draws, 1), axis=0)
    if holes.any():
        some = rows[holes].astype(np.float64)
        keys = random_state.randint(0, 2**64, size=len(some), dtype=np.uint64)
        if n_draws:
            filled_rows[:, holes] = filled(leading, some, keys, n_draws, n_jobs)
        else:
            filled_rows[0, holes] = filled_by_mean(leading, some, keys, n_jobs)
    return filled_rows if n_draws > 1 else filled_rows[0]


def _rows_of(leading: Leading, columns: np.ndarray) -> np.ndarray:
    """Return rows (N, M, D) of columns (D, N, M) behind the maps of single columns."""
    rows = leading.back(columns.reshape(len(columns), -1))
    return rows.reshape(*columns.shape[1:], -1)


def _into(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return values (N, M, D) where rows (N, D) have holes, and else their cells."""
    return np.where(np.isnan(rows)[:, None], values, rows[:, None])


def _in_blocks(
    function: Callable[[slice], np.ndarray], n_rows: int, n_draws: int, n_jobs: int | None
) -> np.ndarray:
    blocks = row_blocks(n_rows, max(1, BLOCK_DRAWS // n_draws))
    return np.concatenate(map_threads(function, blocks, n_jobs))

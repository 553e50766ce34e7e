"""A flow: bijections one after another, and the density that they define; averages of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from rbig_numba.bijections.base import Bijection
from rbig_numba.threads import map_threads, row_blocks

LOG_2PI = float(np.log(2.0 * np.pi))


def base_log_prob(z: np.ndarray) -> np.ndarray:
    """Return the log-density (N,) of latent rows (N, D) under N(0, I), in nats."""
    return -0.5 * (np.square(z).sum(axis=1) + z.shape[1] * LOG_2PI)


@dataclass(frozen=True, eq=False)
class Flow:
    """An ordered tuple of bijections from data to N(0, I).

    Blocks of rows pass through all bijections while they are in cache, in float64 whatever the
    type of the rows; a row's result does not depend on its block.
    """

    bijections: tuple[Bijection, ...]

    @property
    def n_features(self) -> int:
        """Columns D, as the standardisation that opens every flow stores them."""
        return len(next(iter(self.bijections[0].arrays().values())))

    def forward(self, x: np.ndarray, n_jobs: int | None = 1) -> tuple[np.ndarray, np.ndarray]:
        """Map rows (N, D) to latent rows (N, D); also return log |det dz/dx| (N,)."""
        return self._walk("forward", self.bijections, x, n_jobs)

    def inverse(self, z: np.ndarray, n_jobs: int | None = 1) -> tuple[np.ndarray, np.ndarray]:
        """Map latent rows (N, D) to rows (N, D); also return log |det dx/dz| (N,)."""
        return self._walk("inverse", self.bijections[::-1], z, n_jobs)

    def log_prob(self, x: np.ndarray, n_jobs: int | None = 1) -> np.ndarray:
        """Return log p(x) (N,) of rows (N, D), in nats."""
        log_prob = np.empty(len(x))

        def score_block(block: slice) -> None:
            z, log_det = _pass("forward", self.bijections, x[block])
            log_prob[block] = base_log_prob(z) + log_det

        map_threads(score_block, row_blocks(len(x)), n_jobs)
        return log_prob

    def sample(
        self, n_samples: int, random_state: np.random.RandomState, n_jobs: int | None = 1
    ) -> np.ndarray:
        """Draw rows (n_samples, D); as many at once as in parts, from one random state."""
        latent = random_state.standard_normal((n_samples, self.n_features))
        return self.inverse(latent, n_jobs)[0]

    def _walk(
        self, method: str, bijections: tuple[Bijection, ...], rows: np.ndarray, n_jobs: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        out, log_det = np.empty(rows.shape), np.empty(len(rows))

        def walk_block(block: slice) -> None:
            out[block], log_det[block] = _pass(method, bijections, rows[block])

        map_threads(walk_block, row_blocks(len(rows)), n_jobs)
        return out, log_det


@dataclass(frozen=True, eq=False)
class FlowAverage:
    """The mean of the densities of several flows, all of the same columns."""

    flows: tuple[Flow, ...]

    def log_prob(self, x: np.ndarray, n_jobs: int | None = 1) -> np.ndarray:
        """Return log p(x) (N,) of rows (N, D), in nats."""
        total = reduce(np.logaddexp, (flow.log_prob(x, n_jobs) for flow in self.flows))
        return total - np.log(len(self.flows))

    def sample(
        self, n_samples: int, random_state: np.random.RandomState, n_jobs: int | None = 1
    ) -> np.ndarray:
        """Draw rows (n_samples, D); as many at once as in parts, from one random state.

        A row's flow is drawn by the direction of two more normal variables, so that the random
        state gives as many numbers for each row.
        """
        n_flows = len(self.flows)
        normal = random_state.standard_normal((n_samples, self.flows[0].n_features + 2))
        turns = np.arctan2(normal[:, 0], normal[:, 1]) / (2.0 * np.pi) + 0.5
        chosen = np.minimum((n_flows * turns).astype(int), n_flows - 1)
        rows = np.empty((n_samples, normal.shape[1] - 2))
        for number, flow in enumerate(self.flows):
            rows[chosen == number] = flow.inverse(normal[chosen == number, 2:], n_jobs)[0]
        return rows


def _pass(
    method: str, bijections: tuple[Bijection, ...], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Send a block of rows through bijections; return it and the sum of log-determinants."""
    current, log_det = rows.astype(np.float64), np.zeros(len(rows))
    for bijection in bijections:
        current, added = getattr(bijection, method)(current)
        log_det += added
    return current, log_det

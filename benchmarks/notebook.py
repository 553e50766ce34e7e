"""The competitor: iterative Gaussianization as commonly written with scikit-learn and SciPy.

Each block rotates to principal axes, fits a `GaussianMixture` to each column and maps the column by
Phi^-1(F(x)), F kept within [1e-6, 1 - 1e-6].
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

CLIP = 1e-6


class Notebook:
    """Blocks of PCA and scikit-learn mixtures."""

    def __init__(self, n_blocks: int, n_components: int) -> None:
        self.n_blocks = n_blocks
        self.n_components = n_components

    def fit(self, X: np.ndarray) -> Notebook:
        """Fit block by block, rows passing through each."""
        self.blocks_ = []
        for number in range(self.n_blocks):
            rotation = PCA().fit(X)
            X = rotation.transform(X)
            mixtures = [
                GaussianMixture(self.n_components, random_state=number).fit(column[:, None])
                for column in X.T
            ]
            self.blocks_.append((rotation, mixtures))
            X, _ = _gaussianize(X, mixtures)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Return log p(x) (N,) in nats."""
        log_det = np.zeros(len(X))
        for rotation, mixtures in self.blocks_:
            X, added = _gaussianize(rotation.transform(X), mixtures)
            log_det += added
        return log_det + norm.logpdf(X).sum(axis=1)


def _gaussianize(X: np.ndarray, mixtures: list[GaussianMixture]) -> tuple[np.ndarray, np.ndarray]:
    z, log_det = np.empty_like(X), np.zeros(len(X))
    for j, mixture in enumerate(mixtures):
        weights, means = mixture.weights_, mixture.means_[:, 0]
        u = (X[:, j, None] - means) / np.sqrt(mixture.covariances_[:, 0, 0])
        density = (norm.pdf(u) / np.sqrt(mixture.covariances_[:, 0, 0])) @ weights
        z[:, j] = ndtri(np.clip(norm.cdf(u) @ weights, CLIP, 1 - CLIP))
        log_det += np.log(density) - norm.logpdf(z[:, j])
    return z, log_det

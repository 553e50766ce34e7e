"""Rotations of rows, reflections included: fixed, or trainable and orthogonal throughout."""

from __future__ import annotations

from typing import Any, Self

import keras
import numpy as np
from keras import ops

from rbig_keras.layers.base import Bijector
from rbig_keras.special import Tensor, matmul


class _Rotation(Bijector):
    """y = x Q for the orthogonal Q (D, D) that `orthogonal` returns."""

    def orthogonal(self) -> Tensor:
        """Return Q."""
        raise NotImplementedError

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate rows."""
        return matmul(x, self.orthogonal()), ops.zeros_like(x[:, 0])

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate rows back."""
        return matmul(y, ops.transpose(self.orthogonal())), ops.zeros_like(y[:, 0])


@keras.saving.register_keras_serializable(package="rbig_keras")
class FixedOrtho(_Rotation):
    """y = x @ matrix, with the weight `matrix` (D, D), orthogonal and not trainable.

    A new layer is the identity map; `from_pca` and `random_haar` make others.
    """

    @classmethod
    def from_pca(cls, x: np.ndarray, **kwargs: Any) -> Self:
        """Return the built layer onto the principal axes of rows (N, D), largest variance first.

        Each axis points to where its largest coordinate is positive.
        """
        axes = np.linalg.eigh(np.cov(x, rowvar=False, dtype=np.float64).reshape(x.shape[1], -1))[1]
        axes = axes[:, ::-1]
        largest = axes[np.abs(axes).argmax(axis=0), np.arange(len(axes))]
        return cls._of(axes * np.sign(largest), **kwargs)

    @classmethod
    def random_haar(cls, input_dim: int, seed: int | None = None, **kwargs: Any) -> Self:
        """Return a built layer drawn uniformly from the orthogonal group.

        Mezzadri (2007), "How to generate random matrices from the classical compact groups".
        """
        q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(input_dim, input_dim)))
        return cls._of(q * np.sign(np.diag(r)), **kwargs)

    @classmethod
    def _of(cls, matrix: np.ndarray, **kwargs: Any) -> Self:
        layer = cls(**kwargs)
        layer.build((None, len(matrix)))
        layer.matrix.assign(matrix)
        return layer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weight of the identity map."""
        shape = (input_shape[-1], input_shape[-1])
        self.matrix = self.add_weight(
            shape=shape, initializer="identity", trainable=False, name="matrix"
        )

    def orthogonal(self) -> Tensor:
        """Return the matrix."""
        return ops.convert_to_tensor(self.matrix)


@keras.saving.register_keras_serializable(package="rbig_keras")
class Householder(_Rotation):
    """y = (x @ H_1 ... H_M) * signs, H_j = I - 2 v_j v_j' / v_j'v_j: orthogonal by construction.

    Weights: `reflectors` (D, M), column j is v_j, trainable; `signs` (D,), -1 or 1, not trainable:
    M reflections make one half only of the orthogonal group. M = D reflectors make every orthogonal
    matrix; fewer leave D - M directions as they are. A new layer is the identity map, but for
    reflectors started elsewhere.

    The product is I - V T V' with T^-1 = triu(V'V, 1) + diag(V'V) / 2, the compact WY form of
    Schreiber and Van Loan (1989), SIAM J. Sci. Stat. Comput. 10, 53-57.

    Parameters
    ----------
    num_reflectors : int, default=None
        M; None is D.
    initializer : str or keras.initializers.Initializer, default="identity"
        Of `reflectors`. "random_normal" starts with a random rotation.
    **kwargs
        As for every Keras layer: name, dtype, trainable.

    Raises
    ------
    ValueError
        When built, if M isn't from 1 to D.
    """

    def __init__(
        self, num_reflectors: int | None = None, initializer: Any = "identity", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_reflectors = num_reflectors
        self.initializer = keras.initializers.get(initializer)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        initializer = keras.initializers.serialize(self.initializer)
        own = {"num_reflectors": self.num_reflectors, "initializer": initializer}
        return {**super().get_config(), **own}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights: of the identity map, each of M axes is reflected twice."""
        size: Any = input_shape[-1]
        n_reflectors = size if self.num_reflectors is None else self.num_reflectors
        if not 1 <= n_reflectors <= size:
            raise ValueError(
                f"{self.name}: num_reflectors must be from 1 to {size}, the number of columns, "
                f"got {n_reflectors}"
            )
        self.reflectors = self.add_weight(
            shape=(size, n_reflectors), initializer=self.initializer, name="reflectors"
        )
        self.signs = self.add_weight(
            shape=(size,), initializer="ones", trainable=False, name="signs"
        )
        self.signs.assign(np.where(np.arange(size) < n_reflectors, -1.0, 1.0))

    def orthogonal(self) -> Tensor:
        """Return H_1 ... H_M diag(signs)."""
        return _reflections(1.0 * self.reflectors) * self.signs


@ops.custom_gradient
def _reflections(v: Tensor) -> tuple[Tensor, Any]:
    """Return H_1 ... H_M = I - V T V' of reflectors V (D, M).

    With dT = -T d(T^-1) T the gradient is products of what the map made; automatic differentiation
    solves a second triangular system. T V' is solved for: T times V' would leave rotations in
    float32 less orthogonal, and rows 1,000 deviations out 10 times further from where they began.
    """
    size, n_reflectors = v.shape
    right = ops.concatenate([ops.transpose(v), ops.eye(n_reflectors, dtype=v.dtype)], axis=1)
    solved = ops.solve_triangular(_half(matmul(ops.transpose(v), v)), right)
    tv, vt = solved[:, :size], matmul(v, solved[:, size:])

    def gradient(*arguments: Tensor, upstream: Tensor = None) -> Tensor:
        given = -(arguments[0] if upstream is None else upstream)
        of_left = matmul(given, ops.transpose(tv))
        of_half = _half(matmul(ops.transpose(vt), of_left))
        of_gram = of_half + ops.transpose(of_half)
        return of_left + matmul(ops.transpose(given), vt) - matmul(v, of_gram)

    return ops.eye(size, dtype=v.dtype) - matmul(v, tv), gradient


def _half(gram: Tensor) -> Tensor:
    """Return the matrix above the diagonal, and half of the diagonal."""
    return ops.triu(gram, k=1) + 0.5 * ops.diag(ops.diagonal(gram))


def householder_arrays(
    matrix: np.ndarray, n_reflectors: int | None = None
) -> dict[str, np.ndarray]:
    """Return the weights of the `Householder` that equals an orthogonal matrix (D, D) to 1e-14.

    Of fewer reflectors than D the first columns of the matrix are made; the others are turned
    within the space left over.

    LAPACK's QR leaves the vectors below the diagonal of `raw`, each with v_j[j] = 1 left out, and
    an R that is diagonal, -1 or 1, since the matrix is orthogonal. It skips a reflection that has
    nothing to do (tau = 0); one of its own axis stands in for it and turns that sign.
    """
    n_reflectors = len(matrix) if n_reflectors is None else n_reflectors
    raw, tau = np.linalg.qr(matrix[:, :n_reflectors], mode="raw")  # in Fortran order: transposed
    reflectors = np.tril(raw.T, -1) + np.eye(len(matrix), n_reflectors)
    signs = np.ones(len(matrix))
    signs[:n_reflectors] = np.sign(np.diag(raw))
    signs[:n_reflectors] = np.where(tau == 0.0, -signs[:n_reflectors], signs[:n_reflectors])
    return {"reflectors": reflectors, "signs": signs}

"""Rotations of rows, reflections included: fixed, or trainable and orthogonal throughout."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from rbig_keras.layers.base import Bijector
from rbig_keras.special import Tensor


class _Rotation(Bijector):
    """y = x Q for the orthogonal Q (D, D) that `orthogonal` returns."""

    def orthogonal(self) -> Tensor:
        """Return Q."""
        raise NotImplementedError

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate rows."""
        return ops.matmul(x, self.orthogonal()), ops.zeros_like(x[:, 0])

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate rows back."""
        return ops.matmul(y, ops.transpose(self.orthogonal())), ops.zeros_like(y[:, 0])


@keras.saving.register_keras_serializable(package="rbig_keras")
class FixedOrtho(_Rotation):
    """y = x @ matrix, with the weight `matrix` (D, D), orthogonal and not trainable."""

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
    """y = (x @ H_1 ... H_D) * signs, H_j = I - 2 v_j v_j' / v_j'v_j: orthogonal by construction.

    Weights: `reflectors` (D, D), column j is v_j, trainable; `signs` (D,), -1 or 1, not trainable:
    D reflections make one half only of the orthogonal group.

    The product is I - V T V' with T^-1 = triu(V'V, 1) + diag(V'V) / 2, the compact WY form of
    Schreiber and Van Loan (1989), SIAM J. Sci. Stat. Comput. 10, 53-57.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights of the identity map: each axis reflected twice."""
        size = input_shape[-1]
        self.reflectors = self.add_weight(
            shape=(size, size), initializer="identity", name="reflectors"
        )
        minus_one = keras.initializers.Constant(-1.0)
        self.signs = self.add_weight(
            shape=(size,), initializer=minus_one, trainable=False, name="signs"
        )

    def orthogonal(self) -> Tensor:
        """Return H_1 ... H_D diag(signs)."""
        v = ops.convert_to_tensor(self.reflectors)
        gram = ops.matmul(ops.transpose(v), v)
        inverse_t = ops.triu(gram, k=1) + 0.5 * ops.diag(ops.diagonal(gram))
        product = ops.matmul(v, ops.solve_triangular(inverse_t, ops.transpose(v)))
        return (ops.eye(v.shape[0], dtype=v.dtype) - product) * self.signs


def householder_arrays(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return the weights of the `Householder` that equals an orthogonal matrix (D, D) to 1e-14.

    LAPACK's QR leaves the vectors below the diagonal of `raw`, each with v_j[j] = 1 left out, and
    an R that is diagonal, -1 or 1, since the matrix is orthogonal. It skips a reflection that has
    nothing to do (tau = 0); one of its own axis stands in for it and turns that sign.
    """
    raw, tau = np.linalg.qr(matrix, mode="raw")  # `raw` is in Fortran order: its transpose
    reflectors = np.tril(raw.T, -1) + np.eye(len(matrix))
    signs = np.sign(np.diag(raw))
    return {"reflectors": reflectors, "signs": np.where(tau == 0.0, -signs, signs)}

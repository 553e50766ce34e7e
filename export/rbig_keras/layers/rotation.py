"""Rotations of rows, reflections included: fixed, or trainable and orthogonal throughout."""

from __future__ import annotations

from typing import Any, Self

import keras
import numpy as np
from keras import ops

from rbig_keras.layers.base import Bijector
from rbig_keras.rows import checked_rows
from rbig_keras.special import Tensor, matmul

# Of q'q, in float32: what else is given as a rotation has a log-determinant.
ORTHOGONAL_TO = 1e-4


class _Rotation(Bijector):
    """y = x Q for the orthogonal Q (D, D) that `orthogonal` returns."""

    def orthogonal(self) -> Tensor:
        """Return Q."""
        raise NotImplementedError

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate rows."""
        return matmul(x, self.orthogonal()), ops.zeros_like(x[:, 0])

    def _inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate rows back."""
        return matmul(y, ops.transpose(self.orthogonal())), ops.zeros_like(y[:, 0])


@keras.saving.register_keras_serializable(package="rbig_keras")
class FixedOrtho(_Rotation):
    """y = x @ q, with the weight `q` (D, D), orthogonal and not trainable.

    Parameters
    ----------
    q : array (D, D), default=None
        None: the identity map of however many columns the rows have.
    **kwargs
        As for every Keras layer: name, dtype.

    Raises
    ------
    ValueError
        If q isn't square and orthogonal, and when built for other rows than (N, D).
    """

    q: Tensor

    def __init__(self, q: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if q is not None:
            start = self._checked(np.asarray(q, dtype=np.float64))
            self.build((None, len(start)))
            self.q.assign(start)

    @classmethod
    def from_pca(cls, x: Any, **kwargs: Any) -> Self:
        """Return the layer onto the principal axes of rows (N, D), largest variance first.

        Raises
        ------
        ValueError
            If x isn't (n, d) with n >= 2, or not finite.
        """
        rows = checked_rows("FixedOrtho.from_pca", x)
        covariance = np.cov(rows, rowvar=False, dtype=np.float64)
        return cls(np.linalg.eigh(np.atleast_2d(covariance))[1][:, ::-1], **kwargs)

    @classmethod
    def random_haar(cls, dim: int, seed: int | None = None, **kwargs: Any) -> Self:
        """Return a layer drawn uniformly from the orthogonal group.

        Mezzadri (2007), "How to generate random matrices from the classical compact groups".
        """
        q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))
        return cls(q * np.sign(np.diag(r)), **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        q = ops.convert_to_numpy(self.q).tolist() if self.built else None
        return {**super().get_config(), "q": q}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weight of the identity map, unless the layer was given q."""
        if self.built:
            if input_shape[-1] != self.q.shape[0]:
                raise ValueError(
                    f"{self.name}: q has {self.q.shape[0]} columns, the rows have {input_shape[-1]}"
                )
            return
        size = input_shape[-1]
        self.q = self.add_weight(
            shape=(size, size), initializer="identity", trainable=False, name="q"
        )

    def orthogonal(self) -> Tensor:
        """Return q."""
        return ops.convert_to_tensor(self.q)

    def _checked(self, q: np.ndarray) -> np.ndarray:
        if q.ndim != 2 or q.shape[0] != q.shape[1]:
            raise ValueError(f"{self.name}: q must be square, (d, d); got shape {q.shape}")
        error = np.abs(q.T @ q - np.eye(len(q))).max(initial=0.0)
        if not error <= ORTHOGONAL_TO:
            raise ValueError(f"{self.name}: q isn't orthogonal, q'q differs from 1 by {error:.2g}")
        return q


@keras.saving.register_keras_serializable(package="rbig_keras")
class Householder(_Rotation):
    """y = (x @ H_1 ... H_M) * signs, H_j = I - 2 v_j v_j' / v_j'v_j: orthogonal by construction.

    Weights: `v` (M, D), row j is v_j, trainable; `signs` (D,), -1 or 1, not trainable: M
    reflections make one half only of the orthogonal group. M = D reflectors make every orthogonal
    matrix; fewer leave D - M directions as they are. A new layer is a random rotation: its v are
    drawn from N(0, 1), by the seed of `keras.utils.set_random_seed`, its signs are 1.

    The product is I - V' T V with T^-1 = triu(VV', 1) + diag(VV') / 2, the compact WY form of
    Schreiber and Van Loan (1989), SIAM J. Sci. Stat. Comput. 10, 53-57.

    Parameters
    ----------
    num_reflectors : int, default=None
        M; None is D.
    **kwargs
        As for every Keras layer: name, dtype, trainable.

    Raises
    ------
    ValueError
        If M isn't at least 1.
    """

    of_columns = False  # of a file of format 1, which has reflectors in columns

    def __init__(self, num_reflectors: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_reflectors is not None and num_reflectors < 1:
            raise ValueError(f"{self.name}: num_reflectors must be 1 or more, got {num_reflectors}")
        self.num_reflectors = num_reflectors

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "num_reflectors": self.num_reflectors}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a layer from `get_config`'s result; format 1 has an initializer in it."""
        layer = super().from_config({k: v for k, v in config.items() if k != "initializer"})
        layer.of_columns = "initializer" in config
        return layer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights."""
        size: Any = input_shape[-1]
        # Made here, not in the constructor: initializers take their seed when they are made, and so
        # random starts are those of other packages.
        self.v = self.add_weight(
            shape=(self.num_reflectors or size, size),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="v",
        )
        self.signs = self.add_weight(
            shape=(size,), initializer="ones", trainable=False, name="signs"
        )

    def save_own_variables(self, store: Any) -> None:
        """Write the weights by name: format 1 numbered them."""
        store["v"], store["signs"] = map(ops.convert_to_numpy, (self.v, self.signs))

    def load_own_variables(self, store: Any) -> None:
        """Read the weights; those of format 1 have a reflector in each column."""
        columns = "0" in store
        self.v.assign(np.transpose(store["0"]) if columns else store["v"])
        self.signs.assign(store["1" if columns else "signs"])

    def orthogonal(self) -> Tensor:
        """Return H_1 ... H_M diag(signs)."""
        return _reflections(ops.transpose(self.v)) * self.signs


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


def householder_arrays(matrix: np.ndarray, num_reflectors: int | None = None) -> dict[str, Any]:
    """Return the weights of the `Householder` that equals an orthogonal matrix (D, D) to 1e-14.

    Of fewer reflectors than D the first columns of the matrix are made; the others are turned
    within the space left over. More than D reflect the first axis, whose sign makes up for it.

    LAPACK's QR leaves the vectors below the diagonal of `raw`, each with v_j[j] = 1 left out, and
    an R that is diagonal, -1 or 1, since the matrix is orthogonal. It skips a reflection that has
    nothing to do (tau = 0); one of its own axis stands in for it and turns that sign.
    """
    size = len(matrix)
    asked = num_reflectors or size
    used = min(asked, size)
    raw, tau = np.linalg.qr(matrix[:, :used], mode="raw")  # in Fortran order: transposed
    v = np.triu(raw, 1) + np.eye(used, size)
    signs = np.ones(size)
    signs[:used] = np.sign(np.diag(raw))
    signs[:used] = np.where(tau == 0.0, -signs[:used], signs[:used])
    signs[0] *= (-1.0) ** (asked - used)
    return {"v": np.vstack([v, np.tile(np.eye(1, size), (asked - used, 1))]), "signs": signs}

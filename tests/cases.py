"""Bijections of every kind, by name: the contract tests run over all of them."""

from dataclasses import replace

import numpy as np

from rbig_numba.bijections.affine import Affine
from rbig_numba.bijections.coupling import Coupling
from rbig_numba.bijections.joint import JointMixture
from rbig_numba.bijections.mixture import Mixture
from rbig_numba.bijections.radial import Radial
from rbig_numba.bijections.rotation import Rotation, pca_rotation, random_rotation

N_FEATURES = 3


def mixture_of(weights, means, scales):
    weights = np.array(weights, dtype=float)
    weights /= weights.sum(axis=1, keepdims=True)
    return Mixture(np.log(weights), np.array(means, dtype=float), np.log(scales))


def affine():
    return Affine(np.array([0.5, -3.0, 100.0]), np.array([1.0, 0.2, 30.0]))


def affine_extreme_scales():
    return Affine(np.array([1e-8, 0.0, -1e8]), np.array([1e-8, 3.0, 1e8]))


def affine_with_a_reach():
    return Affine(np.array([1e-8, 0.0, -1e8]), np.array([1e-8, 3.0, 1e8]), np.array(100.0))


def pca():
    a = np.random.default_rng(0).standard_normal((N_FEATURES, N_FEATURES))
    return pca_rotation(a @ a.T, 1000.0, np.random.RandomState(0))


def uniform_rotation():
    return random_rotation(N_FEATURES, np.random.RandomState(1))


def reflection():
    matrix = random_rotation(N_FEATURES, np.random.RandomState(2)).matrix.copy()
    matrix[:, 0] *= -np.linalg.det(matrix)
    return Rotation(matrix)


def mixture_single():
    ones = np.ones((N_FEATURES, 1))
    return mixture_of(ones, [[0.0], [2.0], [-1.0]], [[1.0], [0.3], [5.0]])


def mixture_with_background():
    rng = np.random.default_rng(3)
    weights = np.append(rng.uniform(0.5, 2.0, (N_FEATURES, 7)), np.full((N_FEATURES, 1), 1e-3), 1)
    means = np.append(rng.normal(size=(N_FEATURES, 7)), np.zeros((N_FEATURES, 1)), 1)
    scales = np.append(rng.uniform(0.1, 0.8, (N_FEATURES, 7)), np.full((N_FEATURES, 1), 2.0), 1)
    return mixture_of(weights, means, scales)


def mixture_far_modes():
    weights = [[1.0, 1.0, 1e-5]] * N_FEATURES
    return mixture_of(weights, [[-1.0, 1.0, 0.0]] * N_FEATURES, [[0.01, 0.02, 2.0]] * N_FEATURES)


def one_column():
    return mixture_of([[0.3, 0.6, 0.1]], [[-1.0, 0.5, 0.0]], [[0.2, 0.4, 2.0]])


def joint_of(weights, means, scales, seed=0, slope=0.5):
    """Return a mixture with random slopes; means (K, D), scales (K, D) or what broadcasts to it.

    Weights (K,) give shapes of one scale.
    """
    means = np.array(means, dtype=float)
    slopes = slope * np.random.default_rng(seed).standard_normal((*means.shape, means.shape[1]))
    weights = np.array(weights, dtype=float)[:, None] / np.sum(weights)
    log_scales = np.log(np.broadcast_to(scales, means.shape))
    log_sizes = np.zeros_like(weights)
    return JointMixture(np.log(weights), means, log_scales, np.tril(slopes, -1), log_sizes)


def with_sizes(joint, log_sizes, seed=0):
    """Return a mixture of one scale with several (S,), each about as likely as the others."""
    rng = np.random.default_rng(seed)
    shape = (len(joint.means), len(log_sizes))
    log_weights = joint.log_weights + np.log(rng.dirichlet(np.full(shape[1], 5.0), shape[0]))
    log_sizes = log_sizes + 0.1 * rng.standard_normal(shape)
    return JointMixture(log_weights, joint.means, joint.log_scales, joint.slopes, log_sizes)


def joint_with_background(joint, weight):
    """Return the mixture with a component more: wide enough to hold all rows far from the others.

    Between components alone, or beyond them where none is the widest in all directions, densities
    fall to exp(-1e5): z, a double, can't tell rows there from each other.
    """
    n_columns = joint.means.shape[1]
    return JointMixture(
        np.append(joint.log_weights + np.log1p(-weight), [[np.log(weight)]], axis=0),
        np.vstack([joint.means, np.zeros(n_columns)]),
        np.vstack([joint.log_scales, np.full(n_columns, np.log(4.0))]),
        np.concatenate([joint.slopes, np.zeros((1, n_columns, n_columns))]),
        np.zeros((len(joint.means) + 1, 1)),
    )


def joint_single():
    return joint_of([1.0], [[0.5, -1.0, 2.0]], [1.0, 0.2, 3.0])


def joint_overlapping():
    rng = np.random.default_rng(4)
    scales = rng.uniform(0.2, 0.8, (6, N_FEATURES))
    joint = joint_of(rng.uniform(0.2, 2.0, 6), rng.normal(size=(6, N_FEATURES)), scales)
    return joint_with_background(joint, 1e-3)


def joint_far_modes():
    means = [[-1.0, 1.0, 0.0], [1.0, -1.0, 1.0]]
    return joint_with_background(joint_of([1.0, 1.0], means, [[0.01], [0.02]]), 1e-3)


def joint_many_columns():
    rng = np.random.default_rng(5)
    means = 0.5 * rng.normal(size=(4, 14))
    joint = joint_of(rng.uniform(0.2, 2.0, 4), means, 0.7, slope=0.2)
    return joint_with_background(joint, 1e-3)


def joint_scales():
    return with_sizes(joint_overlapping(), [-1.0, 0.0, 1.0])


def joint_scales_many_columns():
    return with_sizes(joint_many_columns(), np.linspace(-1.0, 1.0, 6))


def joint_band():
    return replace(joint_scales(), first=np.array([2.0]))


def joint_one_column():
    return joint_of([0.3, 0.6, 0.1], [[-1.0], [0.5], [0.0]], [[0.2], [0.4], [2.0]])


def radial_of(groups, scale):
    """Three components and the wide one of few rows that a fit adds, about log sqrt(m)."""
    groups = np.array(groups, dtype=float)
    centres = 0.5 * np.log(np.unique(groups[groups >= 0], return_counts=True)[1])[:, None]
    weights = np.array([[0.3, 0.5, 0.199, 1e-3]] * len(centres))
    means = centres + scale * np.array([-0.9, 0.0, 1.2, 0.0])
    scales = scale * np.array([[0.8, 0.5, 0.6, 2.0]] * len(centres))
    return Radial(groups, np.log(weights), means, np.log(scales))


def radial_all():
    return radial_of(np.zeros(N_FEATURES), 0.6)


def radial_groups():
    return radial_of([1, 0, -1, 1, 0, 1, -1], 0.3)


def radial_wide():
    return radial_of(np.zeros(12), 0.3)


def coupling_of(given, n_features, seed=0):
    rng = np.random.default_rng(seed)
    given = np.array(given, dtype=float)
    n_given, n_other = int(given.sum()), int((1 - given).sum())
    projections = rng.normal(size=(n_given, n_features))
    location = 0.3 * rng.normal(size=(1 + n_features + n_given, n_other))
    log_scale = 0.3 * rng.normal(size=(1 + n_features, n_other))
    return Coupling(given, projections, rng.normal(size=n_features), location, log_scale)


def coupling():
    return coupling_of([1, 0, 1], 12)


def coupling_many_columns():
    return coupling_of([0, 1] * 6 + [1] * 3, 50)


CASES = {
    "affine": affine,
    "affine, scales 1e-8 and 1e8": affine_extreme_scales,
    "affine, logarithmic beyond 100": affine_with_a_reach,
    "pca rotation": pca,
    "random rotation": uniform_rotation,
    "rotation with determinant -1": reflection,
    "mixture, K = 1": mixture_single,
    "mixture, K = 8 with background": mixture_with_background,
    "mixture, narrow modes far apart": mixture_far_modes,
    "mixture, one column": one_column,
    "coupling": coupling,
    "coupling, 15 columns": coupling_many_columns,
    "joint mixture, K = 1": joint_single,
    "joint mixture, overlapping": joint_overlapping,
    "joint mixture, narrow modes far apart": joint_far_modes,
    "joint mixture, 14 columns": joint_many_columns,
    "joint mixture, one column": joint_one_column,
    "joint mixture, 3 scales": joint_scales,
    "joint mixture, 6 scales, 14 columns": joint_scales_many_columns,
    "joint mixture, of 3 columns amid others": joint_band,
    "radial, all columns": radial_all,
    "radial, two groups, columns left alone": radial_groups,
    "radial, 12 columns": radial_wide,
}


def width_of(bijection):
    """Return how many columns rows have; where a mixture is of some, two more come behind."""
    if isinstance(bijection, JointMixture):
        return bijection.band.stop + (2 if bijection.band.start else 0)
    return len(next(iter(bijection.arrays().values())))


def rows_of(bijection, n_rows, *, sd=1.0, seed=0):
    """Return rows at about sd standard deviations of what the bijection takes as normal."""
    width = width_of(bijection)
    rows = sd * np.random.default_rng(seed).standard_normal((n_rows, width))
    return bijection.inverse(rows)[0] if isinstance(bijection, Affine) else rows

"""Fitted Gaussianizations as Keras flows: the same arrays, one layer per bijection, trainable."""

from rbig_keras.convert import export_to_keras
from rbig_keras.flow import GaussianizationFlow
from rbig_keras.layers import (
    Affine,
    Bijector,
    Coupling,
    FixedOrtho,
    Householder,
    JointMixture,
    MixtureCDFGaussianization,
    Radial,
)
from rbig_keras.parity import Parity, parity

__all__ = [
    "Affine",
    "Bijector",
    "Coupling",
    "FixedOrtho",
    "GaussianizationFlow",
    "Householder",
    "JointMixture",
    "MixtureCDFGaussianization",
    "Parity",
    "Radial",
    "export_to_keras",
    "parity",
]

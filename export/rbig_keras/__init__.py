"""Fitted Gaussianizations as Keras flows: the same arrays, one layer per bijection, trainable."""

from rbig_keras.convert import export_to_keras
from rbig_keras.ensemble import MixtureOfFlows
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
    "MixtureOfFlows",
    "Parity",
    "Radial",
    "export_to_keras",
    "parity",
]

"""One Keras layer per bijection of the engine."""

from rbig_keras.layers.affine import Affine
from rbig_keras.layers.base import Bijector
from rbig_keras.layers.coupling import Coupling
from rbig_keras.layers.joint import JointMixture
from rbig_keras.layers.mixture import MixtureCDFGaussianization
from rbig_keras.layers.mixture_coupling import MixtureCDFCoupling
from rbig_keras.layers.radial import Radial
from rbig_keras.layers.rotation import FixedOrtho, Householder

__all__ = [
    "Affine",
    "Bijector",
    "Coupling",
    "FixedOrtho",
    "Householder",
    "JointMixture",
    "MixtureCDFCoupling",
    "MixtureCDFGaussianization",
    "Radial",
]

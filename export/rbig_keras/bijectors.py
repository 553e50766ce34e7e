"""The layers of a flow, and what couplings are made of."""

from rbig_keras.conditioners import (
    LogScaleClamp,
    default_half_mask,
    make_mlp_conditioner,
    make_shared_mlp_conditioner,
    sigmoid_log_scale_clamp,
    tanh_log_scale_clamp,
)
from rbig_keras.layers import (
    Affine,
    Bijector,
    Coupling,
    FixedOrtho,
    Householder,
    JointMixture,
    MixtureCDFCoupling,
    MixtureCDFGaussianization,
    Radial,
)

__all__ = [
    "Affine",
    "Bijector",
    "Coupling",
    "FixedOrtho",
    "Householder",
    "JointMixture",
    "LogScaleClamp",
    "MixtureCDFCoupling",
    "MixtureCDFGaussianization",
    "Radial",
    "default_half_mask",
    "make_mlp_conditioner",
    "make_shared_mlp_conditioner",
    "sigmoid_log_scale_clamp",
    "tanh_log_scale_clamp",
]

"""Fitted Gaussianizations as Keras flows: the same arrays, one layer per bijection, trainable."""

try:
    import keras  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"Keras needs {error.name}: pip install {error.name}, or name an installed backend in the "
        "environment: KERAS_BACKEND=tensorflow, jax or torch",
        name=error.name,
    ) from error

from rbig_keras.back import import_from_keras
from rbig_keras.bijectors import *  # noqa: F403
from rbig_keras.bijectors import __all__ as _bijectors
from rbig_keras.convert import export_to_keras
from rbig_keras.density import base_nll_loss
from rbig_keras.ensemble import MixtureOfFlows
from rbig_keras.factories import make_coupling_flow, make_gaussianization_flow
from rbig_keras.fine_tuning import fine_tune
from rbig_keras.flow import GaussianizationFlow
from rbig_keras.mixtures import MixtureOfGaussians
from rbig_keras.parity import Parity, parity
from rbig_keras.scorer import Scorer
from rbig_keras.warm_start import initialize_flow_from_ig

__all__ = [
    *_bijectors,
    "GaussianizationFlow",
    "MixtureOfFlows",
    "MixtureOfGaussians",
    "Parity",
    "Scorer",
    "base_nll_loss",
    "export_to_keras",
    "fine_tune",
    "import_from_keras",
    "initialize_flow_from_ig",
    "make_coupling_flow",
    "make_gaussianization_flow",
    "parity",
]

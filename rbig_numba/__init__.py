"""Rotation-based iterative Gaussianization (RBIG) of large tables, without gradients."""

from rbig_numba.estimator import RBIG

__all__ = ["RBIG"]
__version__ = "0.1.0"

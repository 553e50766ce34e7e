"""Rotation-based iterative Gaussianization (RBIG) of large tables, without gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rbig_numba.estimators.ensemble import RBIGEnsemble
    from rbig_numba.estimators.imputer import RBIGImputer
    from rbig_numba.estimators.rbig import RBIG
    from rbig_numba.fitting.cautions import DensityWarning
    from rbig_numba.warming import warm

__all__ = ["RBIG", "DensityWarning", "RBIGEnsemble", "RBIGImputer", "__version__", "warm"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Lazy: `rbig-numba --help` and a saved Keras flow need not wait for scikit-learn.
    if name == "RBIG":
        from rbig_numba.estimators.rbig import RBIG

        return RBIG
    if name == "RBIGEnsemble":
        from rbig_numba.estimators.ensemble import RBIGEnsemble

        return RBIGEnsemble
    if name == "RBIGImputer":
        from rbig_numba.estimators.imputer import RBIGImputer

        return RBIGImputer
    if name == "DensityWarning":
        from rbig_numba.fitting.cautions import DensityWarning

        return DensityWarning
    if name == "warm":
        from rbig_numba.warming import warm

        return warm
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

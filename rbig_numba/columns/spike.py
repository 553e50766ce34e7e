"""Values that repeat among others that do not: rain, capped incomes, fill values."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri_exp

from rbig_numba.bijections.mixture import Mixture, fit_column
from rbig_numba.columns.atoms import scores
from rbig_numba.columns.base import LOG_SQRT_2PI, Encoded, Kind
from rbig_numba.columns.shape import repeated, support_of
from rbig_numba.columns.support import Support
from rbig_numba.columns.survey import Survey

# Of the histogram and of the mixture that the continuous part is fitted by.
N_BINS, N_COMPONENTS = 512, 8
TINY = np.finfo(float).tiny


@dataclass(frozen=True, eq=False)
class Smooth:
    """The continuous part: a mixture of t = (s(x) - shift) / scale, s the map of its support.

    Attributes
    ----------
    low, high : float or None
        The support.
    shift, scale : float
    log_weights, means, log_scales : list of K floats
        The mixture, its background component included.
    """

    low: float | None
    high: float | None
    shift: float
    scale: float
    log_weights: list
    means: list
    log_scales: list

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return z = Phi^-1(F(x)) and log f(x)."""
        t, log_slope = Support(self.low, self.high).forward(x)
        z, log_det = self._mixture.forward(((t - self.shift) / self.scale)[:, None])
        z = z[:, 0]
        return z, log_det - 0.5 * z * z - LOG_SQRT_2PI + log_slope - np.log(self.scale)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """Return x."""
        t = self._mixture.inverse(z[:, None])[0][:, 0]
        return Support(self.low, self.high).inverse(t * self.scale + self.shift)

    def plain(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _mixture(self) -> Mixture:
        return Mixture(*(np.array([a]) for a in (self.log_weights, self.means, self.log_scales)))


def smooth_of(values: np.ndarray, weights: np.ndarray, support: Support) -> Smooth:
    """Fit values (n,), ascending, with weights in rows."""
    t, _ = support.forward(values)
    total = weights.sum()
    shift = float(weights @ t / total)
    scale = float(np.sqrt(weights @ (t - shift) ** 2 / total)) or 1.0
    t = (t - shift) / scale
    starts = np.unique(np.linspace(0, len(t), N_BINS, endpoint=False).astype(int))
    mass = np.add.reduceat(weights, starts)
    means = np.add.reduceat(weights * t, starts) / mass
    squares = np.add.reduceat(weights * t * t, starts) / mass
    bins = np.stack([mass, means, np.maximum(squares - means * means, 0.0)])
    n_components = int(np.clip(len(t) // 10, 1, N_COMPONENTS))
    mixture = fit_column(bins, n_components).tolist()
    return Smooth(support.low, support.high, shift, scale, *mixture)


@dataclass(frozen=True, eq=False)
class Spike(Kind):
    """Atoms, and between or beside them numbers with a density.

    Attributes
    ----------
    atoms : list of float, default=None
        Values that repeat; found if not given.
    shares : list of float, default=None
        Of the atoms; learned anew from each table.
    rest : Smooth, default=None
        The continuous part; learned anew from each table. Its support ends at an atom that lies
        close to it, at 0 if values come close, or nowhere.
    """

    kind: ClassVar[str] = "spike"
    atoms: list | None = None
    shares: list | None = None
    rest: Smooth | None = None

    def __post_init__(self) -> None:
        if isinstance(self.rest, dict):
            object.__setattr__(self, "rest", Smooth(**self.rest))
        if self.atoms is not None:
            object.__setattr__(self, "atoms", sorted(float(atom) for atom in self.atoms))

    def learn(self, survey: Survey) -> Spike:
        """Return the kind with its atoms, their shares and the continuous part."""
        values, weights = survey.sample
        atoms = self.atoms if self.atoms is not None else repeated(survey).tolist()
        if not atoms:
            raise ValueError("no value repeats far more than those beside it: take 'real'")
        total = weights.sum()
        masses = [float(weights[values == atom].sum()) for atom in atoms]
        between = ~np.isin(values, atoms)
        if between.sum() < 2 or values[between][0] == values[between][-1]:
            raise ValueError("it has no other values than atoms: take 'ordered'")
        support = support_of(values[between], atoms)
        rest = smooth_of(values[between], weights[between], support)
        # An atom that was stated but never met counts as half a row.
        masses = [mass or 0.5 for mass in masses]
        return replace(self, atoms=atoms, shares=[m / total for m in masses], rest=rest)

    def encode(self, x: np.ndarray, v: np.ndarray) -> Encoded:
        """Return y, and the log of an atom's jump, or of the density elsewhere, over phi(y)."""
        laid, y, log_mass = self._laid, np.full(len(x), np.nan), np.full(len(x), np.nan)
        atomic = self.has_jump(x)
        if (other := ~atomic & ~np.isnan(x)).any():
            assert self.rest is not None
            z, log_density = self.rest.forward(x[other])
            number = np.searchsorted(laid.values, x[other])
            with np.errstate(divide="ignore"):
                lower = np.logaddexp(np.log(laid.below[number]), laid.log_rest + log_ndtr(z))
                upper = np.logaddexp(np.log(laid.above[number]), laid.log_rest + log_ndtr(-z))
            y[other] = np.where(lower <= upper, ndtri_exp(lower), -ndtri_exp(upper))
            log_mass[other] = laid.log_rest + log_density
        number = np.searchsorted(laid.values, x[atomic])
        share, places = laid.shares[number], v[atomic]
        lower, upper = (
            laid.lower[number] + places * share,
            laid.upper[number] + (1 - places) * share,
        )
        y[atomic] = scores(lower, upper)
        log_mass[atomic] = np.log(share)
        return Encoded(y, log_mass + 0.5 * y * y + LOG_SQRT_2PI)

    def decode(self, y: np.ndarray) -> np.ndarray:
        """Return the atom in whose jump y lies, or the number between."""
        assert self.rest is not None
        laid = self._laid
        starts = scores(laid.lower, laid.upper + laid.shares)
        ends = scores(laid.lower + laid.shares, laid.upper)
        number = np.searchsorted(ends, y)  # atoms whose jumps lie below
        atomic = starts[np.minimum(number, len(starts) - 1)] <= y
        atomic &= number < len(starts)
        x = np.full(len(y), np.nan)
        x[atomic] = laid.values[number[atomic]]
        if (other := ~atomic & ~np.isnan(y)).any():
            x[other] = self.rest.inverse(self._between(y[other], number[other]))
        return x

    def has_jump(self, x: np.ndarray) -> np.ndarray:
        """Return which are atoms."""
        return np.isin(x, self._laid.values)

    def outside(self, x: np.ndarray) -> np.ndarray:
        """Return which are no atoms and not in the support of the others."""
        assert self.rest is not None
        return ~self.has_jump(x) & Support(self.rest.low, self.rest.high).outside(x)

    @property
    def jumps(self) -> bool:
        """Whether there are atoms, or steps."""
        return True

    @property
    def scored(self) -> bool:
        """Whether encoded atoms are normal scores."""
        return True

    @property
    def about(self) -> str:
        """Atoms and their shares, and where other values lie."""
        if self.atoms is None or self.shares is None or self.rest is None:
            return "" if self.atoms is None else ", ".join(f"{atom:g}" for atom in self.atoms)
        atoms = zip(self.atoms, self.shares, strict=True)
        listed = ", ".join(f"{atom:g} ({share:.1%})" for atom, share in atoms)
        return f"{listed}; others {Support(self.rest.low, self.rest.high)}"

    @property
    def allowed(self) -> str:
        """Atoms, and where other values lie."""
        assert self.atoms is not None
        assert self.rest is not None
        atoms = ", ".join(f"{atom:g}" for atom in self.atoms)
        return f"{atoms} or numbers {Support(self.rest.low, self.rest.high)}"

    def _between(self, y: np.ndarray, number: np.ndarray) -> np.ndarray:
        """Return z of numbers that lie between atoms, `number` of which are below."""
        laid = self._laid
        below, above = laid.below[number], laid.above[number]
        # Without atoms on a side to the last digit; next to one rounding may leave nothing.
        lower = np.where(below > 0.0, _log(ndtr(y) - below), log_ndtr(y)) - laid.log_rest
        upper = np.where(above > 0.0, _log(ndtr(-y) - above), log_ndtr(-y)) - laid.log_rest
        nearest = np.minimum(np.minimum(lower, upper), np.log(0.5))
        return np.where(lower <= upper, ndtri_exp(nearest), -ndtri_exp(nearest))

    @cached_property
    def _laid(self) -> _Laid:
        """The jumps, laid out along the distribution function."""
        assert self.rest is not None
        values, shares = np.array(self.atoms), np.array(self.shares)
        log_rest = float(np.log1p(-shares.sum()))
        below = np.concatenate([[0.0], np.cumsum(shares)])
        above = np.concatenate([np.cumsum(shares[::-1])[::-1], [0.0]])
        low, high = self.rest.low, self.rest.high
        z = np.where(values <= (-np.inf if low is None else low), -np.inf, np.inf)
        inside = ~Support(low, high).outside(values)
        z[inside] = self.rest.forward(values[inside])[0]
        lower = below[:-1] + np.exp(log_rest) * ndtr(z)
        upper = above[1:] + np.exp(log_rest) * ndtr(-z)
        return _Laid(values, shares, log_rest, below, above, lower, upper)


class _Laid(NamedTuple):
    """Atoms (A,), their shares, and the log-share of all else; masses of atoms below and above.

    `below` and `above` are (A + 1,): of the atoms alone, by how many lie below. `lower` and `upper`
    (A,) are all mass below the jump of an atom and above it.
    """

    values: np.ndarray
    shares: np.ndarray
    log_rest: float
    below: np.ndarray
    above: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def _log(mass: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(mass, TINY))

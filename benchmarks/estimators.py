"""The estimators that the judge compares."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from benchmarks.harness import timed
from benchmarks.judging import WIDE, Judge, LeftOut, Score, Table, kinds_kept
from benchmarks.notebook import Notebook
from rbig_numba import RBIG, RBIGEnsemble
from rbig_numba.fitting import candidates

SIZES = (5, 10, 20, 40)
# Rows that scikit-learn's mixtures are fitted to at most: they cost 50 s for four sizes then.
MIXTURE_ROWS = 100_000
# Rows times squared columns beyond which these are left out: 16,000 x 100 did not end within 300 s,
# beside other work, nor 90,000 x 63 within 700 s.
MIXTURE_WORK = 1e8
AXES = (5, 10, 20, 40, 80, 160)
# It took 25 minutes for the 63 columns of image patches.
NOTEBOOK_COLUMNS = 20
# Enough to compile by: from 16 columns on rotations need other kernels, and no more come.
FEW_ROWS, FEW_COLUMNS = 1000, 20


def gaussian(table: Table) -> Score:
    model = GaussianMixture(1)
    seconds, _ = timed(lambda: model.fit(table.train))
    return Score(model.score_samples(table.test), seconds)


def shrunk(table: Table) -> Score:
    """One Gaussian, its covariance shrunk as far as Ledoit and Wolf (2004) say."""
    model = LedoitWolf()
    seconds, _ = timed(lambda: model.fit(table.train))
    log_det = np.linalg.slogdet(2.0 * np.pi * model.covariance_)[1]
    log_prob = -0.5 * (log_det + model.mahalanobis(table.test))
    return Score(log_prob, seconds, f"shrinkage {model.shrinkage_:.2g}")


def principal(table: Table) -> Score:
    """Probabilistic PCA, its axes' number chosen by the validation rows; seconds of all fits."""

    def fit() -> PCA:
        sizes = [size for size in AXES if size < min(table.train.shape)]
        models = [PCA(size, random_state=0).fit(table.train) for size in sizes]
        return max(models, key=lambda model: model.score(table.validation))

    seconds, model = timed(fit)
    return Score(model.score_samples(table.test), seconds, f"{model.n_components_} axes")


def mixture(table: Table) -> Score:
    """Full covariances, their number chosen by the validation rows; seconds of all fits."""
    some = table.train[:MIXTURE_ROWS]
    if some.size * some.shape[1] > MIXTURE_WORK:
        raise LeftOut(f"takes over 300 s beyond {MIXTURE_WORK:.0e} rows times squared columns")

    def fit() -> GaussianMixture:
        models = [GaussianMixture(k, random_state=0).fit(some) for k in SIZES]
        return max(models, key=lambda model: model.score(table.validation))

    seconds, model = timed(fit)
    return Score(model.score_samples(table.test), seconds, f"K = {model.n_components}")


def notebook(table: Table) -> Score:
    if table.train.shape[1] > NOTEBOOK_COLUMNS:
        raise LeftOut(f"takes 25 minutes on tables of more than {NOTEBOOK_COLUMNS} columns")
    model = Notebook(8, 8)
    seconds, _ = timed(lambda: model.fit(table.train))
    return Score(model.score_samples(table.test), seconds, "8 blocks")


@cache
def compile_kernels(n_columns: int) -> None:
    """Fit every kind of block to a few rows; how many columns decides on rotations' kernels."""
    rows = np.random.default_rng(0).gamma(2.0, size=(FEW_ROWS, n_columns))
    rows[:, n_columns // 2 :] += rows[:, : n_columns - n_columns // 2] ** 2
    for kind in candidates.KINDS:
        RBIG(blocks=["mixture", kind], random_state=0).fit(rows)


def rbig(build: Callable[[], Any]) -> Judge:
    """Return the judge of a model of this package; it holds out rows itself."""

    def score(table: Table) -> Score:
        rows = np.concatenate([table.train, table.validation])
        compile_kernels(min(rows.shape[1], FEW_COLUMNS))
        model = build()
        seconds, _ = timed(lambda: model.fit(rows))
        members = getattr(model, "estimators_", [model])
        history = [record for member in members for record in member.history_]
        return Score(model.score_samples(table.test), seconds, kinds_kept(history))

    return score


def zuko(kind: str, max_seconds: float) -> Judge:
    """Return the judge of a flow of `benchmarks.flows`, trained for so long at most."""

    def score(table: Table) -> Score:
        try:
            from benchmarks import flows
        except ModuleNotFoundError as error:
            raise LeftOut(f"{error.name} is not installed: it comes with the extra bench") from None
        return flows.flow(getattr(flows, kind), max_seconds)(table)

    return score


def only(judge: Judge, *, wide: bool) -> Judge:
    """Return a judge of wide tables only, or of the others."""

    def score(table: Table) -> Score:
        if table.wide != wide:
            raise LeftOut(f"for tables of {'at least' if wide else 'fewer than'} {WIDE} columns")
        return judge(table)

    return score


def estimators(flow_seconds: float) -> dict[str, Judge]:
    """Return all of them by name."""
    return {
        "Gaussian": gaussian,
        "LedoitWolf": only(shrunk, wide=True),
        "PPCA": only(principal, wide=True),
        "GMM": mixture,
        "notebook": notebook,
        "RBIG classic": rbig(lambda: RBIG(rotation="pca", blocks="classic", random_state=0)),
        "RBIG": rbig(lambda: RBIG(random_state=0)),
        "RBIGEnsemble": only(rbig(lambda: RBIGEnsemble(random_state=0)), wide=False),
        "zuko GF": only(zuko("gf", flow_seconds), wide=False),
        "zuko NSF": only(zuko("nsf", flow_seconds), wide=False),
    }

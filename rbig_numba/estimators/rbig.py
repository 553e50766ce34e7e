"""The scikit-learn face of the engine; no formulas here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils.validation import check_is_fitted

from rbig_numba.checks.parameters import check_parameters
from rbig_numba.checks.seeds import random_state_of
from rbig_numba.checks.validation import check_latent
from rbig_numba.estimators.holes import HolesDensity
from rbig_numba.estimators.metadata import described, restored
from rbig_numba.files import AnyPath, as_path

if TYPE_CHECKING:
    from rbig_numba.chunks.local import LocalRows
    from rbig_numba.columns.schema import Columns
    from rbig_numba.flow import Flow
    from rbig_numba.profile import Report


class RBIG(ClassNamePrefixFeaturesOutMixin, TransformerMixin, HolesDensity):
    """Rotation-based iterative Gaussianization: an exact density fitted without gradients.

    Alternates a rotation of the columns with a Gaussianization of each of them by a mixture of
    Gaussians, until rows are N(0, I) [1]_. The composition is a bijection with a known
    Jacobian: it gives log-densities, samples and a latent space.

    Parameters
    ----------
    n_blocks : int, default=50
        Blocks at most; of competing ones 3200 / D, and 6 at least, from 64 columns on. Exactly so
        many "classic" ones if nothing is held out.
    n_components : int, default=8
        Gaussians fitted per column and block. A wide background component of 20 rows' weight comes
        on top and keeps tails in bounds. Tables of under 5 rows per component get fewer.
    rotation : {"auto", "ica", "sliced", "pca", "random"}, default="auto"
        Of "mixture" blocks. "pca" takes principal axes, those that the data don't determine drawn
        at random; "random" draws all. From the principal ones the others search on a sample for
        axes along which rows are least Gaussian, for fewer blocks and a better density: "ica" plane
        by plane, for 0.1 s a block at 10 columns; "sliced" up to 32 directions, for a second at 500
        columns. "auto" takes "ica" up to 15 columns, and "sliced" beyond.
    blocks : {"auto", "classic"} or list of str, default="auto"
        Kinds of blocks: "mixture" (a rotation, but for the first block, then a mixture for each
        column), "joint" (one mixture with full covariances over all columns, as an exact bijection
        [2]_), "radial" (the radius of groups of columns whose sizes move together), "coupling"
        (mean and scale of some columns given the others) and "whitening" (by a shrunk covariance;
        "auto" takes it from 16 columns on). With "auto" openings compete on few rows, then the kind
        that gains most on held-out rows is taken, until none gains (docs/blocks.md). "classic"
        takes "mixture" only. A list gives the kinds one by one, and is cut back to the best length.
    refit : bool, default=False
        Whether the blocks chosen are fitted once more to all rows, held-out ones included.
    max_seconds : float, default=None
        Time for the fit: searches, and steps over all rows, are given up where it is over, and the
        fit ends with the blocks it has; if it has none, with a whitening of a few rows. What is
        fitted then depends on the machine. The table is read in any case, and a step over a Dask
        collection is not cut short.
    validation_fraction : float, default=0.1
        Share of the rows held out to choose the number of blocks; 0 fits all rows. Rows are drawn
        by their content, so that equal rows are held out together.
    n_iter_no_change : int, default=6
        Stop after so many blocks without a gain.
    tol : float, default=2e-3
        What counts as a gain, in held-out nats per row.
    random_state : int, RandomState, Generator or None, default=None
        Draws held-out rows, rotations, features of couplings, and the rows of searches.
    n_jobs : int or None, default=-1
        Threads; -1 is one per core. Results have the same bits for any number.
    verbose : bool, default=False
        Show a progress bar with the held-out log-likelihood and what is being done; a line every
        two seconds where stderr is no terminal.
    columns : None, "auto", dict or Columns, default=None
        What columns hold: whole numbers, zeros among other numbers, bounds, angles, classes, text.
        None takes all for continuous numbers; "auto" proposes a kind for each, a dict gives those
        of some by name or number, {"rain": "spike"}, and `rbig_numba.columns.Columns` those of all.
        Log-densities are then probabilities where values repeat, and samples hold valid values
        (docs/columns.md).
    missing : {None, "error", "drop", "model"}, default=None
        What to do with missing cells: NaN, None, NA, null and masked ones, of tables in memory.
        "error", and None, refuse them. "drop" fits whole rows only, and warns of how many others
        there are. "model" fits all cells that are there, and scores and imputes rows with holes
        (docs/missing.md); columns, and a joint mixture of them, go first (`blocks`), and `refit` is
        not available.

    Attributes
    ----------
    columns_ : Columns or None
        The kinds of columns, learned; None without `columns`.
    flow_ : Flow
        The fitted bijections.
    history_ : list of dict
        For each block tried: "block" (from 1), "kind", "about" (columns or groups involved, if not
        all alike, or components), "train" and "held_out" (mean log-density in nats, the latter None
        without held-out rows), "gain" (nats over the block before),
        "seconds", "kept", and "profile", thread-seconds by stage; those of "search" and "joint"
        (of blocks that competed) and "grid" (of histograms) are elapsed ones. `train` and
        `held_out` are those of the fit before `refit`.
    n_features_in_ : int
        Columns.
    n_samples_fit_ : int
        Rows, held-out ones included, those of weight 0 not.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if `fit` got names.
    missing_ : ndarray of shape (n_features_in_,)
        Shares of the rows in which each column is missing, if `missing` is "drop" or "model".

    References
    ----------
    .. [1] Laparra, Camps-Valls, Malo (2011), "Iterative Gaussianization: from ICA to random
       rotations", IEEE Trans. Neural Networks 22(4), arXiv:1602.00229.
    .. [2] Rosenblatt (1952), "Remarks on a multivariate transformation", Annals of Mathematical
       Statistics 23(3), 470-472.

    Examples
    --------
    >>> import numpy as np
    >>> from rbig_numba import RBIG
    >>> X = np.random.default_rng(0).gamma(2.0, size=(1000, 3))
    >>> model = RBIG(n_blocks=5, random_state=0).fit(X)
    >>> model.score_samples(X).shape
    (1000,)
    """

    columns_: Columns | None

    def __init__(
        self,
        n_blocks: int = 50,
        *,
        n_components: int = 8,
        rotation: str = "auto",
        blocks: str | Sequence[str] = "auto",
        refit: bool = False,
        max_seconds: float | None = None,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 6,
        tol: float = 2e-3,
        random_state: Any = None,
        n_jobs: int | None = -1,
        verbose: bool = False,
        columns: Any = None,
        missing: str | None = None,
    ) -> None:
        self.n_blocks = n_blocks
        self.n_components = n_components
        self.rotation = rotation
        self.blocks = blocks
        self.refit = refit
        self.max_seconds = max_seconds
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.columns = columns
        self.missing = missing

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> RBIG:
        """Fit the flow to rows.

        Parameters
        ----------
        X : array-like of shape (N, D), path(s), TableFile, or Dask array or DataFrame
            Continuous numbers, N >= 2; no column constant. Arrays, DataFrames (pandas, Polars),
            Arrow tables and xarray.DataArray are copied once, in float32 if they have it;
            booleans are 0 and 1. Memory-mapped arrays and files (CSV, Parquet, Arrow, .npy; a
            folder, a glob or a list of paths; `rbig_numba.tables.open_table` leaves columns out)
            are read once, block by block, into a temporary file in TMPDIR, so that memory does
            not grow with N. A Dask collection stays on its workers.
        y : None
            Ignored.
        sample_weight : array-like of shape (N,), default=None
            Whole numbers count rows: 2 is a row twice, 0 none. Others are importance weights of any
            scale, and made to add up to Kish's effective number of rows, with a warning. For a Dask
            collection a Dask array.

        Returns
        -------
        RBIG
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            For impossible parameters or tables, before any work.
        """
        before = self.__dict__.copy()
        try:
            return self._fit(X, sample_weight)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def fit_more(self, X: Any, y: Any = None, sample_weight: Any = None) -> RBIG:
        """Fit further blocks to the latent rows of a fitted model, and append those that gain.

        For a model that stopped early, that meets other rows, or that comes back from training by
        gradients. Blocks are fitted as by `fit`, with the model's parameters; what was fitted stays
        as it is. `history_` goes on, "gain" of the first block being that over the model so far.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`, with the columns of the fit.

        Returns
        -------
        RBIG
            The estimator itself.

        Raises
        ------
        NotFittedError
            If the model isn't fitted.
        ValueError, TypeError
            As for `fit`, and for other columns.
        """
        check_is_fitted(self)
        more = clone(self).set_params(random_state=self.random_state)._fit(X, sample_weight, self)
        self.flow_, self.history_ = more.flow_, more.history_
        self.n_samples_fit_ += more.n_samples_fit_
        return self

    def _fit(self, X: Any, sample_weight: Any, fitted: RBIG | None = None) -> RBIG:
        check_parameters(self)
        random_state = random_state_of(self.random_state)

        from rbig_numba.estimators import inputs
        from rbig_numba.fitting.candidates import Plan
        from rbig_numba.fitting.loop import Start, fit_flow, joined, refit_flow, sample_size
        from rbig_numba.fitting.splitting import split_rows
        from rbig_numba.missing.fitting import fit_holes
        from rbig_numba.profile import TimeIsUp, deadline_in, within
        from rbig_numba.threads import one_blas_thread

        deadline, started = deadline_in(self.max_seconds), time.perf_counter()
        asked = self.columns if fitted is None else fitted.columns_
        names: Any = None
        if asked is None:
            load, self.columns_ = inputs.loader(self, X, sample_weight), None
            names = getattr(self, "feature_names_in_", None)
        elif self.missing in ("drop", "model"):
            raise ValueError(
                f"missing={self.missing!r} takes no columns yet: leave one of them out"
            )
        else:
            from rbig_numba.estimators import encoded

            load, self.columns_ = encoded.loader(self, X, sample_weight, asked, random_state)
            names = [entry.name for entry in self.columns_.kept]
        start: tuple = ()
        history: list[dict] = []
        if fitted is not None:
            inputs.check_same_columns(self, fitted)
            start, history = fitted.flow_.bijections, fitted.history_
        plan = Plan(
            self.n_blocks if isinstance(self.blocks, str) else len(self.blocks),
            self.blocks if isinstance(self.blocks, str) else tuple(self.blocks),
            self.n_components,
            self.rotation,
            self.n_iter_no_change,
            self.tol,
            self.n_jobs,
        )
        fraction = self.validation_fraction
        with one_blas_thread, _progress(plan.n_blocks, verbose=self.verbose) as report:
            split, rows = split_rows(load, sample_size(plan), fraction, random_state, names)
            reading = time.perf_counter() - started
            if self.missing == "model":
                found = fit_holes(
                    cast("LocalRows", rows), plan, random_state, deadline, report, start
                )
            else:
                found = fit_flow(rows, plan, random_state, deadline, report, Start(start))
            flow = found.flow
            if self.refit and split.limit and found.finishes and deadline.allows(reading):
                report.doing("fitting all rows again")
                with within(deadline), suppress(TimeIsUp):
                    again = load(split._replace(limit=0))
                    flow = refit_flow(again, plan, found.finishes, start)
        self.flow_, self.history_ = flow, joined(history, found.history)
        self.n_samples_fit_ = int(rows.summary.counts.sum())
        return self

    def transform(self, X: Any) -> Any:
        """Map rows (N, D) to latent rows (N, D), which are N(0, I) if the fit is good.

        Rows must be whole: `impute` fills holes. X may be what `fit` takes; of files the columns of
        the fit are taken, by name. A Dask collection gives a lazy Dask array. With `columns`, D
        counts columns that are not left out, and an atom lies in its jump where the row's number
        says: the fitted table has the latent rows that the fit saw.
        """
        check_is_fitted(self)

        def latent(rows: np.ndarray, n_jobs: int | None) -> np.ndarray:
            return self.flow_.forward(rows, n_jobs)[0].astype(rows.dtype, copy=False)

        return self._apply(latent, X, scalar=False)

    def inverse_transform(self, Z: Any) -> Any:
        """Map latent rows (N, D) back to rows (N, D), of the fitted table's kind with `columns`."""
        check_is_fitted(self)
        latent = check_latent(Z, self._n_features_out)
        rows = self.flow_.inverse(latent, self.n_jobs)[0].astype(latent.dtype, copy=False)
        return self._drawn(rows)

    def save(self, path: AnyPath) -> None:
        """Write the fitted model to one file, without pickle; see `rbig_numba.storage`.

        A `random_state` that is no integer is not kept: it says nothing once the fit is done.
        """
        check_is_fitted(self)
        from rbig_numba.storage import save_flows

        save_flows(path, [self.flow_], described(self))

    @classmethod
    def load(cls, path: AnyPath) -> RBIG:
        """Read a model that `save` wrote; ValueError says what is wrong with any other file."""
        from rbig_numba.storage import load_flows

        flows, metadata = load_flows(path)
        if "members" in metadata:
            raise ValueError(
                f"{as_path(path)} holds an average of models: load it with RBIGEnsemble"
            )
        return restored(cls, flows[0], metadata)

    @property
    def _density(self) -> Flow:
        return self.flow_

    @property
    def _n_features_out(self) -> int:
        return self.flow_.n_features


def _progress(n_blocks: int, *, verbose: bool) -> AbstractContextManager[Report]:
    if not verbose:
        from rbig_numba.profile import SILENT

        return nullcontext(SILENT)
    from rbig_numba.progress import progress_bar

    return progress_bar(n_blocks)

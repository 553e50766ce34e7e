"""The commands. What a command needs is imported by the command, so that help comes at once."""

from __future__ import annotations

import csv
import importlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbig_numba import __version__
from rbig_numba.files import as_path, check_writable, replacing

if TYPE_CHECKING:
    from rbig_numba.estimators.density import DensityEstimator

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Fit the density of a table of numbers without gradients, and use it.",
)

TABLE_HELP = (
    "CSV (.csv, .tsv, also .gz), Parquet, Feather, Arrow or .npy file of numbers, a folder of "
    "Parquet files, a glob in quotes; several are one table."
)
Table = Annotated[list[Path], typer.Argument(metavar="TABLE", help=TABLE_HELP)]
Drop = Annotated[
    str, typer.Option(metavar="NAME[,NAME...]", help="Columns of TABLE to leave out, as text ones.")
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Model file, from 'fit'.")]
Seed = Annotated[int | None, typer.Option(metavar="INT", help="Seed; none: other rows each time.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="File as TABLE; none: CSV to standard output."),
]


@app.callback(invoke_without_command=True)
def about(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version, or ask for a command."""
    if version:
        typer.echo(f"rbig-numba {__version__}")
    elif context.invoked_subcommand is None:
        raise typer.TyperException("name a command: see rbig-numba --help")


@app.command()
def fit(
    table: Table,
    output: Annotated[Path, typer.Option("--output", "-o", help="Model file to write: *.rbig.")],
    drop: Drop = "",
    n_blocks: Annotated[int | None, typer.Option(help="Blocks at most.")] = None,
    n_components: Annotated[int | None, typer.Option(help="Gaussians per column.")] = None,
    rotation: Annotated[
        str | None, typer.Option(help="Rotation: auto, ica, sliced, pca or random.")
    ] = None,
    blocks: Annotated[
        str | None,
        typer.Option(help="auto, classic, or kinds with commas: mixture,joint,radial,coupling."),
    ] = None,
    refit: Annotated[
        bool | None, typer.Option("--refit", help="Fit the blocks chosen to all rows again.")
    ] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Time for the fit.")] = None,
    validation_fraction: Annotated[
        float | None, typer.Option(help="Share of rows held out to stop; 0: never stop early.")
    ] = None,
    n_iter_no_change: Annotated[
        int | None, typer.Option(help="Blocks without a gain before stopping.")
    ] = None,
    tol: Annotated[float | None, typer.Option(help="Least gain, held-out nats per row.")] = None,
    random_state: Annotated[int | None, typer.Option(help="Seed.")] = None,
    n_jobs: Annotated[int | None, typer.Option(help="Threads; -1: one for each core.")] = None,
    n_estimators: Annotated[
        int | None, typer.Option(help="Fits whose densities are averaged; none: a single fit.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
) -> None:
    """Fit a model to TABLE. Options left out have the defaults of the class RBIG."""
    given: dict[str, Any] = {
        "n_blocks": n_blocks,
        "n_components": n_components,
        "rotation": rotation,
        "blocks": blocks if blocks in (None, "auto", "classic") else blocks.split(","),
        "refit": refit,
        "max_seconds": max_seconds,
        "validation_fraction": validation_fraction,
        "n_iter_no_change": n_iter_no_change,
        "tol": tol,
        "random_state": random_state,
        "n_jobs": n_jobs,
    }
    _check_output(output, [".rbig"])
    from rbig_numba.cli.report import outcome
    from rbig_numba.estimators.ensemble import RBIGEnsemble
    from rbig_numba.estimators.rbig import RBIG
    from rbig_numba.tables import open_table

    start = time.perf_counter()
    model = RBIG(**{k: v for k, v in given.items() if v is not None}, verbose=not quiet)
    if n_estimators is not None:
        model = RBIGEnsemble(model, n_estimators, random_state=random_state, n_jobs=model.n_jobs)
    model.fit(open_table(table, drop=_columns(drop)))
    seconds = time.perf_counter() - start
    model.save(output)
    if not quiet:
        shape = f"{model.n_samples_fit_} rows, {model.n_features_in_} columns"
        say(f"{shape}, {outcome(model)}, {seconds:.1f} s: {output}")


@app.command()
def score(model: Model, table: Table, output: Output = None, drop: Drop = "") -> None:
    """Write the log-density of each row of TABLE, in nats.

    Columns of TABLE are taken by the names of the fit, and may be more than these.
    """
    from rbig_numba.cli.streams import map_blocks, write_blocks
    from rbig_numba.estimators.inputs import choose
    from rbig_numba.tables import find_table

    _check_output(output, table=table)
    fitted = _load(model)
    rows = choose(fitted, find_table(table), fitting=False, drop=_columns(drop))
    blocks = map_blocks(lambda rows: fitted.score_samples(rows)[:, None], rows)
    write_blocks(output, blocks, ["log_prob"])


@app.command()
def transform(
    model: Model,
    table: Table,
    output: Output = None,
    drop: Drop = "",
    inverse: Annotated[bool, typer.Option("--inverse", help="From latent rows to data.")] = False,
) -> None:
    """Write the latent rows of TABLE, each column N(0, 1).

    Columns of TABLE are taken by the names of the fit, and may be more than these.
    """
    from rbig_numba.cli.streams import map_blocks, write_blocks
    from rbig_numba.estimators.inputs import choose
    from rbig_numba.tables import find_table, open_table

    _check_output(output, table=table)
    fitted = _load(model)
    if not hasattr(fitted, "transform"):
        raise ValueError(f"{model} holds an average of models, which has no latent space")
    if inverse:
        latent = open_table(table, drop=_columns(drop))
        blocks = map_blocks(fitted.inverse_transform, latent, named=False)
        write_blocks(output, blocks, _names(fitted))
    else:
        rows = choose(fitted, find_table(table), fitting=False, drop=_columns(drop))
        blocks = map_blocks(fitted.transform, rows)
        write_blocks(output, blocks, list(fitted.get_feature_names_out()))


@app.command()
def sample(
    model: Model,
    n_samples: Annotated[int, typer.Option("--n-samples", "-n", help="Rows to draw.")] = 1000,
    random_state: Seed = None,
    output: Output = None,
) -> None:
    """Draw rows from the fitted density."""
    from rbig_numba.cli.streams import sampled_blocks, write_blocks

    _check_output(output)
    fitted = _load(model)
    write_blocks(output, sampled_blocks(fitted, n_samples, random_state), _names(fitted))


@app.command()
def export(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="Keras file to write: *.keras.")],
    dtype: Annotated[str, typer.Option(help="Floats of the flow: float32 or float64.")] = "float32",
) -> None:
    """Write the model as a Keras flow that can be trained further."""
    _check_output(output, [".keras"])
    fitted = _load(model)
    flow = _exporter().export_to_keras(fitted, dtype=dtype)
    with replacing(output) as fresh:
        flow.save(fresh)


@app.command()
def warm(
    native: Annotated[
        bool,
        typer.Option("--native", help="For this very processor, whatever came with the package."),
    ] = False,
    n_jobs: Annotated[int, typer.Option(help="Processes; -1: one for each core.")] = -1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
) -> None:
    """Compile ahead what a first fit would compile: for checkouts, images and workers."""
    from rbig_numba.kernels.cache import user_folder
    from rbig_numba.warming import warm

    start = time.perf_counter()
    count = warm(native=native, n_jobs=n_jobs, verbose=not quiet)
    if not quiet:
        seconds = time.perf_counter() - start
        done = f"{count} kernels compiled, {seconds:.1f} s: {user_folder()}"
        say(done if count else "all kernels are compiled already")


@app.command()
def info(model: Model) -> None:
    """Show what a model file holds and how the fit went."""
    from rbig_numba.cli.report import print_report

    print_report(as_path(model), _load(model))


def _load(path: Path) -> Any:
    from rbig_numba.estimators.ensemble import load_model

    return load_model(path)


def _check_output(
    path: Path | None, suffixes: Sequence[str] = (), table: Sequence[Path] = ()
) -> None:
    """Refuse, before any work, an output that can't be written or that a command doesn't make.

    Nor may it be a file of the table that is read.
    """
    from rbig_numba.tables import SUFFIXES, check_suffix, find_parts

    if path is not None:
        check_suffix(path, suffixes or SUFFIXES)
        target = check_writable(path)
        if table and any(target == Path(os.path.realpath(p.path)) for p in find_parts(table)):
            raise ValueError(f"{path} is the table that is read: name another output")


def _columns(text: str) -> list[str]:
    """Return names that stand between commas; one that holds commas stands in quotes."""
    return next(csv.reader([text], skipinitialspace=True), [])


def _exporter() -> Any:
    """Import the exporter, which stands above the engine and needs the `keras` extra."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no GPU is an "error" to it
    try:
        with _silence():
            return importlib.import_module("rbig_keras")
    except ModuleNotFoundError as error:
        if error.name not in {"keras", "tensorflow"}:
            raise
        message = f"export needs {error.name}: pip install 'rbig-numba[keras]'"
        raise typer.TyperException(message) from error


@contextmanager
def _silence() -> Iterator[None]:
    """Drop what TensorFlow prints on standard error while it starts, whatever its log level."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _names(model: DensityEstimator) -> list[str] | None:
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else list(names)


def say(text: str) -> None:
    """Print a line on standard error."""
    typer.echo(f"rbig-numba: {text}", err=True)

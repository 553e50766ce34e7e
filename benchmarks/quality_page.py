"""docs/quality.md: what the judge found, and how it judged."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from benchmarks.estimators import AXES, MIXTURE_ROWS, SIZES
from benchmarks.harness import machine
from benchmarks.judging import WIDE, Figures, Judged

HEADS = ("mean", "standard error", "worst row", "0.1 % quantile", "seconds", "model", "commit")

TEXT = """# Quality of the densities

Written by `python -m benchmarks.quality`. Log-densities of rows that no estimator was fitted to or
chosen by, in nats per row: more is better. A mean hides cliffs, so the worst row and the 0.1 %
quantile stand beside it.

**Protocol.** Rows are shuffled (seed 0); the first tenth of them are test rows, the next tenth
validation rows, and all are standardised by mean and standard deviation of the rest, the training
rows. A table that comes as two files is neither mixed nor standardised: a tenth of the first file
are validation rows, the second is tested. So it is with patches of 16 x 16 pixels, but these get a
step's uniform noise, lose their mean and the last pixel, and are standardised by all rows but the
tested ones. One split, one seed, one fit each. All estimators are judged by the same rows, so their
differences are surer than the standard errors of their means. Neighbours in time or of one subject
(power, air quality, Parkinson's) fall on both sides of a shuffled split: that flatters all
estimators. Digits, photographs and factors need no file: scikit-learn has them, or they are made.

**Estimators.**

- Gaussian: one, with full covariance.
- LedoitWolf: one, its covariance shrunk (scikit-learn); on tables of {wide} columns or more.
- PPCA: probabilistic PCA (scikit-learn's `PCA.score_samples`) with {axes} axes, as the
  validation rows choose; seconds of all fits; on the same tables.
- GMM: scikit-learn's mixture with full covariances, K of {sizes} chosen by the validation rows;
  at most {mixture_rows:,} training rows; seconds of all fits.
- notebook: the usual procedure, 8 blocks of scikit-learn's PCA and of a `GaussianMixture(8)` for
  each column, with F kept within [1e-6, 1 - 1e-6].
- RBIG classic: `RBIG(rotation="pca", blocks="classic", random_state=0)`, the plain algorithm.
- RBIG: one call with default settings, `RBIG(random_state=0).fit(rows)`, whatever the table: no
  parameter is set and no fit chosen among several. It is given training and validation rows, and
  holds out rows itself.
- RBIGEnsemble: likewise, `RBIGEnsemble(random_state=0).fit(rows)`; blocks of all members.
- zuko GF, zuko NSF: reference flows trained by gradients{versions}:
  Adam at 1e-3, batches of 512, 4 transforms, 2 x 128 hidden units in NSF (GF's parameters depend on
  no column); trained until the validation rows stop gaining, for {flow_seconds:g} s at most on the
  processor named below, all cores; the best weights are restored. Where "time was up", longer
  training may give a better flow.

Seconds are those of the fit; compilation, once a process, is not among them. The blocks named are
those kept. A figure is of the commit beside it.

**To be read with suspicion.** A density may be as high as it likes on a value that repeats, so
where values or whole rows do, in casp and wine_red, a gain can be a narrower component and no
better model. So it can, less so, in parkinsons: recordings of one subject's visit share scores. How
many test rows are equal to rows fitted, and how few values a column has, is said above each table.
"""

FACTORS = (
    "Made: 10 normal factors, times a row's log-normal size, mixed into all columns, plus 0.05 of "
    "the square of another mix of them, plus normal noise, 0.3 to 0.6 wide, unequal by column"
)
SOURCES = {
    "beijing_air_dq": "UCI 501, air quality at 12 stations, noise of a step's width added",
    "bsds300_patches": "Berkeley Segmentation Dataset, grey 8 x 8 patches less their mean, "
    "noise of a step's width added, last pixel dropped; tested on other photographs",
    "bsds300_patches16": "Berkeley Segmentation Dataset, grey 16 x 16 patches",
    "casp": "UCI 265, protein structure",
    "cms_zmumu": "CERN Open Data, pairs of muons",
    "digits": "scikit-learn's `load_digits`, 8 x 8 pixels, noise of a step's width added",
    "factors_100": FACTORS,
    "factors_300": FACTORS,
    "factors_784": FACTORS,
    "htru2": "UCI 372, pulsar candidates, class dropped",
    "magic": "UCI 159, gamma telescope, class dropped",
    "parkinsons": "UCI 189, voice; discrete columns and one of each pair correlated by over 0.98 "
    "dropped",
    "photographs16": "scikit-learn's `load_sample_images`, grey 16 x 16 patches at every fourth "
    "pixel, which overlap; the left three quarters of both photographs train, the rest is tested",
    "power_h1_2007": "UCI 235, household electricity, January to June 2007, noise added",
    "wine_red": "UCI 186, red wine, quality dropped",
}
"""Public originals: UCI numbers are those of the UCI Machine Learning Repository."""


def page(judged: dict[str, Judged], flow_seconds: float) -> str:
    """Return the page."""
    parts = [
        TEXT.format(
            sizes=", ".join(map(str, SIZES)),
            axes=", ".join(map(str, AXES)),
            wide=WIDE,
            mixture_rows=MIXTURE_ROWS,
            flow_seconds=flow_seconds,
            versions=_versions(),
        )
    ]
    for wide, title in ((False, "Means"), (True, f"Means, {WIDE} columns or more")):
        some = {name: table for name, table in sorted(judged.items()) if table.wide == wide}
        parts += _means(title, some) if some else []
    for name, table in sorted(judged.items()):
        parts += [f"\n## {name}\n", _described(name, table), "", _rows(table.scores)]
    ablations = {name: table.ablation for name, table in sorted(judged.items()) if table.ablation}
    if ablations:
        parts += ["\n## What each kind of block adds\n"]
        parts += ["Mean of the test rows, and seconds of the fit in brackets; RBIG's defaults but"]
        parts += ["for the kinds of blocks that compete; with one scale, components of joint"]
        parts += ["mixtures have no more.\n"]
        parts += [matrix(ablations, lambda f: f"{f['mean']:,.2f} ({f['seconds']:,.1f})")]
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    return "\n".join([*parts, "", f"Measured on: {facts}.", ""])


def _means(title: str, judged: dict[str, Judged]) -> list[str]:
    """Return a section: the means of some tables, and why an estimator has none."""
    scores = {name: table.scores for name, table in judged.items()}
    notes = {
        f"\nLeft out: {name}, {figures['left out']}."
        for row in scores.values()
        for name, figures in row.items()
        if "left out" in figures
    }
    means = {name: _measured(row) for name, row in scores.items()}
    return [f"\n## {title}\n", matrix(means, lambda f: f"{f['mean']:,.2f}"), *sorted(notes)]


def _measured(scores: dict[str, Figures]) -> dict[str, Figures]:
    return {name: figures for name, figures in scores.items() if "left out" not in figures}


def matrix(scores: dict[str, dict[str, Figures]], shown: Callable[[Figures], str]) -> str:
    """Return a Markdown table, a row for each table of data and a column for each estimator."""
    names = list(dict.fromkeys(name for row in scores.values() for name in row))
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for table, row in scores.items():
        cells = [shown(row[name]) if name in row else "" for name in names]
        lines.append(f"| {table} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _rows(scores: dict[str, Figures]) -> str:
    lines = [f"| | {' | '.join(HEADS)} |", "|---" * (len(HEADS) + 1) + "|"]
    for name, figures in _measured(scores).items():
        lines.append(f"| {name} | {' | '.join(_shown(figures[head]) for head in HEADS)} |")
    return "\n".join(lines)


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.2f}"


def _described(name: str, table: Judged) -> str:
    source = f" {SOURCES[name]}." if name in SOURCES else ""
    return f"{table.sizes}.{source}"


def _versions() -> str:
    try:
        return f" (zuko {version('zuko')} on PyTorch {version('torch')})"
    except PackageNotFoundError:
        return ""

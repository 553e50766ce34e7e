"""The judge of densities: it runs on a small table, and writes what it found."""

import json
import re

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from benchmarks import ablation, quality
from benchmarks.estimators import estimators
from benchmarks.judging import LeftOut, Table, figures_of, kinds_kept, tables
from rbig_numba import RBIG
from rbig_numba.fitting import contest


@pytest.fixture
def folder(tmp_path, rng):
    np.save(tmp_path / "skewed.npy", rng.gamma(2.0, size=(300, 2)) @ [[1.0, 0.5], [0.0, 1.0]])
    np.save(tmp_path / "pair_train.npy", rng.normal(size=(200, 2)))
    np.save(tmp_path / "pair_val.npy", rng.normal(size=(50, 2)))
    for name in ("wide", "wider"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(40, 21)))
    return tmp_path


def test_page_and_figures_of_a_run(folder, capsys):
    figures, page = folder / "out" / "quality.json", folder / "quality.md"
    options = ["--json", str(figures), "--page", str(page), "--only", "skewed"]
    quality.main(["--data", str(folder), *options, "--estimators", "Gaussian", "RBIG"])
    text = page.read_text()
    for part in ("240 training, 30 validation and 30 test rows, 0 of", "| Gaussian |", "| RBIG |"):
        assert part in text
    scores = json.loads(figures.read_text())["figures"]["skewed"]["scores"]
    assert list(scores) == ["Gaussian", "RBIG"]
    # Which kind of block wins is the table's affair.
    assert re.fullmatch(r"((mixture|joint|radial|coupling) \d+(, )?)+", scores["RBIG"]["model"])
    assert "0.1 % quantile" in capsys.readouterr().out


def test_what_is_left_out_is_said_once(folder, capsys):
    page = folder / "quality.md"
    options = ["--page", str(page), "--only", "wide", "wider", "--estimators", "notebook"]
    quality.main(["--data", str(folder), *options])
    assert page.read_text().count("Left out: notebook") == 1
    assert capsys.readouterr().out.count("left out: notebook") == 1


def test_tables_of_one_file_are_cut_and_those_of_two_are_not(folder):
    pair, skewed = tables(folder, ["pair", "skewed"])
    assert [len(rows) for rows in pair[1:]] == [180, 20, 50]
    np.testing.assert_array_equal(pair.test, np.load(folder / "pair_val.npy"))
    np.testing.assert_allclose(skewed.train.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(skewed.train.std(axis=0), 1.0)


def test_gaussian_is_judged_by_its_density(folder):
    (table,) = tables(folder, ["skewed"])
    figures = figures_of(estimators(0.0)["Gaussian"](table))
    truth = multivariate_normal(table.train.mean(axis=0), np.cov(table.train.T, bias=True))
    assert figures["mean"] == pytest.approx(truth.logpdf(table.test).mean(), abs=1e-4)


def test_test_rows_among_the_others_are_counted():
    rows = np.arange(12.0).reshape(6, 2)
    assert "2 of these equal" in Table("", rows[:3], rows[3:4], rows[2:]).sizes


def test_only_some_kinds_compete(rng):
    usual = contest.KINDS, contest.OPENINGS
    rows = rng.normal(size=(600, 2))
    rows[:, 1] += rows[:, 0] ** 2
    with ablation.competing({"mixture", "coupling"}):
        model = RBIG(random_state=0).fit(rows)
    kept = kinds_kept(model.history_)
    assert "coupling" in kept
    assert "joint" not in kept
    assert usual == (contest.KINDS, contest.OPENINGS)


def test_all_kinds_but_mixture_are_left_out_in_turn():
    names = list(ablation.variants())
    assert {f"without {kind}" for kind in contest.KINDS} - set(names) == {"without mixture"}
    assert names[-1] == "all kinds"


@pytest.mark.parametrize("kind", ["zuko GF", "zuko NSF"])
def test_flows_are_trained_or_left_out(folder, kind):
    (table,) = tables(folder, ["skewed"])
    try:
        score = estimators(1.0)[kind](table)
    except LeftOut as reason:
        assert "not installed" in str(reason)  # noqa: PT017
    else:
        assert np.isfinite(score.log_prob).all()

"""The judge of densities: it runs on a small table, and writes what it found."""

import json
import re

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA

from benchmarks import ablation, quality, student
from benchmarks.estimators import AXES, estimators
from benchmarks.judging import LeftOut, Table, figures_of, kinds_kept
from benchmarks.sources import factors, tables
from rbig_numba import RBIG
from rbig_numba.bijections import growth
from rbig_numba.fitting import contest


@pytest.fixture
def folder(tmp_path, rng):
    np.save(tmp_path / "skewed.npy", rng.gamma(2.0, size=(300, 2)) @ [[1.0, 0.5], [0.0, 1.0]])
    np.save(tmp_path / "pair_train.npy", rng.normal(size=(200, 2)))
    np.save(tmp_path / "pair_val.npy", rng.normal(size=(50, 2)))
    for name in ("wide", "wider"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(40, 21)))
    pixels = rng.integers(0, 256, size=(40, 16), dtype=np.uint8)
    np.save(tmp_path / "pixels_train.npy", pixels)
    np.save(tmp_path / "pixels_val.npy", pixels[:9])
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


def test_what_is_left_out_is_said_once(folder):
    page = folder / "quality.md"
    options = ["--page", str(page), "--only", "wide", "wider", "--estimators", "notebook"]
    quality.main(["--data", str(folder), *options])
    assert page.read_text().count("Left out: notebook, takes 25 minutes") == 1


def test_runs_add_up(folder):
    figures, page = folder / "quality.json", folder / "quality.md"
    options = ["--data", str(folder), "--json", str(figures), "--page", str(page)]
    quality.main([*options, "--only", "skewed", "--estimators", "RBIG classic"])
    first = json.loads(figures.read_text())["figures"]["skewed"]["scores"]
    quality.main([*options, "--only", "skewed", "pair", "--estimators", "Gaussian"])
    found = json.loads(figures.read_text())["figures"]
    assert set(found) == {"pair", "skewed"}
    assert list(found["skewed"]["scores"]) == ["Gaussian", "RBIG classic"]
    assert found["skewed"]["scores"]["RBIG classic"] == first["RBIG classic"]
    text = page.read_text()
    page.unlink()
    quality.main([*options, "--only"])
    assert page.read_text() == text


def test_wide_tables_need_no_file_and_have_a_section(tmp_path):
    page = tmp_path / "quality.md"
    quality.main(["--page", str(page), "--only", "digits", "--estimators", "Gaussian", "PPCA"])
    ordinary, wide = page.read_text().split("## Means, 64 columns or more")
    assert "1,439 training, 179 validation and 179 test rows, 0 of" in wide
    assert "| digits |" in wide
    assert "| digits |" not in ordinary


def test_tables_of_one_file_are_cut_and_those_of_two_are_not(folder):
    pair, skewed = tables(folder, ["pair", "skewed"])
    assert [len(rows) for rows in pair[1:]] == [180, 20, 50]
    np.testing.assert_array_equal(pair.test, np.load(folder / "pair_val.npy"))
    np.testing.assert_allclose(skewed.train.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(skewed.train.std(axis=0), 1.0)


def test_patches_are_dequantised_less_their_mean(folder):
    (table,) = tables(folder, ["pixels"])
    assert [len(rows) for rows in table[1:]] == [36, 4, 9]
    rows = np.concatenate([table.train, table.validation])
    assert rows.shape[1] == 15
    np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(rows.std(axis=0), 1.0)
    # Noise is that of one step: 0.29 beside pixels of 74.
    pixels = np.load(folder / "pixels_val.npy") * 1.0
    expected = (pixels - pixels.mean(axis=1, keepdims=True))[:, :-1]
    likeness = [
        np.corrcoef(*columns)[0, 1] for columns in zip(expected.T, table.test.T, strict=True)
    ]
    assert 0.9999 < min(likeness) < 1.0 - 1e-7


def test_photographs_are_tested_elsewhere():
    (table,) = tables(None, ["photographs16"])
    assert [rows.shape for rows in table[1:]] == [(21692, 255), (2410, 255), (7622, 255)]
    assert np.isfinite(table.test).all()


def test_estimators_of_wide_tables():
    table = factors("few", 400, 70)
    judges = estimators(0.0)
    shrunk = LedoitWolf().fit(table.train)
    truth = multivariate_normal(shrunk.location_, shrunk.covariance_)
    found = judges["LedoitWolf"](table)
    np.testing.assert_allclose(found.log_prob, truth.logpdf(table.test))
    axes = [PCA(size).fit(table.train) for size in AXES[:4]]
    best = max(axes, key=lambda model: model.score(table.validation))
    found = judges["PPCA"](table)
    assert found.remark == f"{best.n_components} axes"
    np.testing.assert_allclose(found.log_prob, best.score_samples(table.test), rtol=1e-6)


def test_some_estimators_are_for_narrow_tables_or_for_wide_ones(folder):
    (narrow,) = tables(folder, ["skewed"])
    judges = estimators(0.0)
    with pytest.raises(LeftOut, match="at least 64 columns"):
        judges["PPCA"](narrow)
    with pytest.raises(LeftOut, match="fewer than 64 columns"):
        judges["RBIGEnsemble"](factors("few", 40, 64))
    with pytest.raises(LeftOut, match=r"beyond 1e\+08 rows"):
        judges["GMM"](factors("many", 500, 600))


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
    names = list(ablation.variants(wide=False))
    assert {f"without {kind}" for kind in contest.KINDS} - set(names) == {"without mixture"}
    assert names[-1] == "all kinds"
    assert list(ablation.variants(wide=True)) == ["one scale", "all kinds"]


def test_fits_are_compared_with_student_t():
    truth = student.TRUTH.logpdf(student.TRUTH.rvs(100, random_state=0))
    found = truth - 0.1
    found[truth.argmin()] -= 5.0
    figures = student.figures(found, truth)
    assert figures["mean above the truth"] == pytest.approx(-0.15)
    assert figures["worst row above its own truth"] == pytest.approx(-5.1)


def test_one_scale_competes_alone(monkeypatch):
    usual = growth.SCALES
    monkeypatch.setattr(ablation, "rbig", lambda build: lambda table: growth.SCALES)
    assert ablation.variants(wide=True)["one scale"](None) == (1,)
    assert ablation.variants(wide=True)["all kinds"](None) == growth.SCALES == usual


@pytest.mark.parametrize("kind", ["zuko GF", "zuko NSF"])
def test_flows_are_trained_or_left_out(folder, kind):
    (table,) = tables(folder, ["skewed"])
    try:
        score = estimators(1.0)[kind](table)
    except LeftOut as reason:
        assert "not installed" in str(reason)  # noqa: PT017
    else:
        assert np.isfinite(score.log_prob).all()

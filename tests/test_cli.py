"""The command line, end to end: what people type, what they get, and how mistakes are told."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import rbig_numba
from rbig_numba import RBIG
from rbig_numba.cli import main
from rbig_numba.kernels import ahead, cache
from rbig_numba.tables import as_arrow, read_table, write_table

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "export")])}
NAMES = ["height", "width", "depth"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.gamma(2.0, size=(1000, 3)) @ rng.normal(size=(3, 3))


@pytest.fixture(scope="module")
def folder(rows, tmp_path_factory):
    """Hold a table, a table with each kind of mistake, and models with and without names."""
    folder = tmp_path_factory.mktemp("tables")
    write_table(folder / "rows.csv", rows, NAMES)
    write_table(folder / "rows.npy", rows)
    write_table(folder / "renamed.csv", rows, [*NAMES[:2], "weight"])
    write_table(folder / "narrow.npy", rows[:, :2])
    write_table(folder / "holes.csv", np.where(np.arange(3) == 1, np.nan, rows), NAMES)
    write_table(folder / "constant.csv", np.where(np.arange(3) == 2, 4.0, rows), NAMES)
    (folder / "text.csv").write_text("height,city\n1,Rome\n2,Oslo\n")
    model = RBIG(n_blocks=2, n_components=3, random_state=0)
    model.fit(as_arrow(rows, NAMES)).save(folder / "named.rbig")
    model.fit(rows).save(folder / "unnamed.rbig")
    (folder / "foreign.rbig").write_bytes(b"not a model")
    (folder / "cut.rbig").write_bytes((folder / "named.rbig").read_bytes()[:-100])
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Run a command in the folder; returns its exit code, standard output and standard error."""
    monkeypatch.chdir(folder)

    def run(command):
        with pytest.raises(SystemExit) as stop:
            main(command.split())
        return stop.value.code or 0, *capsys.readouterr()

    return run


def process(folder, command, setup=""):
    """Run a command in a process of its own, after the Python statements of `setup`."""
    script = f"{setup}; from rbig_numba.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", script.lstrip("; "), *command.split()],
        cwd=folder,
        env=ENVIRONMENT,
        text=True,
        capture_output=True,
        check=False,
    )


def test_from_a_table_to_samples_and_scores(folder, rows, tmp_path):
    def succeed(command):
        done = process(tmp_path, command)
        assert done.returncode == 0, done.stderr
        return done

    fit = succeed(
        f"fit {folder}/rows.csv -o my.rbig --n-blocks 3 --n-components 4 --rotation random"
        " --validation-fraction 0.2 --n-iter-no-change 2 --tol 0.001 --random-state 1 --n-jobs 1"
    )
    assert fit.stdout == ""
    assert "1000 rows, 3 columns" in fit.stderr
    assert "nats" in fit.stderr
    succeed(f"score my.rbig {folder}/rows.csv -o scores.parquet")
    succeed("sample my.rbig -n 50 --random-state 2 -o drawn.csv")

    model = RBIG.load(tmp_path / "my.rbig")
    given = {"n_blocks": 3, "n_components": 4, "rotation": "random", "validation_fraction": 0.2}
    given |= {"n_iter_no_change": 2, "tol": 0.001, "random_state": 1, "n_jobs": 1}
    assert given.items() <= model.get_params().items()
    scores, names = read_table(tmp_path / "scores.parquet")
    assert names == ["log_prob"]
    np.testing.assert_array_equal(scores[:, 0], model.score_samples(as_arrow(rows, NAMES)))
    drawn, names = read_table(tmp_path / "drawn.csv")
    assert names == NAMES
    np.testing.assert_array_equal(drawn, model.sample(50, random_state=2))


def test_warm_says_what_it_does(run, tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    left = [ahead.FIT - 1]  # one of the shortest
    monkeypatch.setattr(ahead, "missing", lambda native: [left.pop()] if left else [])
    code, out, err = run("warm --native")
    assert (code, out) == (0, "")
    assert "1/1 linear.add_sums" in err
    assert re.fullmatch(rf"rbig-numba: 1 kernels compiled, .* s: {tmp_path}.*", err.split("\n")[-2])
    assert run("warm") == (0, "", "rbig-numba: all kernels are compiled already\n")
    assert run("warm --quiet") == (0, "", "")


def test_who_waits_for_kernels_reads_one_line(run, monkeypatch):
    monkeypatch.setattr(ahead, "assist", lambda: None)
    cache._announce.cache_clear()

    def waits(path):
        cache._announce()
        raise ValueError("no model")

    monkeypatch.setattr("rbig_numba.estimators.ensemble.load_model", waits)
    code, _, err = run("score named.rbig rows.csv")
    why, error = err.splitlines()
    assert why.startswith("rbig-numba: compiling kernels for this machine, up to a minute")
    assert (code, error) == (2, "rbig-numba: error: no model")


def test_latent_rows_lead_back_to_the_data(run, rows, tmp_path):
    latent, back = tmp_path / "latent.parquet", tmp_path / "back.npy"
    assert run(f"transform named.rbig rows.csv -o {latent}") == (0, "", "")
    assert run(f"transform named.rbig {latent} -o {back} --inverse") == (0, "", "")
    np.testing.assert_allclose(read_table(back)[0], rows, rtol=1e-10, atol=1e-10)
    model = RBIG.load("named.rbig")
    assert read_table(latent)[1] == list(model.get_feature_names_out())


@pytest.mark.parametrize(
    "command",
    [
        "score named.rbig rows.csv",
        "transform named.rbig rows.csv",
        "sample named.rbig -n 20 --random-state 0",
    ],
)
def test_without_an_output_csv_goes_to_standard_output(run, tmp_path, command):
    assert run(f"{command} -o {tmp_path}/out.csv")[0] == 0
    assert run(command) == (0, (tmp_path / "out.csv").read_text(), "")


def test_output_may_be_cut_by_a_pipe(folder):
    shell = f"{sys.executable} -c 'from rbig_numba.cli import main; main()'"
    command = f"{shell} sample named.rbig -n 100000 | head -n 1"
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=ENVIRONMENT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.stdout == '"height","width","depth"\n'
    assert done.stderr == ""


def test_quiet_says_nothing(run, tmp_path):
    command = f"fit rows.npy -o {tmp_path}/my.rbig --n-blocks 1 --n-components 2 --quiet"
    assert run(command) == (0, "", "")


def test_info_shows_columns_parameters_and_blocks(run):
    code, out, err = run("info named.rbig")
    assert (code, err) == (0, "")
    for fragment in ("named.rbig", "height, width, depth", "n_components=3", "held-out", "gain"):
        assert fragment in out
    assert "3 without names" in run("info unnamed.rbig")[1]


def test_version_and_help(run):
    assert run("--version") == (0, f"rbig-numba {rbig_numba.__version__}\n", "")
    assert "transform" in run("--help")[1]


def test_help_imports_nothing_heavy(folder):
    heavy = {"keras", "matplotlib", "numba", "numpy", "pyarrow", "sklearn"}
    setup = f"import sys, atexit; atexit.register(lambda: print({heavy} & sys.modules.keys()))"
    assert process(folder, "--help", setup).stdout.endswith("set()\n")


MISTAKES = {
    "": "name a command",
    "guess named.rbig": "guess",
    "score named.rbig": "TABLE",
    "score named.rbig rows.csv --fast": "--fast",
    "fit rows.csv": "--output",
    "fit rows.csv -o {out}.rbig --n-blocks many": "--n-blocks",
    "fit rows.csv -o {out}.rbig --n-blocks 0": "n_blocks",
    "fit rows.csv -o {out}.rbig --n-components -3": "-3",
    "fit rows.csv -o {out}.rbig --rotation spin": "spin",
    "fit rows.csv -o {out}.rbig --validation-fraction 1.5": "1.5",
    "fit none.csv -o {out}.csv": "must end in .rbig",
    "fit none.csv -o {out}.rbig": "none.csv: no such file",
    "fit none.csv -o {out}/my.rbig": "there is no folder",
    "fit text.csv -o {out}.rbig": "'city'",
    "fit holes.csv -o {out}.rbig": "width",
    "fit constant.csv -o {out}.rbig": "depth",
    "score named.rbig rows.csv -o {out}.xlsx": "must end in .csv, .csv.gz, .tsv, .tsv.gz",
    "score named.rbig renamed.csv -o {out}.csv": "weight",
    "score named.rbig narrow.npy -o {out}.csv": "3",
    "score named.rbig holes.csv -o {out}.csv": "width",
    "score none.rbig rows.csv -o {out}.csv": "none.rbig",
    "score foreign.rbig rows.csv -o {out}.csv": "foreign.rbig",
    "score cut.rbig rows.csv -o {out}.csv": "cut.rbig",
    "transform named.rbig narrow.npy --inverse -o {out}.csv": "3",
    "sample named.rbig -n 0 -o {out}.csv": "0",
    "sample named.rbig --random-state -1 -o {out}.csv": "2**32",
    "sample rows.csv -o {out}.csv": "rows.csv",
    "score named.rbig rows.csv -o ./rows.csv": "rows.csv is the table that is read",
    "transform named.rbig rows.npy -o rows.npy": "rows.npy is the table that is read",
    "export named.rbig -o {out}.h5": "must end in .keras",
    "info none.rbig": "none.rbig",
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_told_in_one_line(run, tmp_path, command):
    code, out, err = run(command.format(out=tmp_path / "out"))
    assert (code, out) == (2, "")
    assert err.startswith("rbig-numba: error: ")
    assert err.count("\n") == 1
    assert MISTAKES[command] in err
    assert list(tmp_path.iterdir()) == []


def test_a_failed_fit_leaves_the_old_model(run, tmp_path):
    old = tmp_path / "old.rbig"
    old.write_bytes(b"old")
    assert run(f"fit holes.csv -o {old}")[0] == 2
    assert old.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [old]


def test_no_traceback_and_no_progress_before_an_error(folder):
    done = process(folder, "fit holes.csv -o my.rbig")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_warnings_are_one_line_each(folder):
    done = process(folder, "score named.rbig rows.npy")
    assert done.returncode == 0
    assert done.stderr.startswith("rbig-numba: warning: ")
    assert done.stderr.count("\n") == 1


def test_export_without_keras_says_what_to_install(folder, tmp_path):
    setup = "import sys; sys.modules['keras'] = None"
    done = process(folder, f"export named.rbig -o {tmp_path}/flow.keras", setup)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "rbig-numba: error: export needs keras: pip install 'rbig-numba[keras]'\n"
    )

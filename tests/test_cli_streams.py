"""Commands that stream: what they write is what the model returns, block by block."""

import numpy as np
import pytest

from rbig_numba import RBIG
from rbig_numba.cli import main, streams
from rbig_numba.tables import SUFFIXES, as_arrow, read_table, separated, write_table

NAMES = ["height", "width", "depth"]
N_ROWS = 1000
BLOCK_ROWS = 300


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.gamma(2.0, size=(N_ROWS, 3)) @ rng.normal(size=(3, 3))


@pytest.fixture(scope="module")
def folder(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    write_table(folder / "rows.parquet", rows, NAMES)
    write_table(folder / "single.npy", rows.astype(np.float32))
    late = np.arange(3 * N_ROWS).reshape(N_ROWS, 3) == 3 * 650 + 1
    write_table(folder / "holes.csv", np.where(late, np.nan, rows), NAMES)
    write_table(folder / "latent.npy", np.where(late, np.inf, rows))
    text = (folder / "holes.csv").read_text()
    (folder / "text.csv").write_text(text.replace(",nan,", ",tall,"))
    write_table(folder / "renamed.csv", rows, [*NAMES[:2], "weight"])
    RBIG(n_blocks=2, n_components=3, random_state=0).fit(as_arrow(rows, NAMES)).save(
        folder / "my.rbig"
    )
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Run a command in the folder, in small blocks; returns its exit code and standard error."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(streams, "BLOCK_ROWS", BLOCK_ROWS)
    monkeypatch.setattr(separated, "CSV_BLOCK_BYTES", 3000)

    def run(command):
        with pytest.raises(SystemExit) as stop:
            main(command.split())
        return stop.value.code or 0, capsys.readouterr().err

    return run


@pytest.fixture
def model(folder):
    return RBIG.load(folder / "my.rbig")


def assert_same(found, expected):
    # A block of another height may be multiplied by another BLAS kernel.
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_blocks_make_up_the_result_in_memory(run, model, rows, tmp_path, suffix):
    scores, latent, back = (tmp_path / f"{name}{suffix}" for name in ("scores", "latent", "back"))
    assert run(f"score my.rbig rows.parquet -o {scores}") == (0, "")
    assert run(f"transform my.rbig rows.parquet -o {latent}") == (0, "")
    assert run(f"transform my.rbig {latent} --inverse -o {back}") == (0, "")
    named = as_arrow(rows, NAMES)
    assert_same(read_table(scores)[0][:, 0], model.score_samples(named))
    assert_same(read_table(latent)[0], model.transform(named))
    assert_same(read_table(back)[0], rows)
    expected = [["log_prob"], list(model.get_feature_names_out()), NAMES]
    found = [read_table(path)[1] for path in (scores, latent, back)]
    assert found == ([None] * 3 if suffix == ".npy" else expected)


@pytest.mark.filterwarnings("default:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_single_precision_goes_through_with_one_warning(run, tmp_path, suffix):
    code, error = run(f"transform my.rbig single.npy -o {tmp_path}/latent{suffix}")
    assert code == 0
    assert error.startswith("rbig-numba: warning: X does not have valid feature names")
    assert error.count("\n") == 1
    assert read_table(tmp_path / f"latent{suffix}")[0].dtype == np.float32


@pytest.mark.parametrize("n_samples", [1, BLOCK_ROWS, 2 * BLOCK_ROWS + 1])
def test_rows_drawn_in_blocks_are_those_drawn_at_once(run, model, tmp_path, n_samples):
    out = tmp_path / "drawn.npy"
    assert run(f"sample my.rbig -n {n_samples} --random-state 3 -o {out}") == (0, "")
    assert_same(read_table(out)[0], model.sample(n_samples, random_state=3))


MISTAKES = {
    "score my.rbig holes.csv": ("holes.csv contains NaN in 1 of rows 600", "row 650", "'width'"),
    "transform my.rbig holes.csv": ("holes.csv contains NaN", "rows 600 to 899", "row 650"),
    "score my.rbig text.csv": ("error: text.csv: line 652, column 'width'", "'tall'"),
    "transform my.rbig latent.npy --inverse": ("latent.npy contains infinity", "row 650"),
    "score my.rbig renamed.csv": ("error: renamed.csv: no column 'depth' among", "'weight'"),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_in_a_late_block_leaves_the_old_output(run, tmp_path, command, suffix):
    out = tmp_path / f"out{suffix}"
    out.write_bytes(b"old")
    code, error = run(f"{command} -o {out}")
    assert code == 2
    assert error.count("\n") == 1
    for fragment in MISTAKES[command]:
        assert fragment in error
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]

"""The command that writes a Keras flow."""

import keras
import numpy as np
import pytest

from rbig_keras import parity
from rbig_numba import RBIG
from rbig_numba.cli import main


@pytest.fixture(scope="module")
def model():
    rows = np.random.default_rng(0).gamma(2.0, size=(500, 2))
    return RBIG(n_blocks=2, n_components=3, random_state=0).fit(rows)


@pytest.mark.parametrize(
    ("options", "dtype"), [([], "float32"), (["--dtype", "float64"], "float64")]
)
def test_the_file_holds_the_same_density(model, tmp_path, capsys, options, dtype):
    model.save(tmp_path / "my.rbig")
    with pytest.raises(SystemExit) as stop:
        main(["export", str(tmp_path / "my.rbig"), "-o", str(tmp_path / "my.keras"), *options])
    assert (stop.value.code or 0, *capsys.readouterr()) == (0, "", "")

    flow = keras.models.load_model(tmp_path / "my.keras")
    rows = model.sample(200, random_state=1)
    assert flow.dtype == dtype
    tolerance = {"float32": 1e-4, "float64": 1e-9}[dtype]
    expected = model.score_samples(rows)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(flow.log_prob(rows)), expected, rtol=tolerance, atol=tolerance
    )
    assert parity(model, flow, rows) is not None


@pytest.mark.parametrize("dtype", ["float8", "int32"])
def test_an_impossible_dtype_is_told_in_one_line(model, tmp_path, capsys, dtype):
    model.save(tmp_path / "my.rbig")
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "export",
                str(tmp_path / "my.rbig"),
                "-o",
                str(tmp_path / "my.keras"),
                "--dtype",
                dtype,
            ]
        )
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (2, "", 1)
    assert dtype in err
    assert not (tmp_path / "my.keras").exists()

"""Tables, kinds and cells that can't be: one clear line each, and nothing is changed."""

import numpy as np
import pandas as pd
import pytest

from rbig_numba import RBIG
from rbig_numba.columns import Angle, Bounded, Columns, Ordered, Steps

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "price": RNG.lognormal(size=200),
        "share": RNG.beta(2.0, 2.0, 200),
        "count": RNG.poisson(2.0, 200),
        "town": RNG.choice(["a", "b"], 200),
    }
)
SPOILT = TABLE.assign(price=TABLE["price"].where(np.arange(200) != 17, -3.5))
HALVES = TABLE.assign(count=TABLE["count"] + np.where(np.arange(200) == 11, 0.5, 0.0))
IMPOSSIBLE = {
    "unknown kind": (TABLE, {"price": "reel"}, r"columns\['price'\]='reel' is no kind of column"),
    "unknown name": (TABLE, {"prize": "real"}, "columns has no column 'prize': the table has 'pri"),
    "unknown setting": (TABLE, {"price": {"kind": "real", "low": 1}}, "real has no such settings"),
    "no kinds": (TABLE, 7, "columns=7 must be None, 'auto', a dict of kinds or Columns"),
    "below the bound": (SPOILT, {"price": "positive"}, "column 'price', row 17: -3.5 can't be in"),
    "beyond a bound": (TABLE, {"share": Bounded(0.0, 0.4)}, r"column 'share', row \d+: 0\.\d+ can"),
    "no whole number": (HALVES, {"count": "whole"}, r"column 'count', row 11: \d\.5 can't be in"),
    "no steps": (
        TABLE,
        {"price": "steps"},
        "'price' can't be 'steps': its values are no multiples",
    ),
    "no spike": (TABLE, {"price": "spike"}, "'price' can't be 'spike': no value repeats"),
    "no classes": (
        pd.DataFrame({"x": RNG.normal(size=5000)}),
        {"x": "ordered"},
        "'x' can't be 'ordered': it has too many different values",
    ),
    "a constant": (TABLE.assign(count=3), {"count": "whole"}, "it has no two different values"),
    "text": (TABLE, {"town": "real"}, "'town' holds text, and can't be 'real' but 'skip'"),
    "an unknown level": (TABLE, {"town": Ordered(["a"])}, "'town' can't be 'ordered': 'b' is none"),
    "all left out": (TABLE[["town"]], "auto", r"left out: 'town' \(text of 2 values"),
    "constants": (TABLE.assign(price=1.0, share=2.0, count=3)[["price", "count"]], "auto", "left"),
    "other columns": (TABLE, Columns.of(TABLE[["price", "town"]]), "columns has 2 columns, the ta"),
}

KINDS = {"town": "unordered", "share": Bounded(0.0, 1.0)}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_fit_says_what_is_wrong_and_changes_nothing(name):
    table, kinds, message = IMPOSSIBLE[name]
    model = RBIG(columns=kinds, n_blocks=2)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(table)
    assert not hasattr(model, "columns_")
    assert not hasattr(model, "n_features_in_")


def test_duplicate_names():
    twice = pd.DataFrame(RNG.normal(size=(50, 2)), columns=["a", "a"])
    with pytest.raises(ValueError, match="several columns are called 'a': rename them"):
        RBIG(columns="auto").fit(twice)


def test_holes_and_infinity_are_told_with_row_and_column():
    table = TABLE.copy()
    table.loc[5, "share"] = np.nan
    with pytest.raises(ValueError, match=r"NaN in 1 rows \(the first is row 5\), columns 'share'"):
        RBIG(columns="auto", n_blocks=2).fit(table)


@pytest.mark.parametrize(
    "settings", [{"low": 2.0, "high": 1.0}, {"period": -1.0}, {"step": 0.0}, {"levels": ["a", "a"]}]
)
def test_impossible_settings(settings):
    kind = {"low": Bounded, "period": Angle, "step": Steps, "levels": Ordered}[next(iter(settings))]
    with pytest.raises(ValueError, match=next(iter(settings))):
        kind(**settings)


@pytest.fixture(scope="module")
def model():
    return RBIG(columns=KINDS, n_blocks=2, random_state=0).fit(TABLE)


def test_new_values_have_the_mass_of_half_a_row(model):
    """Times the density of the other columns, which is that of all values there are, added up."""
    row = TABLE[:1]
    model.columns_.n_points = 256
    for change in ({"town": ["c"]}, {"count": [1000]}):
        score = model.score_samples(row.assign(**change))[0]
        assert np.isfinite(score)
        assert score < model.score_samples(row)[0] - 3.0
    alone = model.score_samples(row.assign(town=["c"]))[0] - np.log(0.5 / 200)
    known = [model.score_samples(row.assign(town=[town]))[0] for town in "ab"]
    assert alone == pytest.approx(np.logaddexp(*known), abs=0.01)


def test_values_that_a_column_cannot_hold_have_no_probability(model):
    rows = TABLE[:3].assign(share=[0.5, 1.5, 0.2])
    scores = model.score_samples(rows)
    assert np.isneginf(scores).tolist() == [False, True, False]
    with pytest.raises(ValueError, match=r"column 'share', row 1: 1\.5 can't be in a column of ki"):
        model.transform(rows)


def test_scored_tables_with_other_columns(model):
    with pytest.raises(ValueError, match=r"Input X lacks \['share'\]"):
        model.score_samples(TABLE.drop(columns="share"))
    with pytest.raises(ValueError, match=r"Input X has \['new'\], which the fit hadn't"):
        model.score_samples(TABLE.assign(new=1.0))
    with pytest.raises(ValueError, match="Input X has 3 columns, but the model was fitted with 4"):
        model.score_samples(TABLE.iloc[:, :3].to_numpy())
    with pytest.raises(ValueError, match="column 'count', row 2: 'two' is no number"):
        model.score_samples(TABLE[:4].assign(count=[1, 2, "two", 3]))


def test_text_in_a_late_block_of_a_file(tmp_path):
    path = tmp_path / "table.csv"
    rows = "\n".join(f"{i % 7}" for i in range(900_000))
    path.write_text(f"a\n{rows}\nseven\n")
    with pytest.raises(ValueError, match="line 900002, column 'a': no number: 'seven'"):
        RBIG(columns="auto").fit(path)


def test_a_file_that_describes_no_columns(tmp_path):
    (tmp_path / "bad.json").write_text('{"columns": []}')
    with pytest.raises(
        ValueError, match=r"bad\.json: no description of columns: it has no 'named'"
    ):
        Columns.load(tmp_path / "bad.json")
    (tmp_path / "text.json").write_text("not JSON")
    with pytest.raises(ValueError, match=r"text\.json: "):
        Columns.load(tmp_path / "text.json")


def test_dask_says_no():
    dask = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match="a Dask collection can't be encoded yet"):
        RBIG(columns="auto").fit(dask.from_array(RNG.normal(size=(20, 2))))


@pytest.mark.parametrize("missing", ["drop", "model"])
def test_holes_and_columns_together_are_refused(missing):
    rows = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(ValueError, match=rf"missing='{missing}' takes no columns yet: leave one"):
        RBIG(columns="auto", missing=missing).fit(rows)

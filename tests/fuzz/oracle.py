"""What has to hold of any call: numbers, or one clear line and nothing changed."""

import tempfile
import warnings
from pathlib import Path

import numpy as np

from fuzz.cases import table_of, weights_of
from rbig_numba import RBIG, RBIGEnsemble

FAR = np.array([1e2, 1e6, 1e12, 1e40, 1e160, 1e300])[:, None]


def check(case):
    """Run a case; AssertionError, or any error but those that a user is told, is a finding.

    Returns "fitted", or the first words of what was refused.
    """
    rows, weights = table_of(case["table"]), weights_of(case["table"])
    model = RBIG(**case["parameters"])
    if "ensemble" in case["calls"]:
        model = RBIGEnsemble(model, 2, random_state=0, n_jobs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Cautions about tables and weights; a RuntimeWarning is a finding.
        warnings.simplefilter("ignore", UserWarning)
        before = dict(vars(model))
        try:
            model.fit(rows, sample_weight=weights)
        except (ValueError, TypeError) as error:
            assert vars(model) == before, "a failed fit left something behind"
            return _told(error)
        _check_fitted(model, np.asarray(rows))
        for call in case["calls"]:
            CALLS[call](model, rows)
    return "fitted"


def _told(error):
    text = str(error)
    assert 10 < len(text) < 1000, f"no clear line: {text!r}"
    assert "\n" not in text, f"more than a line: {text!r}"
    words = ("Eigenvalues", "broadcast", "index", "operand", "dtype('O')")
    assert not any(word in text for word in words), f"an error from below: {text!r}"
    return " ".join(text.split()[:4])


def _check_fitted(model, rows):
    log_prob = model.score_samples(rows)
    assert log_prob.shape == (len(rows),)
    assert np.isfinite(log_prob).all(), "a fitted row has no density"


def _transform(model, rows):
    if not hasattr(model, "transform"):
        return
    z = model.transform(rows)
    assert z.shape == rows.shape
    assert np.isfinite(z).all()


def _inverse(model, rows):
    if not hasattr(model, "transform"):
        return
    drawn = np.random.default_rng(0).normal(size=(20, rows.shape[1]))
    x = model.inverse_transform(drawn)
    assert np.isfinite(x).all()


def _sample(model, rows):
    drawn = model.sample(20, random_state=0)
    assert drawn.shape == (20, rows.shape[1])
    assert np.isfinite(drawn).all()
    assert np.isfinite(model.score_samples(drawn)).all()


def _score(model, rows):
    assert np.isfinite(model.score(rows))


def _save(model, rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.rbig"
        model.save(path)
        loaded = type(model).load(path)
    np.testing.assert_array_equal(loaded.score_samples(rows), model.score_samples(rows))


def _fit_more(model, rows):
    if not hasattr(model, "fit_more"):
        return
    model.set_params(blocks="classic", n_blocks=1)
    model.fit_more(rows)
    _check_fitted(model, rows)


def _far(model, rows):
    """Out along an axis densities stay below that of the bulk, and are numbers."""
    flow = (model.estimators_[0] if hasattr(model, "estimators_") else model).flow_
    affine = flow.bijections[0]
    with np.errstate(over="ignore"):
        far = np.clip(affine.shift + FAR * affine.scale, -1.7e308, 1.7e308)
    log_prob = model.score_samples(far)
    assert not np.isnan(log_prob).any()
    assert (log_prob < model.score_samples(rows).max() + 1.0).all(), "a far row is most likely"


CALLS = {
    "transform": _transform,
    "inverse": _inverse,
    "sample": _sample,
    "score": _score,
    "save": _save,
    "fit_more": _fit_more,
    "far": _far,
    "ensemble": _score,
}

"""Drawn tables and calls: no crash, no hang, no error from below, nothing that is no number."""

from fuzz.watch import Hunted, hunt


def test_a_thousand_inputs():
    hunted = hunt(1000, seed=0)
    assert not hunted.findings, str(hunted)
    assert hunted.outcomes["fitted"] > 400


def test_what_would_be_found():
    hunted = Hunted()
    hunted.find("RuntimeWarning", {"n_rows": 1})
    hunted.find("RuntimeWarning", {"n_rows": 2})
    hunted.add("fitted")
    assert hunted.findings == {"RuntimeWarning": {"n_rows": 1}}
    assert str(hunted).startswith("3 inputs: 1 fitted, 0 refused, 2 with 1 findings")

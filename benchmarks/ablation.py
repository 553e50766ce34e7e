"""What each kind of block adds: the plain algorithm, all kinds, and all but one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from benchmarks.estimators import rbig
from benchmarks.judging import Judge, Score, Table
from rbig_numba import RBIG
from rbig_numba.fitting import contest

FIRST = "mixture"


@contextmanager
def competing(kinds: Collection[str]) -> Iterator[None]:
    """Let blocks of some kinds only compete, "mixture" among them.

    A fit opens with one of the usual openings if any has such kinds only, or else with "mixture".
    """
    openings = tuple(each for each in contest.OPENINGS if set(each) <= set(kinds))
    some = {kind: search for kind, search in contest.KINDS.items() if kind in kinds}
    with patch.multiple(contest, KINDS=some, OPENINGS=openings or ((FIRST,),)):
        yield


def among(kinds: Collection[str]) -> Judge:
    """Return the judge of RBIG with default settings, but for the kinds of its blocks."""
    judge = rbig(lambda: RBIG(random_state=0))

    def score(table: Table) -> Score:
        with competing(kinds):
            return judge(table)

    return score


def variants() -> dict[str, Judge]:
    """Return the judges by what is left in or out."""
    classic = {
        f"mixture only, {rotation}": rbig(
            lambda rotation=rotation: RBIG(rotation=rotation, blocks="classic", random_state=0)
        )
        for rotation in ("pca", "ica")
    }
    others = [kind for kind in contest.KINDS if kind != FIRST]
    without = {f"without {kind}": among(set(contest.KINDS) - {kind}) for kind in others}
    return {**classic, **without, "all kinds": among(set(contest.KINDS))}

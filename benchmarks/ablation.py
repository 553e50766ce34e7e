"""What each kind of block adds: the plain algorithm, all kinds, and all but one.

And what several scales of a joint mixture's components add.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from unittest.mock import patch

from benchmarks.estimators import rbig
from benchmarks.judging import Judge, Score, Table
from rbig_numba import RBIG
from rbig_numba.bijections import growth
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


def within(change: Callable[[], AbstractContextManager[object]]) -> Judge:
    """Return the judge of RBIG with default settings, but for a change while it is fitted."""
    judge = rbig(lambda: RBIG(random_state=0))

    def score(table: Table) -> Score:
        with change():
            return judge(table)

    return score


def variants(*, wide: bool) -> dict[str, Judge]:
    """Return the judges by what is left in or out; a few for wide tables, whose fits are long."""
    some = {
        "one scale": within(partial(patch.object, growth, "SCALES", (1,))),
        "all kinds": within(partial(competing, set(contest.KINDS))),
    }
    if wide:
        return some
    classic = {
        f"mixture only, {rotation}": rbig(
            lambda rotation=rotation: RBIG(rotation=rotation, blocks="classic", random_state=0)
        )
        for rotation in ("pca", "ica")
    }
    others = [kind for kind in contest.KINDS if kind != FIRST]
    without = {
        f"without {kind}": within(partial(competing, set(contest.KINDS) - {kind}))
        for kind in others
    }
    return {**classic, **without, **some}

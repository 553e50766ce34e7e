"""Fits to rows with holes: leading blocks with the holes integrated out, then draws of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rbig_numba.bijections.base import Bijection
from rbig_numba.bijections.components import has_holes
from rbig_numba.chunks.local import LocalRows
from rbig_numba.fitting.candidates import Plan
from rbig_numba.fitting.loop import Fitted, Start, fit_flow, joined
from rbig_numba.flow import Flow
from rbig_numba.missing.completing import completed
from rbig_numba.missing.leading import leading_of
from rbig_numba.missing.leads import Lead
from rbig_numba.profile import Deadline, Report

# Leading blocks that compete.
OPENINGS: tuple[tuple[str, ...], ...] = (("mixture", "joint"), ("joint",))


def opening_of(blocks: str | Sequence[str]) -> tuple[tuple[tuple[str, ...], ...], Any]:
    """Return which leading blocks compete, and the kinds of those behind them.

    Raises
    ------
    ValueError
        For blocks that no holes can be integrated out of.
    """
    if isinstance(blocks, str) and blocks == "auto":
        return OPENINGS, blocks
    for opening in OPENINGS:
        if tuple(blocks[: len(opening)]) == opening:
            return (opening,), tuple(blocks[len(opening) :])
    raise ValueError(
        f"blocks={blocks!r} can't begin a fit to missing cells: give 'auto', or a list that begins "
        "with 'joint' or with 'mixture', 'joint'"
    )


def fit_holes(
    rows: LocalRows,
    plan: Plan,
    random_state: np.random.RandomState,
    deadline: Deadline,
    report: Report,
    start: Sequence[Bijection] = (),
) -> Fitted:
    """Fit a flow to rows with holes (NaN), which begins so that they can be integrated out.

    Leading blocks are fitted to the cells that are there, and later ones to rows whose holes are
    drawn given these cells, anew before each block from the flow so far. Of such rows a block gains
    on the average less than of the cells that are there (Jensen): scores, which are those of these
    cells for the leading blocks, go on from there as lower bounds.

    Parameters
    ----------
    rows : LocalRows
        Not used up.
    plan, random_state, deadline, report
        As for `fit_flow`.
    start : sequence of Bijection
        A flow fitted before, if any.

    Raises
    ------
    ValueError
        If blocks are asked for, or were fitted, that no holes can be integrated out of.
    """
    openings, kinds = opening_of(plan.blocks)
    history: list[dict] = []
    log_prob = None
    if start:
        kinds = plan.blocks
    else:
        lead = Lead(rows, plan, random_state, deadline, report)
        log_prob = lead.fit([each for each in openings if len(each) <= plan.n_blocks])
        start, history = lead.flow, lead.history
    plan = plan._replace(blocks=kinds, n_blocks=plan.n_blocks - len(history))
    if plan.n_blocks < 1 or not kinds or not deadline.allows(0.0):
        return Fitted(Flow(tuple(start)), history, [])

    def renewed(flow: Sequence[Bijection]) -> LocalRows:
        seed = int(random_state.randint(2**31))
        return completed(rows, leading_of(Flow(tuple(flow))), seed)

    again = renewed if _any_holes(rows) else None
    begin = Start(start, log_prob, again)
    found = fit_flow(renewed(start), plan, random_state, deadline, report, begin)
    return Fitted(found.flow, joined(history, found.history), found.finishes)


def _any_holes(rows: LocalRows) -> bool:
    blocks = (rows.store.read(number) for number in range(len(rows.store)))
    return any(has_holes(side.columns) for block in blocks for side in block)

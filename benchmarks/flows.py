"""Flows trained by gradients, for comparison: zuko's GF and NSF on PyTorch, on the CPU.

Adam at 1e-3, batches of 512, gradients of norm 5 at most, 4 transforms; NSF's networks have 2 x 128
hidden units, GF has none. The weights that suit the validation rows best are restored.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from copy import deepcopy

# PyTorch's threads wait for each other many times a step: if they spin, a step beside other work
# took 2 s instead of 0.2 s.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import zuko
from torch import Tensor

from benchmarks.judging import Judge, Score, Table

RATE, BATCH = 1e-3, 512
# Steps between two looks at the validation rows at most, and steps without a gain before the end.
CHECK, PATIENCE = 100, 2000
VALIDATION_ROWS = 10_000
MAX_NORM = 5.0

Flow = zuko.flows.Flow


def gf(columns: int) -> Flow:
    """Return a Gaussianization flow (Meng et al. 2020): rotations and mixtures of 8 components.

    In double precision: in single precision densities are 0 from 13 standard deviations on.
    """
    return zuko.flows.GF(columns, transforms=4).double()


def nsf(columns: int) -> Flow:
    """Return an autoregressive neural spline flow (Durkan et al. 2019)."""
    return zuko.flows.NSF(columns, transforms=4, hidden_features=(128, 128))


def flow(build: Callable[[int], Flow], max_seconds: float) -> Judge:
    """Return the judge of a kind of flow, trained for so long at most."""

    def score(table: Table) -> Score:
        torch.manual_seed(0)
        mean, deviation = table.train.mean(axis=0), table.train.std(axis=0)
        model = build(len(mean))
        dtype = next(model.parameters()).dtype
        train, validation, test = (
            torch.tensor((rows - mean) / deviation, dtype=dtype) for rows in table[1:]
        )
        started = time.perf_counter()
        steps, ending = _train(model, train, validation[:VALIDATION_ROWS], started + max_seconds)
        seconds = time.perf_counter() - started
        log_prob = _log_prob(model, test).double().numpy() - np.log(deviation).sum()
        return Score(log_prob, seconds, f"{steps:,} steps, {ending}")

    return score


def _train(model: Flow, train: Tensor, validation: Tensor, end: float) -> tuple[int, str]:
    """Train until the validation rows stop gaining or time is up; return steps, and which."""
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    check = min(CHECK, math.ceil(len(train) / BATCH))
    best, best_step, weights = -math.inf, 0, deepcopy(model.state_dict())
    ending = "time was up"
    for step, batch in enumerate(_batches(train), start=1):
        _descend(model, optimizer, batch)
        late = time.perf_counter() > end
        if late or step % check == 0:
            value = float(_log_prob(model, validation).mean())
            if value > best:
                best, best_step, weights = value, step, deepcopy(model.state_dict())
        if late:
            break
        if step - best_step >= PATIENCE:
            ending = "stopped early"
            break
    model.load_state_dict(weights)
    return step, ending


def _descend(model: Flow, optimizer: torch.optim.Optimizer, batch: Tensor) -> None:
    """Take a step, unless the batch has no finite gradient: GF's tails underflow on far rows."""
    optimizer.zero_grad()
    loss = -model().log_prob(batch).mean()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
    if torch.isfinite(norm):
        optimizer.step()


def _batches(rows: Tensor) -> Iterator[Tensor]:
    while True:
        yield from rows[torch.randperm(len(rows))].split(BATCH)


def _log_prob(model: Flow, rows: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([model().log_prob(part) for part in rows.split(4096)])

"""The kinds of a table's columns: proposed, edited, learned, saved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from rbig_numba.checks.validation import check_weights
from rbig_numba.columns.base import Kind
from rbig_numba.columns.copula import Copula
from rbig_numba.columns.entry import Entry, learned, told
from rbig_numba.columns.kinds import kind_of
from rbig_numba.columns.opened import Opened
from rbig_numba.columns.proposals import propose
from rbig_numba.columns.skip import Skip
from rbig_numba.columns.survey import Survey, surveyed
from rbig_numba.columns.text import as_text
from rbig_numba.files import AnyPath, check_readable, replacing

# Points of the lattice that scores average over: docs/columns.md says what error is left.
N_POINTS = 16
BLOCK_ROWS = 8000


class Columns:
    """What each column of a table holds, as a mapping of its name, or number, to its kind.

    `Columns.of(table)` proposes kinds and prints as a table of what was decided and why;
    `columns["rain"] = "spike"` changes one. `RBIG(columns=columns)` then fits with these kinds and
    learns shares and mixtures anew from the table that it fits; bounds, periods, steps, spikes and
    levels stay.

    Attributes
    ----------
    entries : list of Entry
        Name, kind, reason, remark, type and share of missing cells of each column.
    named : bool
        Whether columns have names; their numbers stand for them if not.
    frame : {"pandas", "polars", "arrow"} or None
        What samples come in; None for arrays.
    n_points : int
        Points of the lattice that log-probabilities average over within the jumps of atoms, 16 if
        not set. More are more exact, and take as much longer; may be set on `model.columns_`.
    seed : int
        Of the draws within the jumps of atoms that rows are encoded by, for fits and latent rows.
    copula : Copula or None
        How columns hang together, which these draws follow; learned by a fit.

    Examples
    --------
    >>> import numpy as np
    >>> from rbig_numba.columns import Columns
    >>> rng = np.random.default_rng(0)
    >>> columns = Columns.of(np.c_[rng.normal(size=1000), rng.poisson(2.0, size=1000)])
    >>> [columns[number].kind for number in columns]
    ['real', 'whole']
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        named: bool,
        frame: str | None = None,
        n_points: int = N_POINTS,
        seed: int = 0,
        copula: Copula | None = None,
    ) -> None:
        self.entries, self.named, self.frame = list(entries), named, frame
        self.n_points, self.seed, self.copula = n_points, seed, copula
        self._surveys: list[Survey] | None = None

    @classmethod
    def of(cls, table: Any, kinds: Mapping | None = None, sample_weight: Any = None) -> Columns:
        """Propose the kinds of a table's columns, and learn them.

        Parameters
        ----------
        table : array-like of shape (N, D), DataFrame, Arrow table or path
            Walked over once, block by block; numbers, truth values, text, categories and dates.
        kinds : mapping of names or numbers to kinds, default=None
            Those of some columns: a kind's name, a kind, or its JSON values.
        sample_weight : array-like of shape (N,), default=None
            Weights of the rows.

        Raises
        ------
        ValueError, TypeError
            For tables that can't be read, for unknown names and kinds, and for kinds that a column
            can't be.
        """
        opened = Opened(table)
        weights = check_weights(sample_weight, opened.n_rows)
        return resolved(dict(kinds or {}), opened, weights)

    def __getitem__(self, key: Any) -> Kind:
        """Return a column's kind."""
        return self.entries[self._place(key)].kind

    def __setitem__(self, key: Any, kind: Any) -> None:
        """Set a column's kind: a name such as "spike", a kind, or its JSON values."""
        place = self._place(key)
        changed = replace(
            self.entries[place], kind=kind_of(kind, f"columns[{key!r}]"), why="given", remark=""
        )
        if self._surveys is not None:
            changed = learned(changed, place, self._surveys)
        self.entries[place] = changed

    def __iter__(self) -> Iterator:
        """Yield names, or numbers."""
        return iter([entry.name for entry in self.entries])

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self.entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Columns) and self.plain() == other.plain()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return as_text(self.entries)

    @property
    def kept(self) -> list[Entry]:
        """The columns that are not left out."""
        return [entry for entry in self.entries if entry.kind.n_encoded]

    @property
    def passes_through(self) -> bool:
        """Whether encoded rows are the rows themselves, no column left out."""
        return all(entry.kind.passes_through for entry in self.entries)

    def plain(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        entries = [
            {name: value for name, value in vars(entry).items() if value not in (None, "")}
            | {"kind": entry.kind.plain()}
            for entry in self.entries
        ]
        return {
            "columns": entries,
            "named": self.named,
            "frame": self.frame,
            "n_points": self.n_points,
            "seed": self.seed,
            "copula": None if self.copula is None else self.copula.plain(),
        }

    @classmethod
    def from_plain(cls, content: Mapping) -> Columns:
        """Return what `plain` described.

        Raises
        ------
        ValueError, TypeError
            If a part is missing, or is none that a column has.
        """
        try:
            entries = [
                Entry(**{**entry, "kind": kind_of(entry["kind"], f"columns[{entry['name']!r}]")})
                for entry in content["columns"]
            ]
            settings = {name: content[name] for name in ("named", "frame", "n_points", "seed")}
            if content["copula"] is not None:
                settings["copula"] = Copula(**content["copula"])
            return cls(entries, **settings)
        except KeyError as error:
            raise ValueError(f"no description of columns: it has no {error}") from error

    def to_json(self) -> str:
        """Return all of it as JSON."""
        return json.dumps(self.plain(), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Columns:
        """Return what `to_json` described."""
        return cls.from_plain(json.loads(text))

    def save(self, path: AnyPath) -> None:
        """Write a JSON file."""
        with replacing(path) as fresh:
            fresh.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: AnyPath) -> Columns:
        """Read a file that `save` wrote; ValueError says what is wrong with any other."""
        path = check_readable(path)
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: {error}") from error

    def learned_from(self, surveys: list[Survey]) -> Columns:
        """Return the same kinds, learned from surveys of the columns of a table."""
        entries = [told(entry, survey) for entry, survey in zip(self.entries, surveys, strict=True)]
        entries = [learned(entry, place, surveys) for place, entry in enumerate(entries)]
        columns = Columns(entries, named=self.named, frame=self.frame, n_points=self.n_points)
        columns._surveys = surveys
        return columns

    def sample(self) -> tuple[list[np.ndarray], np.ndarray]:
        """Return raw cells of a sample of the table's rows, of columns kept, and row weights (S,).

        Only of columns that were just learned.
        """
        assert self._surveys is not None
        pairs = zip(self.entries, self._surveys, strict=True)
        kept = [survey for entry, survey in pairs if entry.kind.n_encoded]
        return [survey.sampled for survey in kept], kept[0].sampled_weights

    def _place(self, key: Any) -> int:
        keys = list(self)
        if key in keys:
            return keys.index(key)
        if isinstance(key, Integral) and not self.named:
            raise ValueError(f"columns has no column {key}: the table has {len(keys)}")
        shown = ", ".join(map(repr, keys[:8])) + " ..." * (len(keys) > 8)
        raise ValueError(f"columns has no column {key!r}: the table has {shown}")


def resolved(asked: Any, opened: Opened, weights: np.ndarray | None) -> Columns:
    """Return the learned columns of a table; `asked` are "auto", kinds of some, or all of them.

    Raises
    ------
    ValueError, TypeError
        For anything else, unknown names and kinds, other columns than the table's, and kinds that a
        column can't be.
    """
    if asked == "auto":
        asked = {}
    if not isinstance(asked, (Columns, Mapping)):
        raise TypeError(f"columns={asked!r} must be None, 'auto', a dict of kinds or Columns")
    surveys = surveyed(_weighted(opened, weights))
    names: list = opened.names or list(range(len(surveys)))
    if isinstance(asked, Columns):
        _check_same(asked, opened, names)
        columns = Columns(
            asked.entries, named=asked.named, frame=opened.frame, n_points=asked.n_points
        )
        return columns.learned_from(surveys)
    columns = Columns(
        [Entry(name, Skip()) for name in names], named=opened.names is not None, frame=opened.frame
    )
    given = {columns._place(key): kind_of(kind, f"columns[{key!r}]") for key, kind in asked.items()}
    for place, (survey, name) in enumerate(zip(surveys, names, strict=True)):
        if place in given:
            columns.entries[place] = Entry(name, given[place], "given")
        else:
            columns.entries[place] = Entry(name, *propose(survey, name))
    return columns.learned_from(surveys)


def _check_same(columns: Columns, opened: Opened, names: list) -> None:
    if len(columns) != len(names):
        raise ValueError(f"columns has {len(columns)} columns, the table {len(names)}")
    if columns.named and opened.names is not None and list(columns) != names:
        raise ValueError(f"columns are those of {list(columns)}, the table has {names}")


def _weighted(
    opened: Opened, weights: np.ndarray | None
) -> Iterator[tuple[Any, np.ndarray | None]]:
    start = 0
    for block in opened.blocks(BLOCK_ROWS):
        end = start + block.n_rows
        yield block, None if weights is None else weights[start:end]
        start = end

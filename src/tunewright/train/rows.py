"""What a step may learn from: training rows with something to learn, and behind them general rows to replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tunewright.base.errors import DataError
from tunewright.data.attempts import Attempt
from tunewright.data.balance import Draws
from tunewright.data.tokens import TokenRow, TokenTable
from tunewright.forest import Path
from tunewright.train.schedule import Order

if TYPE_CHECKING:
    from tunewright.objectives._protocol import Objective
    from tunewright.recipe.schema import Recipe

_NAMED_ROWS = 5


class Rows:
    """The rows of a run, numbered from 0; rows in which no token is learned are left out.

    Args:
        own: The training rows.
        general: General rows, where there are such.
        needs_general: Whether some are replayed, or the weights that they need are kept; without, they are left out.
    Raises:
        DataError: If there is nothing to learn from.
    """

    def __init__(self, own: TokenTable, general: TokenTable | None, *, needs_general: bool) -> None:
        self._own, self._general = own, general if needs_general else None
        self._own_rows, self._general_rows = _learned(self._own), _learned(self._general)
        if not self._own_rows:
            raise DataError("No training row has a token to learn", hint="Look at the rows: tunewright data prepare.")
        if needs_general and not self._general_rows:
            raise DataError(
                "No general row has a token to learn", where="forgetting.data", hint="Name a file of conversations."
            )

    @property
    def own(self) -> int:
        """Number of training rows."""
        return len(self._own_rows)

    @property
    def general(self) -> int:
        """Number of general rows, which are numbered from `own` on."""
        return len(self._general_rows)

    @property
    def tables(self) -> list[str]:
        """What the rows' tokens, and how often and how much each counts, are known by."""
        names = [table.folder.name for table in (self._own, self._general) if table is not None]
        return names if self._own.balance is None else [*names, self._own.balance.key]

    @property
    def draws(self) -> Draws | None:
        """Which training rows an epoch holds; None: each once."""
        balance = self._own.balance
        return balance.draws.only(self._own_rows) if balance and balance.draws else None

    @property
    def told(self) -> tuple[str, ...]:
        """What a person should hear of how often rows are seen, and how much they weigh."""
        return self._own.balance.told if self._own.balance else ()

    def paths(
        self, objective: Objective, rows: Sequence[int], attempts: Sequence[tuple[Attempt, ...]] | None = None
    ) -> list[Path]:
        """The paths of some rows; a row may stand among them twice.

        Args:
            attempts: The answers that were drawn for each of them, where the objective learns from such.
        """
        for table in (self._own, self._general):
            if table is not None:
                table.let_go()  # what earlier steps have read: a page brings its neighbours with it
        found: list[Path] = []
        for group, row in enumerate(rows):
            table, at, number = self._at(row)
            example = _weighed(table, at)
            if attempts is not None:
                example = replace(example, attempts=attempts[group])
            found += objective.paths(example, number, group)
        return found

    def asked(self, rows: Sequence[int]) -> tuple[list[str], list[list[int]]]:
        """The ids of some rows, and the tokens of their prompts."""
        places = [self._at(row) for row in rows]
        return [table.ids[at] for table, at, _ in places], [table.row(at).prompt.tolist() for table, at, _ in places]

    def general_paths(self, count: int, seed: int) -> list[Path]:
        """So many general rows, or all if there are fewer, as plain text to predict; drawn with a seed."""
        drawn = np.random.default_rng(seed).permutation(self.general)[:count]
        found = [self._at(self.own + int(place)) for place in drawn]
        rows = [table.row(at) for table, at, _ in found]
        return [Path(row.tokens, row.weights, group, group) for group, row in enumerate(rows)]

    def tokens(self, row: int, attempts: Sequence[Attempt] = ()) -> int:
        """Tokens of a row, with all its answers; where answers were drawn, with these in place of its own."""
        table, at, _ = self._at(row)
        example = table.row(at)
        if attempts:
            return sum(len(example.prompt) + len(attempt.tokens) for attempt in attempts)
        return sum(len(sequence.tokens) for sequence in example.sequences)

    def names(self, rows: Sequence[int]) -> str:
        """The first few rows' ids, for an error."""
        shown = ", ".join(table.ids[at] for table, at, _ in map(self._at, rows[:_NAMED_ROWS]))
        return f"{shown}{', …' if len(rows) > _NAMED_ROWS else ''}"

    def _at(self, row: int) -> tuple[TokenTable, int, int]:
        """A row's table, its place there, and the number that its paths carry."""
        if self._general is None or row < self.own:
            return self._own, self._own_rows[row], self._own_rows[row]
        at = self._general_rows[row - self.own]
        return self._general, at, len(self._own) + at


def order_of(rows: Rows, recipe: Recipe) -> Order:
    """Which rows each step of a run learns from."""
    return Order(
        rows.own,
        recipe.train.batch_size,
        recipe.train.epochs,
        recipe.seed,
        general=rows.general,
        replay=recipe.forgetting.replay,
        draws=rows.draws,
        repeats=recipe.train.objective.steps_of_rows,
    )


def _weighed(table: TokenTable, at: int) -> TokenRow:
    """A row, its answer weighing as much as its class does."""
    row = table.row(at)
    if table.balance is None:
        return row
    return replace(row, weights=table.balance.weigh(row.weights, at, row.targets))


def learned_paths(objective: Objective, table: TokenTable | None) -> list[Path]:
    """All paths of a table that have something to learn."""
    if table is None:
        return []
    return [path for row in _learned(table) for path in objective.paths(table.row(row), row, row)]


def _learned(table: TokenTable | None) -> list[int]:
    return [] if table is None else [row for row in range(len(table)) if table.weights(row).any()]

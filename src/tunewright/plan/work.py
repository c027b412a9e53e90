"""What a recipe's training has to compute: its steps as forests, and the largest piece of them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunewright.base.plugins import OBJECTIVES
from tunewright.base.seeds import derive
from tunewright.data.attempts import Attempt, imagined
from tunewright.data.dataset import GENERAL
from tunewright.forest import Forest, build
from tunewright.forest.backends.segments import arrange, shown
from tunewright.forest.coupled import pieces_of
from tunewright.forest.forest import plant
from tunewright.models.memory import Piece
from tunewright.models.treatment import virtual_tokens
from tunewright.train.rows import Rows
from tunewright.train.schedule import Order, validation_steps

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow, TokenTable
    from tunewright.recipe import Recipe

# Forests that are built to look at: all steps where there are no more, else the longest and as many drawn ones.
LOOKED_AT = 48
# A forest of the held-out rows is built of so many of them, and stands for the rest.
_HELD_OUT_ROWS = 256

Cost = Callable[[Piece], int]


@dataclass(frozen=True, slots=True)
class Load:
    """What some forests take to compute.

    Args:
        nodes: Positions whose states are computed.
        sources: Those whose logits are.
        pairs: Products of a query and a key, in each layer.
    """

    nodes: float = 0.0
    sources: float = 0.0
    pairs: float = 0.0

    def times(self, factor: float) -> Load:
        """So many of them."""
        return Load(self.nodes * factor, self.sources * factor, self.pairs * factor)

    def __add__(self, other: Load) -> Load:
        return Load(self.nodes + other.nodes, self.sources + other.sources, self.pairs + other.pairs)


@dataclass(frozen=True)
class Work:
    """What a recipe's training has to compute.

    Args:
        rows: Rows that are learned from; 0: not known.
        steps: Optimiser steps; 0: not known.
        tokens: Tokens of all steps, each row's counted in full.
        training: What all steps compute, forward and backward.
        validating: What all validations compute, and what draws answers, forward only.
        worst: The piece of a step that takes the most memory.
        worst_step: The step that it belongs to; -1 where the rows are not known.
        sharing: Tokens for each node: what the rows share.
        is_known: Whether the rows' own tokens were looked at; else all rows are taken to be of the longest length, and
            to share nothing.
    """

    rows: int
    steps: int
    tokens: int
    training: Load
    validating: Load
    worst: Piece
    worst_step: int
    sharing: float
    is_known: bool


def work_of_rows(recipe: Recipe, tables: Mapping[str, TokenTable], cost: Cost) -> Work:
    """The work that a recipe makes of prepared rows.

    Args:
        recipe: Its `train`, `forgetting` and `seed` are read.
        tables: Token tables `train` and, where there are such rows, `validation` and `general`.
        cost: Bytes that a piece takes: what makes one the worst.
    Raises:
        DataError: If no row has a token to learn.
    """
    steps = Steps(recipe, tables)
    lengths = steps.lengths()
    chosen = _to_look_at(lengths, recipe.seed)
    looked = {step: steps.pieces(step) for step in chosen}
    worst_step, worst = max(
        ((step, piece) for step, pieces in looked.items() for piece in pieces), key=lambda found: cost(found[1])
    )
    drawn = chosen if len(chosen) == len(lengths) else chosen[LOOKED_AT:]
    nodes = sum(piece.nodes for step in drawn for piece in looked[step])
    factor = float(lengths.sum() / lengths[drawn].sum())
    return Work(
        rows=steps.order.rows,
        steps=steps.order.steps,
        tokens=int(lengths.sum()),
        training=load_of([piece for step in drawn for piece in looked[step]]).times(factor),
        validating=steps.validating() + steps.drawing(),
        worst=worst,
        worst_step=worst_step,
        sharing=float(lengths[drawn].sum()) / max(1, nodes),
        is_known=True,
    )


def work_assumed(recipe: Recipe, rows: int) -> Work:
    """The work of a recipe whose rows' tokens are not known: of the longest length each, and sharing nothing.

    Args:
        recipe: Its `train` and `data.max_length` are read.
        rows: How many rows there may be; 0: not known.
    """
    train, virtual = recipe.train, virtual_tokens(recipe.method)
    answers = train.objective.answers if train.draws else 1
    length = recipe.data.max_length + (train.objective.max_new_tokens if train.draws else 0)
    together = max(1, min(train.batch_size * answers, (train.piece_nodes - virtual) // max(1, length - 1)))
    is_first = together == train.batch_size * answers
    repeats = train.objective.steps_of_rows
    order = Order(rows, train.batch_size, train.epochs, recipe.seed, repeats=repeats) if rows else None
    places = order.places * repeats * answers if order else 0
    a_row = load_of([Piece.of_rows(1, length)])
    drawing = a_row.times(places / repeats) if train.draws else Load()
    return Work(
        rows=rows,
        steps=order.steps if order else 0,
        tokens=places * length,
        training=a_row.times(places),
        validating=drawing,
        worst=Piece.of_rows(together, length, is_first=is_first),
        worst_step=-1,
        sharing=1.0,
        is_known=False,
    )


class Steps:
    """The steps of a run, as the training loop makes them.

    Args:
        recipe: Its `train`, `forgetting` and `seed` are read.
        tables: As for `work_of_rows`.
    """

    def __init__(self, recipe: Recipe, tables: Mapping[str, TokenTable]) -> None:
        forgetting, train = recipe.forgetting, recipe.train
        self._shared = train.backend != "unshared"
        self._budget, self._virtual = train.piece_nodes, virtual_tokens(recipe.method)
        self._held_out, self._every = tables.get("validation"), train.validate_every
        self._objective = OBJECTIVES.call(train.objective.plugin, "build", train.objective)
        # Answers that will be drawn are taken to be as long as they may get.
        self._settings = train.objective
        self._drawn = self._imagined(0) if train.draws else ()
        general = tables.get(GENERAL)
        has_general = general is not None and bool(forgetting.replay or forgetting.ewc)
        self.rows = Rows(tables["train"], general, needs_general=has_general)
        self._learned = _learned(tables["train"]) + (_learned(general) if has_general else [])
        self.order = Order(
            self.rows.own,
            train.batch_size,
            train.epochs,
            recipe.seed,
            general=self.rows.general,
            replay=forgetting.replay if has_general else 0.0,
            draws=self.rows.draws,
            repeats=train.objective.steps_of_rows,
        )

    def lengths(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Tokens of each step, shape (steps,)."""
        tokens = [self.rows.tokens(row, self._drawn) for row in range(self.rows.own + self.rows.general)]
        sums = (sum(tokens[row] for row in self.order.of_step(step)) for step in range(self.order.steps))
        return np.fromiter(sums, dtype=np.int64, count=self.order.steps)

    def _row(self, row: int) -> TokenRow:
        table, at = self._learned[row]
        return table.row(at)

    def rows_of(self, step: int) -> list[TokenRow]:
        """The rows of a step, in tokens."""
        return [self._row(row) for row in self.order.of_step(step)]

    def pieces(self, step: int) -> list[Piece]:
        """The pieces that a step's forest is cut into."""
        rows = self.order.of_step(step)
        attempts = [self._imagined(place) for place in range(len(rows))] if self._drawn else None
        forest = build(self.rows.paths(self._objective, rows, attempts), shared=self._shared)
        found: list[Piece] = []
        largest = 0
        for part in self._cut(forest):
            found.append(piece_of(part, is_first=not found, outgrows=bool(found) and part.nodes > largest))
            largest = max(largest, part.nodes)
        return found

    def _cut(self, forest: Forest) -> list[Forest]:
        """What is computed at once of a forest, virtual tokens included."""
        pieces = pieces_of(forest, self._budget, self._virtual)
        return [plant(part.forest, self._virtual) for piece in pieces for part in piece.parts]

    def validating(self) -> Load:
        """What all validations together compute."""
        table = self._held_out
        if table is None or not len(table) or self._drawn:
            return Load()
        rows = [row for row in range(len(table)) if table.weights(row).any()][:_HELD_OUT_ROWS]
        paths = [path for row in rows for path in self._objective.paths(table.row(row), row, row)]
        looked = load_of([piece_of(part) for part in self._cut(build(paths, shared=self._shared))])
        share = float(table.lengths.sum()) / max(1.0, float(table.lengths[rows].sum()))
        return looked.times(share * len(validation_steps(self.order, self._every)))

    def drawing(self) -> Load:
        """What draws the answers of all steps and validations: prompts are read once, answer tokens are a node each."""
        if not self._drawn:
            return Load()
        first = range(0, self.order.steps, self.order.repeats)
        rows = [self._row(row) for step in first for row in self.order.of_step(step)]
        found = self._drawn_for(rows, self._settings.answers)
        if self._held_out is None or not len(self._held_out):
            return found
        held = [self._held_out.row(row) for row in range(len(self._held_out))]
        validations = len(validation_steps(self.order, self._every))
        return found + self._drawn_for(held, self._settings.validation_answers).times(validations)

    def _drawn_for(self, rows: Sequence[TokenRow], answers: int) -> Load:
        """What draws so many answers to each of some rows."""
        length = self._settings.max_new_tokens
        prompts = [len(row.prompt) for row in rows]
        pairs = sum(prompt**2 / 2 + answers * length * (prompt + length / 2) for prompt in prompts)
        written = float(answers * length * len(rows))
        return Load(nodes=sum(prompts) + written, sources=written, pairs=pairs)

    def _imagined(self, place: int) -> tuple[Attempt, ...]:
        return imagined(self._settings.answers, self._settings.max_new_tokens, row=place)


def piece_of(forest: Forest, *, is_first: bool = True, outgrows: bool = False) -> Piece:
    """What a forest takes in memory, its attention as the backend `segments` arranges it."""
    queries = keys = pairs = 0
    for members in arrange(forest):
        query_SQ, key_SK = shown(members)
        queries += query_SQ.size
        keys += key_SK.size
        pairs += query_SQ.size * key_SK.shape[1]
    sources = len(np.unique(forest.source))
    return Piece(forest.nodes, sources, len(forest.source), queries, keys, pairs, is_first, outgrows)


def load_of(pieces: Sequence[Piece]) -> Load:
    """What some pieces take to compute."""
    return Load(
        nodes=float(sum(piece.nodes for piece in pieces)),
        sources=float(sum(piece.sources for piece in pieces)),
        pairs=float(sum(piece.pairs for piece in pieces)),
    )


def _to_look_at(lengths: np.ndarray[tuple[int], np.dtype[np.int64]], seed: int) -> list[int]:
    """The steps to build: all if they are few; else the longest, and behind them as many of the others, drawn."""
    if len(lengths) <= 2 * LOOKED_AT:
        return list(range(len(lengths)))
    longest_first = np.argsort(-lengths, kind="stable")
    longest, others = longest_first[:LOOKED_AT], longest_first[LOOKED_AT:]
    drawn = np.random.default_rng(derive(seed, "plan")).choice(others, LOOKED_AT, replace=False)
    return [int(step) for step in (*longest, *np.sort(drawn))]


def _learned(table: TokenTable | None) -> list[tuple[TokenTable, int]]:
    """The rows of a table in which something is learned, numbered as `train.rows` does."""
    if table is None:
        return []
    return [(table, row) for row in range(len(table)) if table.weights(row).any()]

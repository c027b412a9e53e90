"""Variants of training rows, made by turns, each judged before it counts.

For each class its rows are gone through in an order that the seed decides, and each augmentation has its turn with each
row, until the class has as many new rows as it may. What comes out does not depend on how the rows are cut into pieces.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunewright.base.events import Stage
from tunewright.base.plugins import AUGMENTATIONS
from tunewright.base.seeds import derive
from tunewright.data.answers import AnswerKind
from tunewright.data.augmentations._protocol import Kit
from tunewright.data.conversations import EXAMPLES
from tunewright.data.folding import fold
from tunewright.data.judging import Judge, least_similarity
from tunewright.data.pieces import Chosen, Pieces, coded
from tunewright.data.questions import Question, read_question
from tunewright.recipe.augment import Augment
from tunewright.recipe.schema import Template

# Beside the columns of examples: what a row was made of, by what, how like it is, and the number of its class.
ORIGIN: dict[str, Any] = {"parent": pl.String, "by": pl.String, "similarity": pl.Float64, "label": pl.Int32}
MARK = "+aug-"  # stands between the id of a row and the number of what was made of it
_AT_ONCE = 10_000
_MIX = 0x9E3779B97F4A7C15  # two to the 64th over the golden ratio, odd: spreads what the seed changed over all bits
Keys = NDArray[np.bytes_]


@dataclass(frozen=True, slots=True)
class Variant:
    """A row that was made.

    Args:
        record: The row, in the columns of examples.
        parent: The id of the row that it was made of.
        by: The augmentation.
        similarity: How like its parent it is.
        label: The number of its class.
    """

    record: dict[str, Any]
    parent: str
    by: str
    similarity: float
    label: int


@dataclass(frozen=True, slots=True)
class Ground:
    """What variants are made from.

    Args:
        train: The training rows, as examples.
        labels: The number of each row's class, shape (n,).
        names: The classes' names.
        checked: Whether a variant must keep its class.
        kind: What the answers are.
        template: The recipe's.
    """

    train: Chosen
    labels: NDArray[np.int32]
    names: Sequence[str]
    checked: bool
    kind: AnswerKind
    template: Template | None

    def rows(self, numbers: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Some training rows, by number."""
        wanted = sorted(set(numbers))
        places = np.flatnonzero(self.train.mask)[wanted]
        return dict(zip(wanted, self.train.rows.take(places.tolist()).iter_rows(named=True), strict=True))


@dataclass(frozen=True, slots=True)
class Turn:
    """Which row, which of the augmentations, how often it has had this row before, and the number of what it makes."""

    row: int
    label: int
    by: int
    variant: int
    number: int


@dataclass
class Made:
    """What was made, and what became of the rest.

    Args:
        rows: What is kept, in the columns of examples and `ORIGIN`.
        tried: Variants that were asked for.
        rejected: Why others went, and how many.
    """

    rows: Pieces = field(default_factory=lambda: Pieces.of([pl.DataFrame(schema=EXAMPLES | ORIGIN)]))
    tried: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def keep(self, variants: Sequence[Variant]) -> None:
        """Adds some."""
        origins = ({"parent": v.parent, "by": v.by, "similarity": v.similarity, "label": v.label} for v in variants)
        rows = [{**variant.record, **origin} for variant, origin in zip(variants, origins, strict=True)]
        self.rows.add(pl.DataFrame(rows, schema=EXAMPLES | ORIGIN))


def keys_of(rows: Iterable[pl.DataFrame]) -> Keys:
    """What the prompts of some rows are known by, in the rows' order, shape (n,)."""
    return coded(rows, "prompt_key")


def make(ground: Ground, held: Keys, asked: Augment, judge: Judge, kit: Kit) -> Made:
    """Makes variants, class by class, until each has as many as it may.

    Args:
        ground: The rows.
        held: Prompts that nothing is made of, or equal to.
        asked: What the recipe says.
        judge: Judges the variants.
        kit: What augmentations may use; its seed decides what is drawn.
    """
    keys = keys_of(ground.train)
    maker = _Maker(ground, asked, judge, kit, frozenset(held.tolist()), np.unique(keys))
    waiting = _Waiting(keys, np.isin(keys, held), ground, asked, kit.seed)
    total = sum(waiting.room)
    while turns := waiting.next(_AT_ONCE):
        good = maker.make(turns)
        for variant in good:
            waiting.room[variant.label] -= 1
            maker.own.add(variant.record["prompt_key"].encode())
        maker.made.keep(good)
        done = total - sum(waiting.room)
        kit.listener(Stage("data", "progress", done=done, total=total, unit="rows", note="augmenting train"))
    return maker.made


class _Waiting:
    """Whose turn is next, and how many rows each class may still get.

    Args:
        keys: What the rows' prompts are known by.
        held: Which of them nothing is made of.
    """

    def __init__(self, keys: Keys, held: NDArray[np.bool_], ground: Ground, asked: Augment, seed: int) -> None:
        self._plugins = len(asked.by)
        # Prompts' keys are as good as random; with the seed in, each seed has an order of its own.
        salt = np.uint64(derive(seed, "augment"))
        numbers = np.frombuffer(bytes.fromhex(keys.tobytes().decode()), dtype=">u8")[::2].astype(np.uint64)
        order = np.argsort((numbers ^ salt) * np.uint64(_MIX), kind="stable")
        order = order[~held[order]]
        self._rows = [order[ground.labels[order] == label] for label in range(len(ground.names))]
        sizes = np.bincount(ground.labels, minlength=len(ground.names))
        self.room = [_room(int(size), asked) for size in sizes]
        self._turns = [len(rows) * self._plugins * asked.per_row for rows in self._rows]
        self._done = [0] * len(self._rows)

    def next(self, most: int) -> list[Turn]:
        """As many turns as there is room for rows, each class's by turns of its rows; none when all is done."""
        found: list[Turn] = []
        for label, rows in enumerate(self._rows):
            first = self._done[label]
            last = min(self._turns[label], first + min(self.room[label], most - len(found)))
            found += [self._turn(label, int(rows[at % len(rows)]), at, len(rows)) for at in range(first, last)]
            self._done[label] = last
        return found

    def _turn(self, label: int, row: int, at: int, rows: int) -> Turn:
        lap, rank = divmod(at, rows)
        # Neighbours in the order begin with different augmentations, so that few new rows are of all kinds.
        return Turn(row, label, (rank + lap) % self._plugins, lap // self._plugins, lap + 1)


def _room(rows: int, asked: Augment) -> int:
    """How many rows a class of so many may get."""
    most = int(asked.cap * rows)
    return most if asked.until_rows is None else max(0, min(most, asked.until_rows - rows))


class _Maker:
    """Makes variants of some rows at a time, and counts what goes."""

    def __init__(
        self, ground: Ground, asked: Augment, judge: Judge, kit: Kit, held: frozenset[bytes], train: Keys
    ) -> None:
        self._ground, self._asked, self._judge, self._kit = ground, asked, judge, kit
        self.held, self._train = held, train
        self.made = Made()
        self.own: set[bytes] = set()  # prompts of what was made

    def make(self, turns: Sequence[Turn]) -> list[Variant]:
        """The variants of some turns that are good, in the turns' order."""
        records = self._ground.rows(turn.row for turn in turns)
        asked = self._asked
        questions = {
            row: read_question(record, self._ground.kind, self._ground.template, asked.protect)
            for row, record in records.items()
        }
        texts = self._vary(turns, questions)
        self.made.tried += len(turns)
        fresh: list[tuple[Turn, Question, dict[str, Any], str]] = []
        seen: set[bytes] = set()
        for turn, text in zip(turns, texts, strict=True):
            question = questions[turn.row]
            if question is None or text is None:
                self.made.rejected["nothing could be changed"] += 1
                continue
            record = question.row(f"{question.record['id']}{MARK}{turn.number}", text)
            if reason := self._fault(question, text, record["prompt_key"].encode(), seen):
                self.made.rejected[reason] += 1
                continue
            seen.add(record["prompt_key"].encode())
            fresh.append((turn, question, record, text))
        return self._judged(fresh) if fresh else []

    def _vary(self, turns: Sequence[Turn], questions: Mapping[int, Question | None]) -> list[str | None]:
        """What the augmentations make, for each turn."""
        found: list[str | None] = [None] * len(turns)
        groups: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for place, turn in enumerate(turns):
            if questions[turn.row] is not None:
                groups[turn.by, turn.variant].append(place)
        for (by, variant), places in sorted(groups.items()):
            config = self._asked.by[by]
            chosen = [question for place in places if (question := questions[turns[place].row])]
            seeds = [
                derive(self._kit.seed, "augment", config.plugin, by, question.record["id"], variant)
                for question in chosen
            ]
            words = [question.words for question in chosen]
            made = AUGMENTATIONS.call(config.plugin, "vary", words, seeds, variant, config, self._kit)
            for place, text in zip(places, made, strict=True):
                found[place] = text
        return found

    def _fault(self, question: Question, text: str, key: bytes, seen: set[bytes]) -> str:
        """Why a variant is not worth judging; empty where it is."""
        if fold(text) == fold(question.words.text) or not text.strip():
            return "nothing could be changed"
        if not question.words.keeps(text):
            return "a number, a name or the like was lost"
        if key in self.held:
            return "equal to a held-out row"
        place = int(np.searchsorted(self._train, np.bytes_(key)))
        is_copy = place < len(self._train) and self._train[place] == key
        return "equal to another training row" if is_copy or key in self.own or key in seen else ""

    def _judged(self, fresh: Sequence[tuple[Turn, Question, dict[str, Any], str]]) -> list[Variant]:
        """Those that mean the same, and have their class still."""
        judge, asked, ground = self._judge, self._asked, self._ground
        alike = judge.similarity(
            [question.words.text for _, question, _, _ in fresh], [text for _, _, _, text in fresh]
        )
        survives = np.ones(len(fresh), dtype=bool)
        if ground.checked:
            labels = [ground.names[turn.label] for turn, _, _, _ in fresh]
            survives = judge.survives([question.asked_as(text) for _, question, _, text in fresh], labels)
        least = least_similarity(judge, asked.least_similarity)
        found: list[Variant] = []
        for (turn, question, record, _), value, is_same in zip(fresh, alike.tolist(), survives, strict=True):
            if value < least:
                self.made.rejected["too far from its row"] += 1
            elif value > asked.most_similarity:
                self.made.rejected["too close to its row"] += 1
            elif not is_same:
                self.made.rejected["another class"] += 1
            else:
                by = asked.by[turn.by].plugin
                found.append(Variant(record, question.record["id"], by, value, turn.label))
        return found

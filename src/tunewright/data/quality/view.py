"""What inspections look at: rows as text, and what is derived from them once for all inspections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.seeds import derive
from tunewright.data.answers import AnswerKind
from tunewright.data.folding import fold
from tunewright.data.frame import LINE, RESERVED, SOURCE
from tunewright.data.minhash import Integers
from tunewright.data.near import NEAR, Near, near_copies, words_of
from tunewright.data.quality.inspection import Case

if TYPE_CHECKING:
    from tunewright.data.preflight import Preflight
    from tunewright.recipe.schema import Recipe

STAGE = "inspect"
# From this Jaccard similarity of 4-character shingles on, two texts are near; as the step near_duplicates has it.


@dataclass(frozen=True)
class Rows:
    """The rows of one side: the data, a held-out file, or a benchmark.

    Args:
        name: What a person calls them: a file's name.
        frame: The rows' own columns as text, those that the format makes (see `data/frame.py`), `_source`, `_line`.
        refused: Records that could not be read or do not fit the format (`row_id, source, line, stage, reason`).
        total: Records there are; more than `frame` and `refused` hold where rows were drawn.
        prompt_columns: Those that make up what is asked, without those that hold one text in every row of the data.
        answer_columns: Those that make up the answer.
    """

    name: str
    frame: pl.DataFrame
    refused: pl.DataFrame
    total: int
    prompt_columns: tuple[str, ...]
    answer_columns: tuple[str, ...]

    def __len__(self) -> int:
        return self.frame.height

    @property
    def drawn(self) -> bool:
        """Whether these are fewer than all usable rows, drawn at random."""
        return self.total > self.frame.height + self.refused.height

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns but for the reserved ones."""
        return tuple(name for name in self.frame.columns if name not in RESERVED)

    @cached_property
    def prompts(self) -> list[str]:
        """What each row asks; "" where it asks nothing. Several columns have a line break between them."""
        return self._joined(self.prompt_columns)

    @cached_property
    def answers(self) -> list[str]:
        """What each row answers; "" where there is no answer."""
        return self._joined(self.answer_columns)

    @cached_property
    def words(self) -> list[str]:
        """The prompts after NFKC, case folding and reduction to words; "" where there is no word."""
        return [words_of(text) for text in self.prompts]

    @cached_property
    def places(self) -> list[str]:
        """Where each row stands, as `file:line`."""
        place = pl.concat_str(pl.col(SOURCE), pl.lit(":"), pl.col(LINE).cast(pl.String))
        return self.frame.select(place).to_series().to_list()

    def case(self, row: int, why: str, text: str | None = None) -> Case:
        """A row as one worth looking at; its text is the prompt unless another is given."""
        return Case(self.places[row], self.prompts[row] if text is None else text, why)

    def _joined(self, columns: Sequence[str]) -> list[str]:
        present = [name for name in columns if name in self.frame.columns]
        if not present:
            return [""] * self.frame.height
        filled = [pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name)) for name in present]
        joined = self.frame.select(pl.concat_str(filled, separator="\n", ignore_nulls=True).fill_null(""))
        return joined.to_series().to_list()


@dataclass(frozen=True)
class View:
    """All that an inspection may look at.

    Args:
        data: The rows to learn from.
        held_out: Rows to measure with, file by file; none may be given.
        benchmarks: Named rows that the model will be compared by, and must not have learned.
        format: How the rows were recognised: a format's name, `columns` where two columns were taken for question and
            answer, `text` where there are no answers.
        kind: What the answers are; `document` where there are none.
        pairs: Whether each row holds a better and a worse answer; several of these to one question contradict nothing.
        recipe: The recipe, where one is known.
        cache: Where models may lie, such as the text encoder; None where there is no such place.
        preflight: Gives the look before training for the recipe's base; None without a recipe. Raises an `InputError`
            where that cannot be had.
        listener: Hears how far an inspection is.
        seed: What is drawn at random follows from it.
    """

    data: Rows
    held_out: tuple[Rows, ...] = ()
    benchmarks: tuple[Rows, ...] = ()
    format: str = ""
    kind: AnswerKind = "document"
    pairs: bool = False
    recipe: Recipe | None = None
    cache: Path | None = None
    preflight: Callable[[], Preflight] | None = None
    listener: Listener = ignore
    seed: int = 17

    @property
    def goal(self) -> str:
        """What the model is for, as the recipe says; "" without one."""
        return self.recipe.goal if self.recipe else ""

    @property
    def labels(self) -> list[str] | None:
        """The label of each row of the data ("" where it has none); None where the answers are no labels."""
        return self.data.answers if self.kind == "label" else None

    @cached_property
    def texts(self) -> Texts:
        """The different texts of the data, after reduction to words, and how near they are to each other."""
        return Texts(self.data.words)

    @cached_property
    def records(self) -> Texts:
        """What is compared to find copies: the texts, and with them the answers where these are pairs."""
        if not self.pairs:
            return self.texts
        answers = map(words_of, self.data.answers)
        return Texts([f"{asked} {told}".strip() for asked, told in zip(self.data.words, answers, strict=True)])

    @cached_property
    def contradictions(self) -> list[list[int]]:
        """The rows of each text whose answers differ by more than white space and case; only rows with an answer."""
        if self.pairs:
            return []
        answers = [fold(answer) for answer in self.data.answers]
        told = ([row for row in rows if answers[row]] for rows in self.texts.rows_of() if len(rows) > 1)
        return [rows for rows in told if len({answers[row] for row in rows}) > 1]

    def sample(self, rows: Rows, most: int, *, what: str) -> tuple[Integers, str]:
        """At most so many rows, drawn with the seed, in their order, and the words that say so.

        Args:
            rows: Of these.
            most: How many at most.
            what: The inspection's name: each draws on its own.

        Returns:
            Positions, shape (n,), and "" where these are all rows.
        """
        if len(rows) <= most:
            return np.arange(len(rows), dtype=np.int64), ""
        dice = np.random.default_rng(derive(self.seed, f"inspect {what}"))
        chosen: Integers = np.sort(dice.choice(len(rows), most, replace=False)).astype(np.int64)
        return chosen, f"{most:,} of {len(rows):,} rows, drawn with the seed {self.seed}"

    def tell(self, note: str, done: int = 0, total: int = 0) -> None:
        """Tells the listener how far an inspection is, in rows."""
        self.listener(Stage(STAGE, "progress", done=done, total=total, unit="rows", note=note))


class Texts:
    """The different texts among reduced ones. Texts without a word are none.

    Attributes:
        distinct: Each text once, in the order of their first rows.
        position: Where each text stands in `distinct`.
        first: The first row that has it, shape (len(distinct),).
        owner: For each row the position of its text in `distinct`; -1 where the row has no word. Shape (rows,).
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.position: dict[str, int] = {}
        owner = np.fromiter((self._number(text) if text else -1 for text in words), np.int64, len(words))
        self.distinct = tuple(self.position)
        self.owner: Integers = owner
        numbers, first = np.unique(owner, return_index=True)
        self.first: Integers = first[numbers >= 0].astype(np.int64)

    def _number(self, text: str) -> int:
        return self.position.setdefault(text, len(self.position))

    @cached_property
    def rows(self) -> Integers:
        """How many rows have each text, shape (len(distinct),)."""
        counts: Integers = np.bincount(self.owner[self.owner >= 0], minlength=len(self.distinct))
        return counts

    @cached_property
    def near(self) -> Near:
        """Which of the different texts are near copies of longer ones (of equal ones the first), at `NEAR`."""
        size = np.fromiter(map(len, self.distinct), np.int64, len(self.distinct))
        rank = np.empty(len(size), dtype=np.int64)
        rank[np.argsort(-size, kind="stable")] = np.arange(len(size))
        return near_copies(self.distinct, threshold=NEAR, rank=rank)

    @cached_property
    def copies(self) -> npt.NDArray[np.bool_]:
        """Whether each row repeats an earlier one, exactly or as a near copy; shape (rows,)."""
        has_text = self.owner >= 0
        gone = np.zeros(len(self.owner), dtype=bool)
        gone[has_text] = self.near.kept_by[self.owner[has_text]] >= 0
        repeats = has_text.copy()
        repeats[self.first] = False
        copies: npt.NDArray[np.bool_] = repeats | gone
        return copies

    def rows_of(self) -> Iterator[list[int]]:
        """The rows of each text, in the order of `distinct`."""
        order = np.argsort(self.owner, kind="stable")
        order = order[self.owner[order] >= 0]
        for part in np.split(order, np.cumsum(self.rows)[:-1]) if len(self.distinct) else ():
            yield part.tolist()

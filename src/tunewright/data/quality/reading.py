"""From files, sources or a prepared dataset to the rows that inspections look at.

Rows are looked at as they stand in the files, before any cleaning step; a prepared dataset shows them after. Of more
than `MOST_ROWS` rows, or `MOST_BYTES` of text, as many as fit are drawn, each equally likely, in one pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.seeds import derive
from tunewright.data.answers import AnswerKind, answer_kind
from tunewright.data.columns import Column, cells, columns_in, pick_sides
from tunewright.data.dataset import Dataset, Part
from tunewright.data.documents import TEXT, is_plain, read_documents
from tunewright.data.example import Example
from tunewright.data.formats import ANSWER, ConversationFormat, TemplateFormat, choose_format
from tunewright.data.frame import LINE, RESERVED, SOURCE
from tunewright.data.quality.view import STAGE, Rows
from tunewright.data.readers import check_columns, columns_of, find_files, read_rows, sniff
from tunewright.data.rows import Fault, Row, as_text, parse_path, pick
from tunewright.data.table import REFUSED
from tunewright.recipe.schema import Data, Recipe, Source, Template

# Beyond it rows are drawn: a row takes about a kilobyte with all that is derived from it.
MOST_ROWS = 1_000_000
MOST_BYTES = 400_000_000
GUESSED = "columns"
_HEAD_ROWS = 5000
_CHUNK_ROWS = 20_000
_CHUNK_CHARACTERS = 16_000_000
_DRAW = "_draw"


class Shape(Protocol):
    """How a row is laid out: the part of `data.formats.Format` that is needed here."""

    @property
    def name(self) -> str: ...
    @property
    def needed(self) -> tuple[str, ...]: ...
    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]: ...
    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]: ...


class AskedOnly:
    """Rows of which one column is text, and none an answer."""

    name = "text"

    def __init__(self, column: str = TEXT) -> None:
        self.column = column
        self.needed: tuple[str, ...] = (column,)

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        """The row's text."""
        return {self.column: as_text(pick(values, self.column, parse_path(self.column)))}

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """All is asked, nothing answered."""
        return self.needed, ()


class _Prepared:
    """Rows of a prepared dataset, flattened as conversations are."""

    name = "prepared"
    needed = (ANSWER,)

    def flatten(self, values: Mapping[str, Any]) -> dict[str, str | None]:
        return dict(values)

    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return ConversationFormat().sides(columns)


def choose_shape(sources: Sequence[Source], recipe: Recipe | None = None) -> Shape:
    """How the rows of sources are laid out: as a recipe says, by their fields, or by what the columns seem to hold.

    Raises:
        DataError: If a file is missing or unreadable, or no column holds text.
    """
    if recipe is not None:
        return AskedOnly() if recipe.learns_documents else choose_format(recipe.data)
    file = find_files(sources[0])[0]
    if is_plain(file):
        return AskedOnly()
    sniff(file)
    try:
        return choose_format(Data(train=tuple(sources)))
    except DataError:
        # The file can be read, so what is wrong is that no format fits its fields.
        return _guessed(sources[0], file)


def _guessed(source: Source, file: Path) -> Shape:
    head = [row.values for row in islice(read_rows(source), _HEAD_ROWS) if isinstance(row, Row)]
    columns = columns_in(head)
    asked, answered, _ = pick_sides(columns)
    if asked is None and TEXT in (column.name for column in columns):
        return AskedOnly()  # a single document, as readers of pages and letters give it
    if asked is None:
        raise DataError("No column holds text that could be asked", where=str(file), hint=_listed(columns))
    if answered is None:
        return AskedOnly(asked.name)
    return TemplateFormat(Template(user=f"{{{asked.name}}}", assistant=f"{{{answered.name}}}"), GUESSED)


def _listed(columns: Sequence[Column]) -> str:
    names = ", ".join(f"{column.name} ({column.distinct:,} different values)" for column in columns)
    return f"Columns: {names or 'none'}. Say with a recipe's data.template what is asked: --recipe."


def shape_of_others(sources: Sequence[Source], known: Shape) -> Shape:
    """The layout of held-out rows: that of the data where their columns are there, else one of their own."""
    file = find_files(sources[0])[0]
    if is_plain(file) or set(known.needed) <= set(sources[0].columns or columns_of(file, sheet=sources[0].sheet)):
        return known
    return choose_shape(sources)


def read_sources(
    sources: Sequence[Source],
    shape: Shape,
    *,
    name: str,
    names: Mapping[Path, str],
    most: int = MOST_ROWS,
    seed: int = 17,
    listener: Listener = ignore,
) -> Rows:
    """The rows of sources.

    Args:
        sources: Where they come from.
        shape: How they are laid out.
        name: What a person calls them.
        names: What places call each file.
        most: Beyond so many rows, so many are drawn.
        seed: The draw follows from it.
        listener: Hears how many rows were read.

    Raises:
        DataError: If a file is missing, empty or unreadable, lacks a column, or has no usable row.
    """
    for source in sources:
        if not all(map(is_plain, find_files(source))):
            check_columns(source, shape.needed, hint=f"The format '{shape.name}' needs it.")
    return gather(_items(sources, shape, names), shape, name=name, most=most, seed=seed, listener=listener)


def _items(sources: Sequence[Source], shape: Shape, names: Mapping[Path, str]) -> Iterator[Row | Fault]:
    for source in sources:
        if isinstance(shape, AskedOnly) and any(map(is_plain, find_files(source))):
            for section in read_documents(source, names):
                yield section if isinstance(section, Fault) else Row({TEXT: section.text}, section.source, section.line)
        else:
            yield from read_rows(source, dict(names))


def read_dataset(
    dataset: Dataset, part: Part, *, name: str, most: int = MOST_ROWS, seed: int = 17, listener: Listener = ignore
) -> Rows:
    """The rows of one part of a prepared dataset, under the places they came from."""
    if dataset.answer_kind == "document":
        sections = (Row({TEXT: each.text}, each.source, each.line) for each in dataset.sections(part))
        return gather(sections, AskedOnly(), name=name, most=most, seed=seed, listener=listener)
    rows = (Row(_flat(example), example.source, example.line) for example in dataset.each(part))
    return gather(rows, _Prepared(), name=name, most=most, seed=seed, listener=listener)


def _flat(example: Example) -> dict[str, Any]:
    asked = {f"messages[{index}].content": message.shown for index, message in enumerate(example.prompt)}
    return {**asked, ANSWER: example.answer}


def gather(
    rows: Iterable[Row | Fault],
    shape: Shape,
    *,
    name: str,
    most: int = MOST_ROWS,
    seed: int = 17,
    listener: Listener = ignore,
) -> Rows:
    """Rows as one frame of text columns; at most `most`, and of long rows fewer, each as likely as any other.

    Raises:
        DataError: If there is no usable row.
    """
    dice = np.random.default_rng(derive(seed, f"rows of {name}"))
    frame = pl.DataFrame()
    refused: list[dict[str, Any]] = []
    flat: list[dict[str, Any]] = []
    usable = characters = 0
    for row in rows:
        cells_ = _cells(row, shape)
        if isinstance(cells_, Fault):
            refused.append(_refusal(cells_, "read" if isinstance(row, Fault) else "format"))
            continue
        usable += 1
        flat.append(cells_)
        characters += sum(len(text) for text in cells_.values() if isinstance(text, str))
        if len(flat) == _CHUNK_ROWS or characters >= _CHUNK_CHARACTERS:
            frame, most = _with(frame, flat, dice, most)
            flat, characters = [], 0
            listener(Stage(STAGE, "progress", done=usable + len(refused), unit="rows", note=f"reading {name}"))
    frame, _ = _with(frame, flat, dice, most)
    if not frame.height:
        first = f" The first: {refused[0]['source']}:{refused[0]['line']}: {refused[0]['reason']}." if refused else ""
        raise DataError("No row can be used", where=name, hint=f"{len(refused):,} were refused.{first}")
    prompt, answer = shape.sides([column for column in frame.columns if column != _DRAW])
    kept = frame.drop(_DRAW).rechunk()
    return Rows(name, kept, pl.DataFrame(refused, schema=REFUSED), usable + len(refused), prompt, answer)


def _cells(row: Row | Fault, shape: Shape) -> dict[str, Any] | Fault:
    """A row's own values as text and what its format makes of them, or why it cannot be used."""
    if isinstance(row, Fault):
        return row
    try:
        own = {name: as_text(value) for name, value in cells(row.values) if name not in RESERVED}
        return {SOURCE: row.file, LINE: row.line, **own, **shape.flatten(row.values)}
    except DataError as error:
        return Fault(row.file, row.line, error.what)


def _refusal(fault: Fault, stage: str) -> dict[str, Any]:
    return {"row_id": None, "source": fault.file, "line": fault.line, "stage": stage, "reason": fault.reason}


def _with(
    frame: pl.DataFrame, rows: list[dict[str, Any]], dice: np.random.Generator, most: int
) -> tuple[pl.DataFrame, int]:
    """The frame with further rows, and how many it may hold from now on.

    Where there are too many, those with the lowest numbers drawn stay; where these are too long, fewer of them, and no
    more ever after, so that a later row has no better chance than an earlier one.
    Source: bottom-k sampling, Cohen and Kaplan, "Summarizing data using bottom-k sketches", 2007.
    """
    if not rows:
        return frame, most
    order = dict.fromkeys([SOURCE, LINE, *(name for row in rows for name in row)])
    more = pl.DataFrame(
        {
            name: pl.Series(name, [row.get(name) for row in rows], dtype=pl.Int64 if name == LINE else pl.String)
            for name in order
        }
    ).with_columns(pl.Series(_DRAW, dice.random(len(rows))))
    frame = pl.concat([frame, more], how="diagonal") if frame.width else more
    if (size := frame.estimated_size()) > MOST_BYTES:
        most = max(1, min(most, int(frame.height * MOST_BYTES / size)))
    if frame.height > most:
        frame = frame.filter(pl.col(_DRAW).rank("ordinal") <= most)
    return frame, most


def without_constant(data: Rows) -> tuple[str, ...]:
    """The prompt's columns that tell rows apart: not those with one text in every row, such as a system prompt.

    Where no column tells rows apart, all are kept.
    """
    if len(data) < 2:
        return data.prompt_columns
    telling = [name for name in data.prompt_columns if data.frame[name].n_unique() > 1]
    return tuple(telling) or data.prompt_columns


def kind_of(rows: Rows, declared: str = "auto") -> AnswerKind:
    """What the answers are; `document` where there are none."""
    answers = pl.Series([text for text in rows.answers if text], dtype=pl.String)
    if not len(answers):
        return "document"
    if declared in ("auto", "label", "tags") and answers.n_unique() == 1:
        return "label"  # which training refuses; an inspection says so instead
    return answer_kind([answers], declared)

"""The texts that may be asked for: distinct ones, and of very many a fair sample."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.data.labelling.journal import label_id
from tunewright.data.readers import check_columns, columns_of, find_files, read_rows
from tunewright.data.rows import Row, as_text
from tunewright.recipe.schema import Source

_CONSIDERED = 10_000
_TOLD_EVERY = 20_000
# Names that a column of texts usually has, the likeliest first.
_USUAL = ("text", "message", "prompt", "question", "body", "content", "instruction")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that may be asked for, by `journal.label_id`, and where it stands first."""

    id: str
    text: str
    source: str
    line: int


@dataclass(frozen=True, slots=True)
class Pool:
    """The texts of a file.

    Args:
        candidates: Those that are considered, in the file's order.
        distinct: How many distinct texts there are.
        rows: How many rows.
        unusable: How many of those are broken, or have no text.
    """

    candidates: tuple[Candidate, ...]
    distinct: int
    rows: int
    unusable: int


def read_pool(path: Path, column: str, *, seed: int, listener: Listener = ignore) -> Pool:
    """The distinct texts of a file; of more than 10,000 a sample of as many (algorithm R, Vitter 1985).

    Args:
        path: Rows in any format that is read.
        column: Where the text stands; empty: the file's only column, or the one that has a usual name.
        seed: For the sample.
        listener: Hears how many rows are read.

    Raises:
        DataError: If the file cannot be read, has no such column, or no text.
    """
    source = Source(path=str(path.absolute()))
    name = column or _usual_column(source)
    check_columns(source, [name], hint="It is named with --column.")
    seen: set[int] = set()
    chosen: list[Candidate] = []
    dice = random.Random(seed)
    rows = unusable = 0
    listener(Stage("read", "started", unit="rows"))
    for row in read_rows(source):
        rows += 1
        if rows % _TOLD_EVERY == 0:
            listener(Stage("read", "progress", rows, unit="rows"))
        text = as_text(row.values.get(name)) if isinstance(row, Row) else None
        if text is None or not text.strip():
            unusable += 1
            continue
        identity = label_id(text)
        number = int(identity[:16], 16)  # eight bytes tell five million texts apart but once in a million files
        if number in seen:
            continue
        seen.add(number)
        candidate = Candidate(identity, text, row.file, row.line)
        if len(chosen) < _CONSIDERED:
            chosen.append(candidate)
        elif (place := dice.randrange(len(seen))) < _CONSIDERED:
            chosen[place] = candidate
    listener(Stage("read", "finished", rows, rows, "rows"))
    if not chosen:
        raise DataError(f"No row has a text in '{name}'", where=str(path), hint="Name another column with --column.")
    return Pool(tuple(sorted(chosen, key=lambda each: (each.source, each.line))), len(seen), rows, unusable)


def _usual_column(source: Source) -> str:
    columns = columns_of(find_files(source)[0])
    if len(columns) == 1:
        return columns[0]
    found = next((name for name in _USUAL if name in columns), None)
    if found is None:
        raise DataError(
            "Which column holds the texts is not clear",
            where=source.path,
            hint=f"Name it with --column. Columns: {', '.join(columns)}.",
        )
    return found

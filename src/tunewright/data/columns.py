"""What the columns of a file seem to hold: which is asked, which is answered, which holds dates or addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tunewright.data.folding import fold
from tunewright.data.frame import RESERVED
from tunewright.data.rows import as_text

_MOST_LABELS = 200
_LONGEST_LABEL = 60  # characters
_ROWS_A_LABEL = 3  # fewer rows than this for each value, and it is no label

# Words that tell what a column is for, the most telling first.
TEXT_NAMES = (
    *("text", "message", "question", "query", "prompt", "input", "body", "content"),
    *("review", "comment", "description", "ticket", "utterance"),
)
LABEL_NAMES = (
    *("label", "category", "class", "intent", "sentiment", "topic", "tag", "target"),
    *("type", "kind", "priority", "status"),
)
ANSWER_NAMES = (
    *("answer", "response", "output", "completion", "reply"),
    *("summary", "translation", "target", "solution", "result"),
)
NOT_ASKED = ("id", "uuid", "guid", "key", "url", "link", "created", "updated", "received", "timestamp", "time")

_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|(?P<first>\d{1,2})(?P<mark>[-/.])(?P<second>\d{1,2})(?P=mark)\d{2,4}"
    r"|\d{1,2}(st|nd|rd|th)?( of)? [a-z]{3,9}\.?,? \d{4}|[a-z]{3,9}\.? \d{1,2}(st|nd|rd|th)?,? \d{4})([T ,].*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Column:
    """What the head of a file shows of one column.

    Args:
        name: The column, or a dotted path into nested values.
        texts: Its values that are not empty, as text.
        rows: How many rows were looked at.
    """

    name: str
    texts: tuple[str, ...]
    rows: int

    @cached_property
    def distinct(self) -> int:
        """Different values, case and white space apart."""
        return len({fold(text) for text in self.texts})

    @cached_property
    def mean_length(self) -> float:
        """Characters in a value, on average."""
        return sum(map(len, self.texts)) / len(self.texts) if self.texts else 0.0

    @cached_property
    def words(self) -> float:
        """Words in a value, on average."""
        return sum(len(text.split()) for text in self.texts) / len(self.texts) if self.texts else 0.0

    @cached_property
    def is_date(self) -> bool:
        """Whether nearly every value is a date."""
        dates = sum(bool(_DATE.fullmatch(text.strip())) for text in self.texts)
        return bool(self.texts) and dates >= 0.8 * len(self.texts)

    @cached_property
    def is_number(self) -> bool:
        """Whether every value is a number."""
        return bool(self.texts) and all(re.fullmatch(r"\s*[-+]?[\d.,]+\s*", text) for text in self.texts)

    @cached_property
    def filled(self) -> float:
        """Share of the rows that have a value."""
        return len(self.texts) / self.rows

    def length_at(self, share: float) -> int:
        """Characters that this share of the values does not exceed."""
        return sorted(map(len, self.texts))[min(len(self.texts) - 1, int(share * len(self.texts)))] if self.texts else 0

    def is_called(self, names: Sequence[str]) -> bool:
        """Whether one of the words is part of the column's name."""
        own = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.name).lower())
        return any(name in own for name in names)


def columns_in(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """All columns that a template can name; nested objects by dotted paths, lists left out."""
    texts: dict[str, list[str]] = {}
    for row in rows:
        for name, value in cells(row):
            kept = texts.setdefault(name, [])
            text = as_text(value)
            if text is not None and text.strip():
                kept.append(text)
    usable = {name: found for name, found in texts.items() if not re.search(r"[{}]", name) and name not in RESERVED}
    return [Column(name, tuple(found), len(rows)) for name, found in usable.items()]


def cells(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(name, value) of each value in a row, those of nested objects by dotted paths; lists are left out."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from cells(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple | bytes):
            continue
        elif name:
            yield f"{prefix}{name}", value


def pick_label(columns: Sequence[Column], text: Column) -> Column | None:
    """The column with few, short, repeated values that is most likely what people want to predict."""

    def is_label(column: Column) -> bool:
        return (
            column is not text
            and 2 <= column.distinct <= min(_MOST_LABELS, len(column.texts) // _ROWS_A_LABEL)
            and column.length_at(1.0) <= _LONGEST_LABEL
            and not column.is_date
            and not column.is_called(NOT_ASKED)
            and (not column.is_number or column.is_called(LABEL_NAMES))
        )

    found = [column for column in columns if is_label(column)]
    # A telling name first, in the order of the names; then the fullest; then the richest.
    return min(
        found,
        key=lambda c: (_rank(c, LABEL_NAMES), -round(c.filled, 1), -c.distinct, c.name),
        default=None,
    )


def pick_text(columns: Sequence[Column]) -> Column | None:
    """The column that is asked: text by its name and its length."""
    found = [
        column
        for column in columns
        if column.texts
        and column.distinct > 1
        and not column.is_date
        and not column.is_number
        and not (column.is_called(NOT_ASKED) and column.words < 3)
    ]
    asked = [column for column in found if column.is_called(TEXT_NAMES) and column.words >= 2]
    if asked:
        return min(asked, key=lambda c: (_rank(c, TEXT_NAMES), -c.mean_length, c.name))
    others = [column for column in found if not column.is_called((*ANSWER_NAMES, *LABEL_NAMES))] or found
    return max(others, key=lambda c: (c.words, c.mean_length, c.name), default=None)


def pick_answer(columns: Sequence[Column], text: Column) -> Column | None:
    """A column of free answers."""
    found = [c for c in columns if c is not text and c.distinct > 1 and not c.is_date and not c.is_number]
    named = [column for column in found if column.is_called(ANSWER_NAMES)]
    if named:
        return min(named, key=lambda c: (_rank(c, ANSWER_NAMES), c.name))
    long = [column for column in found if column.words >= 2 and not column.is_called(NOT_ASKED)]
    return max(long, key=lambda c: (c.mean_length, c.name), default=None)


def pick_sides(columns: Sequence[Column]) -> tuple[Column | None, Column | None, bool]:
    """The column that is asked, the one that answers, and whether its values are labels; None where there is none."""
    text = pick_text(columns)
    label = pick_label(columns, text) if text else None
    free = pick_answer(columns, text) if text else None
    # A column that is called like an answer wins over a label that is not called like one.
    if label and free and not label.is_called(LABEL_NAMES) and free.is_called(ANSWER_NAMES) and free.words >= 3:
        label = None
    return text, label or free, label is not None


def _rank(column: Column, names: Sequence[str]) -> int:
    """Place of the first of the names that is part of the column's; their number if none is."""
    return next((place for place, name in enumerate(names) if column.is_called([name])), len(names))


def date_order(column: Column) -> str:
    """`dmy` or `mdy` where the values show it; empty where they leave it open."""
    matches = [found for text in column.texts if (found := _DATE.fullmatch(text.strip())) and found["first"]]
    day_first = any(int(found["first"]) > 12 for found in matches)
    month_first = any(int(found["second"]) > 12 for found in matches)
    if day_first == month_first:
        return ""
    return "dmy" if day_first else "mdy"


def contacts(column: Column) -> dict[str, int]:
    """How many e-mail addresses and telephone numbers stand in a column."""
    import polars as pl

    from tunewright.data.frame import ROW_ID
    from tunewright.data.steps import redact

    ids = [str(number) for number in range(len(column.texts))]
    frame = pl.DataFrame({ROW_ID: ids, column.name: list(column.texts)})
    kinds = ("email", "phone")
    found = redact.apply(frame, redact.Config(columns=(column.name,), kinds=kinds)).findings
    return {kind: found[redact.counted(kind)] for kind in kinds if found[redact.counted(kind)]}

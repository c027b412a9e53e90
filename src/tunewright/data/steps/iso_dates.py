"""Writes dates as ISO 8601 (`2024-03-05`), and never guesses which number is the day.

`03/04/2024` is two dates. What the other cells of the column prove decides (`25/03/2024` proves that the day comes
first), or `order` does. Where nothing decides, or where a column proves both, such a value is a fault, and so is one
that contradicts a given order. Dates that spell the month, or whose numbers allow one reading only, need no order.
Relative dates ("yesterday") are refused: they mean nothing without the day they were written on.
"""

from __future__ import annotations

import datetime
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from tunewright.data.frame import (
    ROW_ID,
    ColumnsConfig,
    StepResult,
    check_columns,
    drop,
    join_edits,
    map_text,
    replace,
)

Order = Literal["dmy", "mdy"]

_TIME = r"(?:[T ,]\s*\d{1,2}[:.]\d{2}(?:[:.]\d{2}(?:\.\d+)?)?\s*(?:[ap]\.?m\.?)?\s*(?:Z|UTC|[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/. ]?)(\d{{1,2}})\2(\d{{1,2}}){_TIME}", re.IGNORECASE)
_YEAR_LAST = re.compile(rf"(\d{{1,2}})\s*([-/. ])\s*(\d{{1,2}})\s*\2\s*(\d{{4}}|\d{{2}}){_TIME}", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{3,}")
_AMBIGUOUS, _UNPARSABLE = "ambiguous", "unparsable"

# Two-digit years as POSIX reads them: 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068.
_CENTURY_PIVOT = 69


class Config(ColumnsConfig):
    """Settings of `iso_dates`."""

    name: Literal["iso_dates"] = "iso_dates"
    columns: tuple[str, ...] = Field((), description="Columns that hold a date each.")
    order: Literal["infer", "dmy", "mdy"] | None = Field(
        "infer",
        description="Which number comes first where both readings are possible; infer: the column says; null: such a "
        "value is a fault.",
    )
    least_proofs: int = Field(3, ge=1, description="Cells that must prove one order, and none the other, to infer it.")
    languages: tuple[str, ...] = Field(("en",), min_length=1, description="Languages that months are spelt in.")
    on_error: Literal["keep", "null", "drop"] = Field(
        "drop", description="An ambiguous or unreadable date: keep it, empty the cell, or set the row aside."
    )

    @model_validator(mode="after")
    def _columns_are_named(self) -> Self:
        if not self.columns:
            raise ValueError("iso_dates needs 'columns', the columns that hold a date each")
        return self


@dataclass(frozen=True, slots=True)
class Known:
    """What all rows together say: for each column which number comes first; None where that is not known."""

    orders: dict[str, Order | None]


def survey(pieces: Iterable[pl.DataFrame], config: Config) -> Known:
    """Counts in each column the dates that only one order can read."""
    if config.order != "infer":
        return Known(dict.fromkeys(config.columns, config.order))
    proofs: dict[str, Counter[Order]] = {column: Counter() for column in config.columns}
    for piece in pieces:
        check_columns(piece, config.columns, config.name)
        for column in config.columns:
            for text, rows in piece[column].drop_nulls().value_counts().iter_rows():
                if proved := _proved_order(" ".join(text.split())):
                    proofs[column][proved] += rows
    return Known({column: _inferred(found, config.least_proofs) for column, found in proofs.items()})


def _inferred(proofs: Counter[Order], least: int) -> Order | None:
    order, count = max(proofs.items(), key=lambda pair: pair[1], default=(None, 0))
    return order if len(proofs) == 1 and count >= least else None


def _proved_order(text: str) -> Order | None:
    """The order that a date's own numbers prove; None if it reads both ways, or not as numbers with a year behind."""
    found = _YEAR_LAST.fullmatch(text)
    if not found or len(found[4]) != 4:
        return None
    readings = _both_orders(int(found[1]), int(found[3]), int(found[4]))
    possible: list[Order] = [order for order, date in readings.items() if date]
    return possible[0] if len(possible) == 1 else None


def apply(frame: pl.DataFrame, config: Config, known: Known) -> StepResult:
    """Dates in `columns` become ISO dates; times of day are cut off; empty cells are left alone."""
    check_columns(frame, config.columns, config.name)
    logs, reasons = [], pl.Series([None] * frame.height, dtype=pl.String)
    findings = {"cells_changed": 0, _AMBIGUOUS: 0, _UNPARSABLE: 0}
    for column in config.columns:
        cells = frame[column]
        texts = [text for text in cells.unique(maintain_order=True) if text is not None and text.strip()]
        read = read_dates(texts, known.orders[column], config.languages)
        faults = {text: found for text, found in read.items() if found in (_AMBIGUOUS, _UNPARSABLE)}
        dates = {text: found for text, found in read.items() if text not in faults}
        frame, changes = replace(frame, column, map_text(cells, partial(_swap, dates)), "ISO date")
        logs.append(changes)
        findings["cells_changed"] += changes.height
        for kind in (_AMBIGUOUS, _UNPARSABLE):
            findings[kind] += sum(faults.get(text or "") == kind for text in cells)
        if config.on_error == "null":
            emptied = map_text(frame[column], partial(_swap, dict.fromkeys(faults)))
            frame, changes = replace(frame, column, emptied, "no unambiguous date")
            logs.append(changes)
        elif config.on_error == "drop":
            told = map_text(cells, partial(_reason, column, faults))
            reasons = reasons.zip_with(reasons.is_not_null(), told)
    unusable = frozenset(frame[ROW_ID].filter(reasons.is_not_null()))
    kept, gone = drop(frame, reasons)
    return StepResult(kept, join_edits([*logs, gone]), findings, unusable)


def _swap(table: Mapping[str, str | None], text: str) -> str | None:
    return table.get(text, text)


def _reason(column: str, faults: dict[str, str], text: str) -> str | None:
    if text not in faults:
        return None
    what = "may be two dates; say which with 'order'" if faults[text] == _AMBIGUOUS else "is no complete date"
    return f"{column}: '{text}' {what}"


def read_dates(texts: list[str], order: Order | None, languages: tuple[str, ...]) -> dict[str, str]:
    """Each text's ISO date, or `ambiguous`, or `unparsable`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dateparser's own, about its dependencies
        return {text: _read(" ".join(text.split()), order, languages) for text in texts}


def _read(text: str, order: Order | None, languages: tuple[str, ...]) -> str:
    if found := _YEAR_FIRST.fullmatch(text):
        return _iso(int(found[1]), int(found[3]), int(found[4])) or _UNPARSABLE
    if found := _YEAR_LAST.fullmatch(text):
        return _read_numbers(int(found[1]), int(found[3]), found[4], order)
    if not _WORD.search(text):
        return _UNPARSABLE
    readings = {name: _parse(text, name, languages) for name in ("dmy", "mdy")}
    if readings["dmy"] == readings["mdy"]:
        return readings["dmy"] or _UNPARSABLE
    return _AMBIGUOUS if order is None else readings[order] or _UNPARSABLE


def _read_numbers(first: int, second: int, year_text: str, order: Order | None) -> str:
    year = int(year_text)
    if len(year_text) == 2:
        year += 2000 if year < _CENTURY_PIVOT else 1900
    readings = _both_orders(first, second, year)
    if order:
        return readings[order] or _UNPARSABLE
    possible = sorted({date for date in readings.values() if date})
    if not possible:
        return _UNPARSABLE
    # Three two-digit numbers may also begin with the year.
    return possible[0] if len(possible) == 1 and len(year_text) == 4 else _AMBIGUOUS


def _both_orders(first: int, second: int, year: int) -> dict[Order, str | None]:
    return {"dmy": _iso(year, second, first), "mdy": _iso(year, first, second)}


def _iso(year: int, month: int, day: int) -> str | None:
    try:
        return datetime.date(year, month, day).isoformat()
    except ValueError:
        return None


def _parse(text: str, order: str, languages: tuple[str, ...]) -> str | None:
    import dateparser

    settings: dict[str, Any] = {
        "DATE_ORDER": order.upper(),
        "REQUIRE_PARTS": ["day", "month", "year"],
        "PARSERS": ["absolute-time"],
        "RETURN_AS_TIMEZONE_AWARE": False,
    }
    found = dateparser.parse(text, languages=list(languages), settings=settings)
    return found.date().isoformat() if found else None

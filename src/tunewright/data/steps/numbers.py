"""Writes numbers plainly (`1234.5`), and never guesses what a comma means.

`1,234` is two numbers. What the other cells of the column prove decides (`0,5` proves a decimal comma, `1,234,567` a
decimal point), or `decimal` does. Where nothing decides, or where a column proves both, such a cell is a fault. A
currency or unit beside the number stays: `€ 1.234,50` becomes `€ 1234.50`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal, Self

import polars as pl
from pydantic import Field, model_validator

from tunewright.data.frame import (
    ColumnsConfig,
    StepResult,
    check_columns,
    join_edits,
    map_text,
    replace,
    set_aside,
)
from tunewright.data.numerals import Mark, is_ambiguous, proves, readings

_CELL = re.compile(
    r"(?P<before>\s*(?:[^\d\s.,+−-]{1,8}\s*)?)(?P<sign>[+−-]?)(?P<gap>\s?)"
    r"(?P<body>\d[\d.,'’\u00a0\u202f\u2009 ]*\d|\d|[.,]\d+)(?P<after>[^\d]{0,12})"
)
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:\.\d+)?[eE][+-]?\d+")
_AMBIGUOUS, _UNREADABLE = "ambiguous", "unreadable"


class Config(ColumnsConfig):
    """Settings of `numbers`."""

    name: Literal["numbers"] = "numbers"
    columns: tuple[str, ...] = Field((), description="Columns that hold a number each.")
    decimal: Literal["infer", "point", "comma"] = Field(
        "infer", description="What sets the decimals apart where both readings are possible; infer: the column says."
    )
    least_proofs: int = Field(3, ge=1, description="Cells that must prove one mark, and none the other, to infer it.")
    on_error: Literal["keep", "null", "drop"] = Field(
        "drop", description="An ambiguous or unreadable number: keep it, empty the cell, or set the row aside."
    )

    @model_validator(mode="after")
    def _columns_are_named(self) -> Self:
        if not self.columns:
            raise ValueError("numbers needs 'columns', the columns that hold a number each")
        return self


@dataclass(frozen=True, slots=True)
class Column:
    """What a whole column says of its numbers.

    Args:
        decimal: What sets the decimals apart where a cell leaves that open; None: such cells are faults.
        mixed: Whether the column proves both marks.
        bare: Whether `1.234` may be written for one and a bit: only if enough other cells, as they will be written,
            prove the point. Else a zero is added (`1.2340`), so that nobody, and no second run, reads a thousand.
    """

    decimal: Mark | None
    mixed: bool
    bare: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What all rows together say: each column's writing of numbers."""

    columns: dict[str, Column]


def survey(pieces: Iterable[pl.DataFrame], config: Config) -> Known:
    """Counts in each column the cells that prove a decimal mark, and those that prove a point once written plainly."""
    seen: dict[str, dict[Mark, int]] = {column: {"point": 0, "comma": 0} for column in config.columns}
    lasting = dict.fromkeys(config.columns, 0)
    for piece in pieces:
        check_columns(piece, config.columns, config.name)
        for column in config.columns:
            for text, rows in piece[column].drop_nulls().value_counts().iter_rows():
                found = _readings(text)
                if mark := proves(found):
                    seen[column][mark] += rows
                    lasting[column] += rows if proves(readings(found[mark])) == "point" else 0
    return Known({column: _judge(seen[column], lasting[column], config) for column in config.columns})


def _judge(seen: dict[Mark, int], lasting: int, config: Config) -> Column:
    mixed = all(seen.values())
    if config.decimal != "infer":
        return Column(config.decimal, mixed=False, bare=config.decimal == "point")
    proved: list[Mark] = [mark for mark, count in seen.items() if count >= config.least_proofs]
    return Column(proved[0] if len(proved) == 1 and not mixed else None, mixed, bare=lasting >= config.least_proofs)


def apply(frame: pl.DataFrame, config: Config, known: Known) -> StepResult:
    """Numbers in `columns` are written plainly; empty cells are left alone."""
    check_columns(frame, config.columns, config.name)
    logs, reasons = [], pl.Series([None] * frame.height, dtype=pl.String)
    findings = {"cells_changed": 0, _AMBIGUOUS: 0, _UNREADABLE: 0}
    for column in config.columns:
        cells, rule = frame[column], known.columns[column]
        faults = map_text(cells, partial(_fault, rule=rule))
        for kind in (_AMBIGUOUS, _UNREADABLE):
            findings[kind] += int((faults == kind).sum())
        if not (rule.mixed and config.on_error == "keep"):
            # Writing the clear cells of a mixed column plainly would make the unclear ones look clear.
            frame, changes = replace(frame, column, map_text(cells, partial(_plain, rule=rule)), "plain number")
            logs.append(changes)
            findings["cells_changed"] += changes.height
        if config.on_error == "null":
            emptied = pl.select(pl.when(faults.is_null()).then(frame[column])).to_series()
            frame, changes = replace(frame, column, emptied, "no unambiguous number")
            logs.append(changes)
        elif config.on_error == "drop":
            told = _reasons(column, cells, faults)
            reasons = reasons.zip_with(reasons.is_not_null(), told)
    kept, gone, unusable = set_aside(frame, reasons)
    return StepResult(kept, join_edits([*logs, gone]), findings, unusable)


def _reasons(column: str, cells: pl.Series, faults: pl.Series) -> pl.Series:
    what = faults.replace_strict(
        {_AMBIGUOUS: "may be two numbers; say which with 'decimal'", _UNREADABLE: "is no number"},
        return_dtype=pl.String,
    )
    return pl.select(pl.concat_str(pl.lit(f"{column}: '"), cells, pl.lit("' "), what)).to_series()


def _readings(text: str) -> dict[Mark, str]:
    match = _CELL.fullmatch(text)
    return readings(match["body"]) if match else {}


def _fault(text: str, rule: Column) -> str | None:
    if not text.strip() or _SCIENTIFIC.fullmatch(text.strip()):
        return None
    found = _readings(text)
    if not found:
        return _UNREADABLE
    return _AMBIGUOUS if is_ambiguous(found) and rule.decimal is None else None


def _plain(text: str, rule: Column) -> str:
    """A cell with its number written plainly; faulty and empty cells as they are."""
    match = _CELL.fullmatch(text)
    if match is None or _SCIENTIFIC.fullmatch(text.strip()):
        return text
    found = readings(match["body"])
    if not found or (is_ambiguous(found) and rule.decimal is None):
        return text
    plain = found[rule.decimal] if rule.decimal in found else next(iter(found.values()))
    if not rule.bare and is_ambiguous(readings(plain)):
        plain += "0"
    sign = "-" if match["sign"] == "−" else match["sign"]
    return f"{match['before']}{sign}{match['gap']}{plain}{match['after']}"

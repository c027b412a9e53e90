"""The kept table of units (`units.yaml`): how each is written, and what it is in others of its kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

# What is converted has this many significant digits, or as many as the number had.
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit.

    Args:
        symbol: How it is written.
        kind: What it measures; only units of one kind convert.
        size: One of it, in the kind's base unit.
        offset: Added to a number before it is multiplied by the size (temperatures); 0 for most.
        words: Other spellings, in any case.
        marks: Other spellings whose case matters.
    """

    symbol: str
    kind: str
    size: Fraction
    offset: Fraction
    words: tuple[str, ...]
    marks: tuple[str, ...]


@cache
def units() -> dict[str, Unit]:
    """All units, by symbol."""
    entries: list[dict[str, Any]] = yaml.safe_load((files("tunewright.data") / "units.yaml").read_text("utf-8"))
    return {
        entry["symbol"]: Unit(
            entry["symbol"],
            entry["kind"],
            Fraction(entry["size"]),
            Fraction(entry.get("offset", "0")),
            tuple(entry["words"]),
            tuple(entry.get("marks", ())),
        )
        for entry in entries
    }


@cache
def spellings() -> dict[str, str]:
    """Spelling to symbol; words are in lower case, marks and symbols as they are."""
    found: dict[str, str] = {}
    for unit in units().values():
        # A symbol of one letter says too many things (5m: metres, millions, minutes) to be recognised.
        own = () if len(unit.symbol) == 1 else (unit.symbol,)
        for spelling in (*unit.words, *unit.marks, *own):
            if found.setdefault(spelling, unit.symbol) != unit.symbol:
                raise ValueError(f"units.yaml: '{spelling}' is written for {found[spelling]} and for {unit.symbol}")
    return found


@cache
def unit_pattern() -> str:
    """A regular expression for every spelling, the longest first; it has no groups."""
    words = {word for unit in units().values() for word in unit.words}
    ways = sorted(spellings(), key=lambda spelling: (-len(spelling), spelling))
    return "|".join(
        f"(?i:{re.escape(way).replace(chr(92) + ' ', r' +')})" if way in words else re.escape(way) for way in ways
    )


def symbol_of(spelling: str) -> str:
    """The symbol behind a spelling that `unit_pattern` matched."""
    known, folded = spellings(), " ".join(spelling.split())
    return known[folded] if folded in known else known[folded.lower()]


def convert(number: str, source: Unit, target: Unit) -> str:
    """A plain number in another unit, rounded to its own precision.

    Args:
        number: Digits, perhaps with a sign and a decimal point.
        source: Its unit.
        target: A unit of the same kind.

    Returns:
        A plain number. It has as many significant digits as `number`, at least three; a temperature has as many
        decimals.
    """
    value = Fraction(number)
    exact = (value + source.offset) * source.size / target.size - target.offset
    if source.offset or target.offset:
        places = len(number.partition(".")[2])
        return f"{_decimal(exact):.{places}f}"
    digits = max(_DIGITS, len(number.lstrip("+-").replace(".", "").lstrip("0")))
    rounded = Decimal(f"{_decimal(exact):.{digits - 1}e}")
    places = max(0, digits - 1 - rounded.adjusted()) if rounded else 0
    return f"{rounded:.{places}f}"


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)

"""Numbers, quantities and dates in a text, and whether one text's stand in another, however they are written.

`1,000`, `1.000` and `1 000` may be one number; `5 km` and `5000 metres` are one length, `5 kg` is none. A date is
compared as a date, without a year by month and day. Rules and tables (`data/numerals.py`, `data/units.yaml`), and
English months.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache

from tunewright.data.measures import symbol_of, unit_pattern, units
from tunewright.data.numerals import readings
from tunewright.data.steps.iso_dates import Order, read_dates

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = re.compile(
    rf"(?<![\w.,/-])(?:\d{{4}}([-/.])\d{{1,2}}\1\d{{1,2}}|\d{{1,2}}([-/.])\d{{1,2}}\2(?:\d{{4}}|\d{{2}})"
    rf"|(?P<day>{_DAY})(?: of)? (?P<month>{_MONTH})(?:,? (?P<year>\d{{4}}))?"
    rf"|(?P<month2>{_MONTH}) (?P<day2>{_DAY})(?:,? (?P<year2>\d{{4}}))?)(?![\w/-]|\.\d)",
    re.IGNORECASE,
)
_ANY_YEAR = "2000"  # a leap year
_SIGNS = {"$": "$", "€": "€", "£": "£", "¥": "¥"}
_WORDS = {
    **dict.fromkeys(("%", "percent", "per cent"), "%"),
    **dict.fromkeys(("$", "dollar", "dollars", "usd"), "$"),
    **dict.fromkeys(("€", "euro", "euros", "eur"), "€"),
    **dict.fromkeys(("£", "gbp"), "£"),
    **{
        f"{word}{end}": word
        for word in ("second", "minute", "hour", "day", "week", "month", "year")
        for end in ("", "s")
    },
}
_SCALES = {"thousand": 10**3, "k": 10**3, "million": 10**6, "mn": 10**6, "billion": 10**9, "bn": 10**9}
_DIGITS = r"\d{1,3}(?:[ \u00a0\u202f\u2009'’]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*"
_LIST_MARK = re.compile(r"(?m)^[ \t]*\d{1,3}[.)][ \t]+")
_COUNTED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_TENS = "ten twenty thirty forty fifty sixty seventy eighty ninety hundred"
_SPELT = {
    **{word: 10 * number for number, word in enumerate(_TENS.split(), 1)},
    **{word: number for number, word in enumerate(_COUNTED.split())},
}
_IDENTIFIER = re.compile(r"(?<![\w-])(?=[\w-]*[^\W\d_])(?=[\w-]*\d)[^\W\d_][\w-]*\w(?![\w-])")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a text.

    Args:
        written: As it stands there, with its unit.
        values: What it may be; two where its marks have two readings.
        step: One in its last place, where it has decimals; else 0.
        unit: A unit's symbol, a currency's sign, `%`, or a span of time; empty: it has none.
    """

    written: str
    values: frozenset[Fraction]
    step: Fraction = Fraction(0)
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is countable in a text.

    Args:
        quantities: Numbers outside of dates and names of things.
        dates: Each date as it is written, and what it may be: `2024-03-05`, or `03-05` without a year.
        identifiers: Words of letters and digits, such as `A1042`.
    """

    quantities: tuple[Quantity, ...]
    dates: tuple[tuple[str, frozenset[str]], ...]
    identifiers: tuple[str, ...]


def figures(text: str) -> Figures:
    """The quantities, dates and identifiers of a text; the numbers of a list's items are none."""
    rest = _LIST_MARK.sub(" ", text)
    dates = []
    for match in _DATE.finditer(rest):
        if found := _days(match):
            dates.append((match[0], found))
            rest = rest[: match.start()] + "~" * len(match[0]) + rest[match.end() :]
    identifiers = tuple(match[0] for match in _IDENTIFIER.finditer(rest))
    rest = _IDENTIFIER.sub(lambda match: "~" * len(match[0]), rest)
    return Figures(tuple(_quantities(rest)), tuple(dates), identifiers)


def unsupported(answer: Figures, source: Figures, source_text: str) -> list[str]:
    """What of an answer's numbers, dates and identifiers a source does not hold, as it is written.

    A number without a unit, on either side, is held against numbers of any unit; a number with decimals, or in another
    unit, against those that round to it.
    """
    known = [*source.quantities, *_spelt(source_text)]
    missing = [each.written for each in answer.quantities if not any(_agree(each, other) for other in known)]
    missing += [written for written, days in answer.dates if not any(_same(days, other) for _, other in source.dates)]
    told = {identifier.casefold() for identifier in source.identifiers}
    return missing + [identifier for identifier in answer.identifiers if identifier.casefold() not in told]


def _days(match: re.Match[str]) -> frozenset[str]:
    month = match["month"] or match["month2"]
    if month is None:
        return _read(match[0])
    day = re.sub(r"\D", "", match["day"] or match["day2"])
    year = match["year"] or match["year2"]
    found = _read(f"{day} {month.rstrip('.')} {year or _ANY_YEAR}")
    return found if year else frozenset(date[5:] for date in found)


@lru_cache(maxsize=1 << 14)
def _read(text: str) -> frozenset[str]:
    """The dates that a text may be, by either order of day and month."""
    orders: tuple[Order, Order] = ("dmy", "mdy")
    read = {read_dates([text], order, ("en",))[text] for order in orders}
    return frozenset(each for each in read if each[:1].isdigit())


def _same(days: frozenset[str], others: frozenset[str]) -> bool:
    """Whether one reading of each is the same day; without a year on either side, of any year."""
    return any(one.endswith(other) or other.endswith(one) for one in days for other in others)


@cache
def _pattern() -> re.Pattern[str]:
    words = "|".join(re.escape(word) for word in sorted(_WORDS, key=len, reverse=True))
    return re.compile(
        rf"(?P<sign>[$€£¥])?(?P<minus>(?<![\w.)])[-−])?(?<![\w.,])(?P<digits>{_DIGITS})"
        rf"(?:[ \u00a0-]?(?P<scale>(?i:thousand|million|billion|mn|bn)|k(?!\w))(?!\w))?"
        rf"(?:[ \u00a0-]?(?P<unit>(?i:{words})(?!\w)|(?:{unit_pattern()})(?!\w)))?"
    )


def _quantities(text: str) -> Iterator[Quantity]:
    for match in _pattern().finditer(text):
        scale = _SCALES[match["scale"].lower()] if match["scale"] else 1
        sign = -1 if match["minus"] else 1
        found = readings(match["digits"])
        values = frozenset(sign * scale * Fraction(number) for number in found.values())
        if not values:  # several marks, as in the version 1.2.3: no quantity
            continue
        decimals = max(len(number.partition(".")[2]) for number in found.values())
        step = Fraction(scale, 10**decimals) if decimals else Fraction(0)
        unit = _SIGNS[match["sign"]] if match["sign"] else _unit(match["unit"] or "")
        yield Quantity(match[0].strip(), values, step, unit)


def _unit(written: str) -> str:
    if not written:
        return ""
    return _WORDS.get(written.lower()) or symbol_of(written)


def _spelt(text: str) -> Iterator[Quantity]:
    """The small numbers that a text spells out."""
    for word in dict.fromkeys(re.findall(r"[^\W\d_]+", text.lower())):
        if word in _SPELT:
            yield Quantity(word, frozenset([Fraction(_SPELT[word])]))


def _agree(answer: Quantity, source: Quantity) -> bool:
    if not answer.unit or not source.unit or answer.unit == source.unit:
        return _near(answer.values, source.values, answer.step)
    known = units()
    ours, theirs = known.get(answer.unit), known.get(source.unit)
    if ours is None or theirs is None or ours.kind != theirs.kind:
        return False
    converted = frozenset((value + theirs.offset) * theirs.size / ours.size - ours.offset for value in source.values)
    return _near(answer.values, converted, answer.step or Fraction(1))


def _near(values: frozenset[Fraction], others: frozenset[Fraction], step: Fraction) -> bool:
    return any(abs(value - other) <= step / 2 for value in values for other in others)

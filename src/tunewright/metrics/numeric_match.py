"""Share of answers whose last number is the reference's.

Read are whole and decimal numbers with a sign, thousands apart (`1,234`, `1'234`, in groups of three or as in India),
powers (`1e6`), fractions (`3/4`, `1 1/2`, `½`, `\\frac{3}{4}`), and what stands around them: currencies, percent,
units, full stops. Behind `####`, GSM8K's mark (Cobbe et al. 2021), the first number counts, and not the last one.
Numbers written as words are not read. Comparison is exact, in fractions, unless a tolerance is set. `12%` equals `12%`
and `0.12`, and `12` as well where the other side has no percent sign: whether a share or a number of percent was asked
for is often said in the question alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Literal

from pydantic import Field

from tunewright.base.errors import DataError
from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, name_ids, require_answers
from tunewright.metrics._measure import Measure, share

ABOUT = {"numeric_match": About("Number right", "the last number of the answer is the expected one")}

_FINAL = "####"
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}")
# Larger powers and longer numbers are no answers but attacks on whoever computes with them.
_MOST_DIGITS, _LARGEST_POWER = 400, 400


class Config(PluginConfig):
    """Settings of the numeric match."""

    name: Literal["numeric_match"] = "numeric_match"
    tolerance: float = Field(0.0, ge=0, description="How far an answer may lie from the reference.")
    relative_tolerance: float = Field(0.0, ge=0, lt=1, description="The same as a share of the reference.")
    decimal: Literal[".", ","] = Field(".", description="The decimal mark; the other one sets thousands apart.")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written: its value (of `12%`, 12), and whether a percent sign stood behind it."""

    value: Fraction
    percent: bool = False


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the numbers are equal or near enough, else 0, as for answers without a number; reduced to the mean.

    Raises:
        DataError: If a reference has no number; names the examples.
    """
    require_answers(config.name, answers)
    wanted = [
        [last_number(text, config.decimal) for text in (answer.reference, *answer.references)] for answer in answers
    ]
    if broken := [answer.id for answer, numbers in zip(answers, wanted, strict=True) if None in numbers]:
        raise DataError(f"Reference answers without a number: {name_ids(broken)}", where=config.name)
    given = [last_number(answer.prediction, config.decimal) for answer in answers]
    hits = [
        said is not None and any(_near(said, right, config) for right in numbers if right is not None)
        for said, numbers in zip(given, wanted, strict=True)
    ]
    return [share(config.name, hits)]


def last_number(text: str, decimal: str = ".") -> Number | None:
    """The number that a text ends on, or the first one behind its last `####`; None where there is none.

    Args:
        decimal: The decimal mark, `.` or `,`.
    """
    _, mark, tail = text.rpartition(_FINAL)
    found = None
    for match in _pattern(decimal).finditer(_plain(tail if mark else text)):
        number = _read(match, decimal)
        found = number or found
        if mark and number:
            break
    return found


def _plain(text: str) -> str:
    text = _LATEX_FRACTION.sub(r" \1/\2", text)
    if not text.isascii():
        # A vulgar fraction behind a digit is a mixed number: "1½" is 1 1/2, and not 11/2.
        text = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞])", " ", text)
        text = unicodedata.normalize("NFKC", text.replace("\u202f", "'").replace("\u2009", "'").replace("\xa0", "'"))
        text = text.replace("\u2044", "/").replace("−", "-").replace("’", "'")
    return text


@cache
def _pattern(decimal: str) -> re.Pattern[str]:
    apart = "[,']" if decimal == "." else r"[.']"
    mark = re.escape(decimal)
    whole = rf"\d{{1,3}}(?:{apart}\d{{2,3}})*{apart}\d{{3}}(?!\d)|\d+"
    return re.compile(
        rf"""(?<![^\W_])(?<!\d{mark})               # not within a word or another number
        (?P<sign>(?<![\w)])[-+])?[$€£¥₹]?\s?(?P<inner>(?<![\w)\s])-)?
        (?: (?P<mixed>\d+)\s+(?P<above_mixed>\d+)/(?P<below_mixed>\d+)
          | (?P<above>{whole})\s?/\s?(?P<below>\d+)(?![\d/])
          | (?P<whole>{whole})?(?:(?P<point>{mark})(?P<parts>\d+))?(?:[eE](?P<power>[-+]?\d{{1,4}})(?!\w))?
        )(?P<percent>\s?(?:%|percent\b|per\ cent\b))?""",
        re.VERBOSE,
    )


def _read(match: re.Match[str], decimal: str) -> Number | None:
    found = match.groupdict()
    if len(match[0]) > _MOST_DIGITS or (found["whole"] is None and found["parts"] is None and not _is_fraction(found)):
        return None
    try:
        value = _value(found)
    except ZeroDivisionError:
        return None
    if value is None:
        return None
    negative = "-" in (found["sign"], found["inner"])
    return Number(-value if negative else value, bool(found["percent"]))


def _is_fraction(found: dict[str, str | None]) -> bool:
    return found["above"] is not None or found["mixed"] is not None


def _value(found: dict[str, str | None]) -> Fraction | None:
    if found["mixed"] is not None:
        part = Fraction(int(found["above_mixed"] or 0), int(found["below_mixed"] or 1))
        return int(found["mixed"]) + part
    if found["above"] is not None:
        return Fraction(_whole(found["above"]), int(found["below"] or 1))
    power = int(found["power"] or 0)
    if abs(power) > _LARGEST_POWER:
        return None
    parts = found["parts"] or ""
    return Fraction(_whole(found["whole"] or "0") * 10 ** len(parts) + int(parts or 0), 10 ** len(parts)) * (
        Fraction(10) ** power
    )


def _whole(digits: str) -> int:
    return int(re.sub(r"[^\d]", "", digits))


def _near(said: Number, right: Number, config: Config) -> bool:
    readings = [said.value]
    if said.percent != right.percent:
        readings.append(said.value / 100 if said.percent else said.value * 100)
    allowed = max(Fraction(config.tolerance), abs(right.value) * Fraction(config.relative_tolerance))
    return any(abs(reading - right.value) <= allowed for reading in readings)

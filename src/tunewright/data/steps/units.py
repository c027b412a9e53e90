"""Writes units of measurement one way (`12 kilos`, `12kgs` become `12 kg`), and converts them where asked.

Only a number with a unit beside it is a quantity. What may mean something else is left alone: pounds may be money, and
`5m` metres, millions or minutes. The table is `data/units.yaml`.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Literal, Self

import polars as pl
from pydantic import Field, model_validator

from tunewright.base.errors import did_you_mean
from tunewright.data.frame import ColumnsConfig, StepResult, change_columns, check_columns
from tunewright.data.measures import convert, symbol_of, unit_pattern, units
from tunewright.data.numerals import is_ambiguous, readings
from tunewright.data.protected import outside, substitute

# A range or a product (`5-10 kg`, `2 x 5 kg`) is no single number: only its unit's spelling may change.
_COMPOUND = re.compile(r"[\d½¼¾]\s*(?:[-–—~×/*]|x|to|and|or|by|bis|und|à)\s*\Z", re.IGNORECASE)
_UNCLEAR = "not_converted"


class Config(ColumnsConfig):
    """Settings of `units`."""

    name: Literal["units"] = "units"
    convert: dict[str, str] = Field(
        default_factory=dict, description="Unit: unit to write instead, such as `lb: kg`. Empty: nothing is converted."
    )
    decimal: Literal["point", "comma"] | None = Field(
        None, description="What sets decimals apart where `1,234` may be two numbers; null: such ones stay as they are."
    )

    @model_validator(mode="after")
    def _units_fit(self) -> Self:
        known = units()
        for source, target in self.convert.items():
            for symbol in (source, target):
                if symbol not in known:
                    raise ValueError(
                        f"the unit '{symbol}' is unknown. {did_you_mean(symbol, known)}Known: {', '.join(known)}"
                    )
            if known[source].kind != known[target].kind:
                raise ValueError(f"{source} is {known[source].kind}, and {target} is {known[target].kind}")
            if target in self.convert:
                raise ValueError(f"{target} is converted itself, so that a second run would go on; name one target")
        return self


@cache
def _quantity() -> re.Pattern[str]:
    number = r"(?<![\w.,/½¼¾])(?P<sign>(?<![\w)\]])[-−])?(?P<number>\d(?:[\d.,]*\d)?)"
    return outside(rf"{number}(?P<gap>[ \u00a0\u202f]?)(?P<unit>{unit_pattern()})(?![\w²³/^])")


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Every recognised quantity with its unit's symbol, one space before it; converted where asked."""
    check_columns(frame, config.columns, config.name)
    counts: Counter[str] = Counter({"converted": 0, _UNCLEAR: 0})

    def rewrite(match: re.Match[str]) -> str:
        symbol = symbol_of(match["unit"])
        written = f"{match['sign'] or ''}{match['number']} {symbol}"
        if symbol not in config.convert:
            return written
        number = _plain(match, config.decimal)
        counts["converted" if number else _UNCLEAR] += 1
        if not number:
            return written
        target = units()[config.convert[symbol]]
        return f"{convert(number, units()[symbol], target)} {target.symbol}"

    def change(text: str) -> str:
        return substitute(_quantity(), rewrite, text) if any(map(str.isdigit, text)) else text

    frame, log = change_columns(frame, config.columns, change, "units written one way")
    return StepResult(frame, log, {"cells_changed": log.height, **counts})


def _plain(match: re.Match[str], decimal: Literal["point", "comma"] | None) -> str | None:
    """The number as it can be computed with; None where it is unclear or only a part of one."""
    if _COMPOUND.search(match.string, max(0, match.start() - 12), match.start()):
        return None
    found = readings(match["number"])
    if not found or (is_ambiguous(found) and decimal is None):
        return None
    plain = found[decimal] if decimal in found else next(iter(found.values()))
    return f"-{plain}" if match["sign"] else plain

"""What counts as success, and what decides a release: bars for numbers, and comparisons with other systems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from tunewright.base.errors import did_you_mean

CHAMPION = "champion"
VERSUS = "vs_"
SLICE = "slice."

_NUMBER = r"-?\d+(?:\.\d+)?"
BAR = rf"^\s*(>=|<=|>|<|==)\s*({_NUMBER})\s*$"
# Better than the other for sure; or not surely worse; or surely not worse by more than so much.
COMPARISON = r"^\s*(significant|not_worse)(?:\s+by\s+(\d+(?:\.\d+)?))?\s*$"
_EITHER = rf"^\s*(?:(?:>=|<=|>|<|==)\s*{_NUMBER}|significant|not_worse(?:\s+by\s+\d+(?:\.\d+)?)?)\s*$"


def _bar(value: Any) -> Any:
    if not isinstance(value, str) or not re.match(_EITHER, value):
        raise ValueError(
            'a bar reads ">= 0.9", with one of >=, <=, >, <, ==; of vs_…: significant, or not_worse by 0.02'
        )
    return value


def _check(gate: dict[str, str]) -> dict[str, str]:
    for what, bar in gate.items():
        versus, compares = what.startswith(VERSUS), re.match(COMPARISON, bar) is not None
        if versus and not compares:
            raise ValueError(f"{what} is a comparison: its bar is significant, not_worse, or not_worse by 0.02")
        if compares and not versus:
            raise ValueError(f"'{bar}' compares systems, and stands under vs_base, vs_{CHAMPION} and the like")
        if what.startswith(SLICE) and not re.match(r"^slice\.[^=]+=.+\.[^.]+$", what):
            raise ValueError(f"'{what}' is no slice's number: write slice.language=de.accuracy")
    return gate


def _condition(value: Any) -> Any:
    if not isinstance(value, str) or not re.match(BAR, value):
        raise ValueError('a bar reads ">= 0.9", with one of >=, <=, >, <, ==')
    return value


# Each bar's form is checked twice: once with a message for people, once for the JSON Schema.
Condition = Annotated[str, StringConstraints(pattern=BAR), BeforeValidator(_condition)]
Bar = Annotated[str, StringConstraints(pattern=_EITHER), BeforeValidator(_bar)]
Gate = Annotated[dict[str, Bar], AfterValidator(_check)]


def misfit(gate: Mapping[str, str], systems: Sequence[str]) -> str:
    """What is wrong with a gate that compares with systems that are not asked; empty if nothing is."""
    known = [*systems, CHAMPION]
    for what in gate:
        other = what.removeprefix(VERSUS)
        if what.startswith(VERSUS) and other not in known:
            close = did_you_mean(what, [f"{VERSUS}{name}" for name in known])
            return (
                f"gate.{what} compares with '{other}', which does not answer: {close}add it to evaluate.systems "
                f"({', '.join(systems) or 'none'}), or take it out"
            )
    return ""

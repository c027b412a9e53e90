"""A place in a text, and the ways to find one."""

from __future__ import annotations

import re
from collections.abc import Callable

# Start and end of a place, in characters.
Span = tuple[int, int]
Finder = Callable[[str, str | None], list[Span]]

_RECORD = re.compile(
    r"\b(?:order|invoice|ticket|case|ref|reference|tracking|parcel|shipment|booking|account|acct|customer|serial|"
    r"sku|item|product|purchase|po|id)\b[\s.:#=(-]*(?:(?:no|nr|num|number|id|code)\b[\s.:#=(-]*)?(?:(?:is|was)\b\s*)?$",
    re.IGNORECASE,
)
_CONTEXT_CHARACTERS = 40


def before(text: str, start: int) -> str:
    """The words before a place, as far as they tell what it is."""
    return text[max(0, start - _CONTEXT_CHARACTERS) : start]


def names_record(text: str, start: int) -> bool:
    """Whether what begins here is called an order, an invoice or the like."""
    return bool(_RECORD.search(before(text, start)))


def matching(pattern: re.Pattern[str], holds: Callable[[str], bool] = lambda found: True) -> Finder:
    """A finder of what matches and holds. Where the pattern has a group `value`, that is the place."""
    group: str | int = "value" if "value" in pattern.groupindex else 0

    def find(text: str, region: str | None) -> list[Span]:
        return [match.span(group) for match in pattern.finditer(text) if holds(match[group])]

    return find

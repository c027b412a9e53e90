"""Written numbers, and what they may mean: `1.234` is one thousand and more to one writer, one and a bit to another."""

from __future__ import annotations

import re
from typing import Literal

Mark = Literal["point", "comma"]

_SPACES = "'’\u00a0\u202f\u2009 "


def _pattern(decimal: str, group: str) -> re.Pattern[str]:
    """A number with this decimal mark; thousands are set apart by one kind of mark, or by two and three as in India."""
    marks = f"[{re.escape(group)}{_SPACES}]"
    thousands = rf"[1-9]\d{{0,2}}(?P<mark>{marks})\d{{3}}(?:(?P=mark)\d{{3}})*"
    lakhs = r"[1-9]\d?(?:,\d{2})+,\d{3}" if group == "," else r"(?!)"
    return re.compile(rf"(?P<whole>{thousands}|{lakhs}|\d+|)(?:{re.escape(decimal)}(?P<part>\d+))?")


_PATTERNS: dict[Mark, re.Pattern[str]] = {"point": _pattern(".", ","), "comma": _pattern(",", ".")}
_NO_DIGIT = re.compile(r"\D")


def readings(text: str) -> dict[Mark, str]:
    """What an unsigned number may mean, by the decimal mark its writer used.

    Args:
        text: Digits, with marks between them: `1,234.50`.

    Returns:
        Plain numbers (`1234.50`): none if it is no number, equal ones if the mark does not matter.
    """
    if not text.isascii() and any(char.isdigit() and not char.isascii() for char in text):
        return {}
    found: dict[Mark, str] = {}
    for mark, pattern in _PATTERNS.items():
        match = pattern.fullmatch(text)
        if match and (match["whole"] or match["part"]):
            whole = _NO_DIGIT.sub("", match["whole"]) or "0"
            found[mark] = f"{whole}.{match['part']}" if match["part"] else whole
    return found


def proves(found: dict[Mark, str]) -> Mark | None:
    """The decimal mark that a number's readings prove its writer used; None if both are possible."""
    return next(iter(found)) if len(found) == 1 else None


def is_ambiguous(found: dict[Mark, str]) -> bool:
    """Whether the decimal mark decides what the number is."""
    return len(set(found.values())) > 1

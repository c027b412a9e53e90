"""E-mail addresses and telephone numbers. Order numbers and dates are none."""

from __future__ import annotations

import re

from tunewright.data.personal.spans import Span, before, matching, names_record

_EMAIL = re.compile(r"(?<![\w.+%'-])\w[\w.+%'-]*@(?:\w(?:[\w-]*\w)?\.)+[^\W\d_]{2,}")
_DIGITS = re.compile(r"(?:\d\D{0,3}){7}")
_DATE = re.compile(r"\(?\d{1,4}([-./ ])\d{1,2}\1\d{1,4}\)?(?:[T ]\d{1,2}(?:[:.]\d{2})*)?")
_CALL = re.compile(
    r"\b(?:phone|telephone|tel|call|ring|mobile|mob|cell|text|whatsapp|sms|fax|reach|contact|my number)", re.IGNORECASE
)

_addresses = matching(_EMAIL)


def emails(text: str, region: str | None) -> list[Span]:
    """E-mail addresses with a top-level domain."""
    return _addresses(text, region) if "@" in text else []


def phones(text: str, region: str | None) -> list[Span]:
    """Telephone numbers: with a country code, or as `region` writes them.

    A run of bare digits counts only after a word such as "call" or "mobile", and nothing does that follows a word
    such as "order" or "invoice" or hangs on letters, digits or a hash.
    """
    # Without a region only numbers with their country's code can be told.
    if (region is None and "+" not in text and "＋" not in text) or not _DIGITS.search(text):
        return []
    from phonenumbers import Leniency, PhoneNumberMatcher

    # A number with its country code is plain enough to be taken even where its block is not in use.
    matches = [*PhoneNumberMatcher(text, region, leniency=Leniency.VALID)] or [
        *PhoneNumberMatcher(text, None, leniency=Leniency.POSSIBLE)
    ]
    return [(match.start, match.end) for match in matches if _is_phone(text, match.start, match.end)]


def _is_phone(text: str, start: int, end: int) -> bool:
    number = text[start:end]
    if number.startswith("+"):
        return True
    hangs = bool(re.search(r"[\w#/_-]$", text[:start])) or bool(re.match(r"[\w_-]", text[end : end + 1]))
    if hangs or _DATE.fullmatch(number) or names_record(text, start):
        return False
    return not number.isdigit() or bool(_CALL.search(before(text, start)))

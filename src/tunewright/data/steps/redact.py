"""Replaces e-mail addresses and telephone numbers by tags. Order numbers and dates stay."""

from __future__ import annotations

import re
from typing import Literal

import polars as pl
from pydantic import Field

from tunewright.data.frame import ColumnsConfig, StepResult, check_columns, join_edits, map_text, replace

TAGS = {"email": "[EMAIL]", "phone": "[PHONE]"}

_EMAIL = re.compile(r"(?<![\w.+%'-])\w[\w.+%'-]*@(?:\w(?:[\w-]*\w)?\.)+[^\W\d_]{2,}")
_DIGITS = re.compile(r"(?:\d\D{0,3}){7}")
_DATE = re.compile(r"\(?\d{1,4}([-./ ])\d{1,2}\1\d{1,4}\)?(?:[T ]\d{1,2}(?:[:.]\d{2})*)?")
_RECORD = re.compile(
    r"\b(?:order|invoice|ticket|case|ref|reference|tracking|parcel|shipment|booking|account|acct|customer|serial|"
    r"sku|item|product|purchase|po|id)\b[\s.:#=(-]*(?:(?:no|nr|num|number|id|code)\b[\s.:#=(-]*)?(?:(?:is|was)\b\s*)?$",
    re.IGNORECASE,
)
_CALL = re.compile(
    r"\b(?:phone|telephone|tel|call|ring|mobile|mob|cell|text|whatsapp|sms|fax|reach|contact|my number)", re.IGNORECASE
)
_CONTEXT_CHARACTERS = 40


class Config(ColumnsConfig):
    """Settings of `redact`."""

    name: Literal["redact"] = "redact"
    kinds: tuple[Literal["email", "phone"], ...] = Field(("email", "phone"), min_length=1)
    region: str | None = Field(
        None,
        pattern=r"^[A-Z]{2}$",
        description="Country (ISO 3166, as DE or US) whose national numbers are found too; null: only +49 … ones.",
    )


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Tags in place of addresses and numbers.

    A run of bare digits is taken for a telephone number only after a word such as "call" or "mobile", and nothing is
    that follows a word such as "order" or "invoice" or hangs on letters, digits or a hash.
    """
    check_columns(frame, config.columns, config.name)
    counts = {f"{kind}s": 0 for kind in config.kinds}

    def clean(text: str) -> str:
        if "email" in config.kinds and "@" in text:
            text, found = _EMAIL.subn(TAGS["email"], text)
            counts["emails"] += found
        if "phone" in config.kinds and _DIGITS.search(text):
            text, found = redact_phones(text, config.region)
            counts["phones"] += found
        return text

    logs, reason = [], f"{' and '.join(config.kinds)} redacted"
    for column in config.columns:
        frame, changes = replace(frame, column, map_text(frame[column], clean), reason)
        logs.append(changes)
    log = join_edits(logs)
    return StepResult(frame, log, {**counts, "cells_changed": log.height})


def redact_phones(text: str, region: str | None) -> tuple[str, int]:
    """The text with telephone numbers replaced, and how many there were."""
    total = 0
    # A number may only be recognised once its neighbour is gone; so that a second run finds nothing, look again.
    while spans := _phones(text, region):
        total += len(spans)
        for start, end in reversed(spans):
            text = text[:start] + TAGS["phone"] + text[end:]
    return text, total


def _phones(text: str, region: str | None) -> list[tuple[int, int]]:
    """(start, end) of the telephone numbers in a text, in order."""
    from phonenumbers import Leniency, PhoneNumberMatcher

    # A number with its country code is plain enough to be taken even where its block is not in use.
    matches = [*PhoneNumberMatcher(text, region, leniency=Leniency.VALID)] or [
        *PhoneNumberMatcher(text, None, leniency=Leniency.POSSIBLE)
    ]
    return [(match.start, match.end) for match in matches if _is_phone(text, match.start, match.end)]


def _is_phone(text: str, start: int, end: int) -> bool:
    number, before, after = text[start:end], text[:start][-_CONTEXT_CHARACTERS:], text[end : end + 1]
    if number.startswith("+"):
        return True
    hangs = bool(re.search(r"[\w#/_-]$", before)) or bool(re.match(r"[\w_-]", after))
    if hangs or _DATE.fullmatch(number) or _RECORD.search(before):
        return False
    return not number.isdigit() or bool(_CALL.search(before))

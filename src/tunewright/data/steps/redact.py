"""Replaces personal data by tags: addresses, numbers of people and accounts, keys. Order numbers and dates stay."""

from __future__ import annotations

from typing import Literal, get_args

import polars as pl
from pydantic import Field

from tunewright.data.frame import ColumnsConfig, StepResult, check_columns, join_edits, map_text, replace
from tunewright.data.personal.birth import birth_dates
from tunewright.data.personal.contact import emails, phones
from tunewright.data.personal.network import ips, macs
from tunewright.data.personal.numbers import cards, ibans, national_ids
from tunewright.data.personal.secrets import secrets
from tunewright.data.personal.spans import Finder

Kind = Literal["secret", "email", "iban", "card", "national_id", "phone", "mac", "ip", "birth_date"]

# In this order: what is found first is no longer there for those after it.
FINDERS: dict[Kind, Finder] = {
    "secret": secrets,
    "email": emails,
    "iban": ibans,
    "card": cards,
    "national_id": national_ids,
    "phone": phones,
    "mac": macs,
    "ip": ips,
    "birth_date": birth_dates,
}


class Config(ColumnsConfig):
    """Settings of `redact`."""

    name: Literal["redact"] = "redact"
    kinds: tuple[Kind, ...] = Field(get_args(Kind), min_length=1, description="What is looked for; all by default.")
    region: str | None = Field(
        None,
        pattern=r"^[A-Z]{2}$",
        description="Country (ISO 3166: DE, US) whose national telephone numbers are found too; null: only +49 … ones.",
    )


def tag(kind: Kind) -> str:
    """What stands in the place of a kind: `[EMAIL]`."""
    return f"[{kind.upper()}]"


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Tags in place of personal data."""
    check_columns(frame, config.columns, config.name)
    counts = {f"{kind}s": 0 for kind in config.kinds}

    def clean(text: str) -> str:
        for kind, find in FINDERS.items():
            if kind in config.kinds:
                text, found = redact(text, find, tag(kind), config.region)
                counts[f"{kind}s"] += found
        return text

    logs, reason = [], f"{', '.join(config.kinds)} redacted"
    for column in config.columns:
        frame, changes = replace(frame, column, map_text(frame[column], clean), reason)
        logs.append(changes)
    log = join_edits(logs)
    return StepResult(frame, log, {**counts, "cells_changed": log.height})


def redact(text: str, find: Finder, tag: str, region: str | None = None) -> tuple[str, int]:
    """The text with what a finder finds replaced, and how many there were."""
    total = 0
    # A place may only be recognised once its neighbour is gone; so that a second run finds nothing, look again.
    while spans := find(text, region):
        total += len(spans)
        for start, end in reversed(spans):
            text = text[:start] + tag + text[end:]
    return text, total

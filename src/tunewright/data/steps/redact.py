"""Replaces personal data by tags or pseudonyms: people's names, addresses and numbers, accounts, keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, get_args

import polars as pl
from pydantic import Field, SerializationInfo, field_serializer

from tunewright.data.frame import ColumnsConfig, StepResult, check_columns, join_edits, map_text, replace
from tunewright.data.personal.addresses import addresses
from tunewright.data.personal.birth import birth_dates
from tunewright.data.personal.contact import emails, phones
from tunewright.data.personal.keys import Key, read_key, sealed_text
from tunewright.data.personal.names import names, sparing
from tunewright.data.personal.network import ips, macs
from tunewright.data.personal.numbers import cards, ibans, national_ids
from tunewright.data.personal.pseudonyms import identity, pseudonym, without_pseudonyms
from tunewright.data.personal.secrets import secrets
from tunewright.data.personal.spans import Finder
from tunewright.data.personal.urls import urls
from tunewright.data.personal.vault import Original, collision, open_vault
from tunewright.recipe.schema import DataPath

Kind = Literal[
    "url", "secret", "email", "iban", "card", "national_id", "phone", "mac", "ip", "birth_date", "address", "name"
]

# In this order: what is found first is no longer there for those after it.
FINDERS: dict[Kind, Finder] = {
    "url": urls,
    "secret": secrets,
    "email": emails,
    "iban": ibans,
    "card": cards,
    "national_id": national_ids,
    "phone": phones,
    "mac": macs,
    "ip": ips,
    "birth_date": birth_dates,
    "address": addresses,
    "name": names,
}
_WITH_DIGITS = frozenset(("iban", "card", "national_id", "phone", "birth_date", "address"))
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class _Work:
    """What is looked for, how, and what stands in its place."""

    kind: Kind
    find: Finder
    stand_in: Callable[[str], str]

    @property
    def has_digits(self) -> bool:
        return self.kind in _WITH_DIGITS


class Config(ColumnsConfig):
    """Settings of `redact`."""

    name: Literal["redact"] = "redact"
    kinds: tuple[Kind, ...] = Field(get_args(Kind), min_length=1, description="What is looked for; all by default.")
    region: str | None = Field(
        None,
        pattern=r"^[A-Z]{2}$",
        description="Country (ISO 3166: DE, US) whose national telephone numbers are found too; null: only +49 … ones.",
    )
    keep: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="Words and phrases that are nobody's name: products, brands, teams; in any case."
    )
    engine: Literal["rules", "presidio"] = Field(
        "rules", description="What finds names: the rules of this step, or a model behind Presidio (an extra)."
    )
    model: str = Field(
        "en_core_web_lg",
        pattern=r"^[a-z]{2}_\w+$",
        description="The spaCy model behind Presidio; it must be installed.",
    )
    replace: Literal["tag", "pseudonym"] = Field(
        "tag",
        description="What stands in place of it: its kind (`[NAME]`), or a stand-in that is the same for the same "
        "person, account or number in every row, source and run (`Person-k3vq7ya2m5xd`). Pseudonyms need a key.",
    )
    ledger: Literal["keep", "seal"] | None = Field(
        None,
        description="What the log of edits holds of the texts before: the texts, or something that the key alone "
        "opens. By default texts with tags, and sealed with pseudonyms.",
    )
    key_env: str = Field("TUNEWRIGHT_KEY", min_length=1, description="Environment variable that holds the key.")
    key_file: DataPath | None = Field(None, description="File that holds the key, in place of the variable.")
    vault: DataPath = Field(
        "redact.vault",
        validate_default=True,
        description="File that keeps the originals of pseudonyms, sealed with the key; beside the recipe by default.",
    )

    @property
    def seals(self) -> bool:
        """Whether the log of edits is sealed."""
        return self.ledger == "seal" or (self.ledger is None and self.replace == "pseudonym")

    @field_serializer("key_file", "vault")
    def _place(self, value: str | None, info: SerializationInfo) -> str | None:
        # A dataset's own record must not change with the folder that its recipe lies in.
        return Path(value).name if value and info.mode == "python" else value


def tag(kind: str) -> str:
    """What stands in the place of a kind: `[EMAIL]`."""
    return f"[{kind.upper()}]"


def counted(kind: str) -> str:
    """What findings call a kind: `emails`, `addresses`."""
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Tags or pseudonyms in place of personal data.

    Raises:
        InputError: If pseudonyms or a sealed log are asked for and there is no key, or the vault has another one.
    """
    check_columns(frame, config.columns, config.name)
    hides = config.replace == "pseudonym"
    key = read_key(config.key_file, config.key_env, where=f"step {config.name}") if hides or config.seals else None
    originals: dict[str, Original] = {}
    stand_in = partial(_hide, key=key, region=config.region, originals=originals) if hides and key else _tag
    works = [_Work(kind, _finder(kind, config), partial(stand_in, kind)) for kind in FINDERS if kind in config.kinds]
    counts = dict.fromkeys(map(counted, config.kinds), 0)
    named = "personal data" if set(config.kinds) == set(FINDERS) else ", ".join(config.kinds)
    logs, reason = [], f"{named} redacted"
    for column in config.columns:
        after = map_text(frame[column], lambda text: _clean(text, works, counts, config.region))
        frame, changes = replace(frame, column, after, reason)
        logs.append(changes)
    log = join_edits(logs)
    if originals and key:
        with open_vault(config.vault, key, create=True) as vault:
            vault.add(originals)
    if config.seals and key:
        log = log.with_columns(map_text(log["before"], partial(sealed_text, key=key)))
    return StepResult(frame, log, {**counts, "cells_changed": log.height})


def _finder(kind: Kind, config: Config) -> Finder:
    if kind != "name":
        return FINDERS[kind]
    find: Finder = names
    if config.engine == "presidio":
        from tunewright.data.personal.presidio import presidio_names

        find = presidio_names(config.model)
    return sparing(find, config.keep) if config.keep else find


def _clean(text: str, works: Sequence[_Work], counts: dict[str, int], region: str | None) -> str:
    """A text with all kinds replaced."""
    while True:  # what goes may have hidden something of a kind that was looked for before it
        total, has_digit = 0, bool(_DIGIT.search(text))
        for work in works:
            if has_digit or not work.has_digits:
                text, found = _replaced(text, work.find, work.stand_in, region)
                if found:
                    counts[counted(work.kind)] += found
                    total += found
        if not total:
            return text


def _tag(kind: str, text: str) -> str:
    return tag(kind)


def _hide(kind: str, text: str, *, key: Key, region: str | None, originals: dict[str, Original]) -> str:
    """The pseudonym of an original, which is noted."""
    original = Original(identity(kind, text, region), text)
    hidden = pseudonym(kind, original.identity, key)
    if originals.setdefault(hidden, original).identity != original.identity:
        raise collision(hidden)
    return hidden


def redact(text: str, find: Finder, tag: str, region: str | None = None) -> tuple[str, int]:
    """The text with a tag in place of what a finder finds, and how many there were."""
    total = 0
    # A place may only be recognised once its neighbour is gone; so that a second run finds nothing, look again.
    while True:
        text, found = _replaced(text, find, lambda _: tag, region)
        if not found:
            return text, total
        total += found


def _replaced(text: str, find: Finder, stand_in: Callable[[str], str], region: str | None) -> tuple[str, int]:
    """The text with what a finder finds replaced, once; pseudonyms stay as they are."""
    spans = without_pseudonyms(text, find(text, region))
    for start, end in reversed(spans):
        text = text[:start] + stand_in(text[start:end]) + text[end:]
    return text, len(spans)

"""The base models that have a name of their own: `catalog.yaml`, read and checked."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny

from tunewright.base.errors import UnknownNameError
from tunewright.base.plugins import PluginConfig
from tunewright.models.delivery import SOURCES

Kind = Literal["causal-lm", "seq2seq-lm", "text-encoder"]
ENCODER: Kind = "text-encoder"
ENCODER_DECODER: Kind = "seq2seq-lm"
EMBEDDED = "embedded"
CATALOG = Path(__file__).with_name("catalog.yaml")


def _source(value: Any) -> Any:
    return value if isinstance(value, PluginConfig) else SOURCES.config(value["name"]).model_validate(value)


class Entry(BaseModel):
    """One base model of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    kind: Kind
    licence: str = Field(description="SPDX identifier in lower case, or the publisher's own name for it.")
    context_length: int = Field(ge=1, description="Longest input, in tokens.")
    parameters: int = Field(ge=1)
    strengths: str
    embedded: bool = Field(False, description="Brought by `tunewright models pull embedded`.")
    sources: tuple[Annotated[SerializeAsAny[PluginConfig], BeforeValidator(_source)], ...] = Field(min_length=1)


@functools.cache
def entries() -> dict[str, Entry]:
    """All entries by name, in the file's order."""
    read = [Entry.model_validate(item) for item in yaml.safe_load(CATALOG.read_text(encoding="utf-8"))]
    return {entry.name: entry for entry in read}


def find(name: str) -> Entry:
    """The entry of that name; capital letters do not matter.

    Raises:
        UnknownNameError: If the catalogue has none.
    """
    known = entries()
    if name.lower() not in known:
        raise UnknownNameError("base model", name, known)
    return known[name.lower()]


def embedded_names() -> tuple[str, ...]:
    """The names that `embedded` stands for."""
    return tuple(entry.name for entry in entries().values() if entry.embedded)

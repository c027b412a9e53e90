"""What every part of a recipe is: frozen, and strict about unknown keys."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A part of a recipe: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, value: Any) -> Any:
        # A section whose lines are all comments is none to YAML, and all defaults to its author.
        return {} if value is None else value

"""Edits that are taken back."""

from __future__ import annotations

from pydantic import Field, model_validator

from tunewright.recipe.section import Section


class Undo(Section):
    """Edits that are taken back: those that match all that is said here."""

    step: str = Field("", description="Only what this step did.")
    row: str = Field("", description="Only what was done to the row of this id.")
    field: str = Field("", description="Only what was done to this column.")

    @model_validator(mode="after")
    def _says_something(self) -> Undo:
        if not (self.step or self.row):
            raise ValueError("say a step, a row, or both")
        return self

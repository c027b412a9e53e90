"""What a recipe may say about rows made of the training rows."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tunewright.base.plugins import AUGMENTATIONS
from tunewright.recipe.plugin import plugin_field
from tunewright.recipe.section import Section


class Augment(Section):
    """Training rows in other words, kept only where meaning and label survive. Held-out rows are never augmented."""

    by: tuple[plugin_field(AUGMENTATIONS), ...] = Field(  # type: ignore[valid-type]
        (), description="What makes them, by turns: a list of augmentations. Empty: none are made."
    )
    per_row: int = Field(1, ge=1, le=20, description="Variants that each of them may try of one row.")
    cap: float = Field(1.0, gt=0, le=20, description="Augmented rows of a class, at most, over its own.")
    until_rows: int | None = Field(
        None,
        ge=1,
        description="A class gets no more of them than to have so many rows in all; none: only `cap` counts.",
    )
    similarity: Literal["auto", "meaning", "words"] = Field(
        "auto",
        description="What a variant is compared with its row by: the text encoder, or counts of words and letter "
        "groups; auto: the encoder where it is on this machine.",
    )
    least_similarity: float | None = Field(
        None, ge=0, le=1, description="Less alike ones go. Empty: 0.8 by meaning, 0.5 by words."
    )
    most_similarity: float = Field(1.0, ge=0, le=1, description="More alike ones go: they teach nothing new.")
    check_labels: bool = Field(
        True, description="Let a classifier of the training rows say the variant's class; if another, it goes."
    )
    protect: tuple[str, ...] = Field(
        (),
        description="Words and phrases that are never changed, beside numbers, names, identifiers, addresses, code, "
        "placeholders, the glossaries' terms, the template's own words and what the answer quotes.",
    )
    trial: bool = Field(
        True,
        description="Train a light classifier with and without them, and keep none of them if the mean validation "
        "score falls.",
    )
    trials: int = Field(5, ge=2, le=50, description="How many times that is tried, each time on other rows.")

    @model_validator(mode="after")
    def _band_is_open(self) -> Self:
        if self.least_similarity is not None and self.least_similarity >= self.most_similarity:
            raise ValueError("'least_similarity' is not below 'most_similarity': no variant could be kept")
        return self

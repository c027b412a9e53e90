"""How answers are drawn, where the most probable one is not all that is wanted."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tunewright.recipe.section import Section


class Sampling(Section):
    """Which of a model's next tokens may be drawn, and with which probability; at temperature 0 the likeliest is taken.

    The rules apply in the order of their fields, as in transformers: each to what the ones before it have left.
    """

    temperature: float = Field(
        0.0, ge=0, description="Divisor of the logits. 0: the most probable token, always; 1: as the model has it."
    )
    top_k: int | None = Field(None, ge=1, description="Only the so many most probable tokens.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="Only the fewest tokens whose probabilities reach this (Holtzman et al. 2020)."
    )
    min_p: float = Field(
        0.0, ge=0, le=1, description="Only tokens at least so probable, as a share of the most probable one's."
    )
    seed: int | None = Field(None, ge=0, description="What is drawn follows from it. Empty: the recipe's seed.")

    @property
    def greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature == 0

    @model_validator(mode="after")
    def _draws_where_it_says_how(self) -> Self:
        if self.greedy and (self.top_k or self.top_p < 1 or self.min_p):
            raise ValueError("top_k, top_p and min_p are about drawing, and temperature 0 draws nothing: raise it")
        return self

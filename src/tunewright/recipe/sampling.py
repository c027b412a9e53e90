"""How answers are drawn, where the most probable one is not all that is wanted."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tunewright.base.errors import InputError
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

    def seeded(self, seed: int) -> Self:
        """The same with a seed, where it has none of its own."""
        return self if self.seed is not None else self.model_copy(update={"seed": seed})

    def check_samples(self, samples: int) -> None:
        """Raises an `InputError` if so many answers to one prompt would all be the same, or are none."""
        if samples < 1:
            raise InputError(f"{samples} answers to a prompt are asked for", hint="Ask for one or more.")
        if samples > 1 and self.greedy:
            raise InputError(
                f"{samples} answers to a prompt are asked for, and at temperature 0 they are all the same",
                hint="Set a sampling temperature above 0, or ask for one answer.",
            )

    @model_validator(mode="after")
    def _draws_where_it_says_how(self) -> Self:
        if self.greedy and (self.top_k or self.top_p < 1 or self.min_p):
            raise ValueError("top_k, top_p and min_p are about drawing, and temperature 0 draws nothing: raise it")
        return self


class Drawn(Section):
    """What is asked for answers."""

    sampling: Sampling = Field(default_factory=Sampling)
    samples: int = Field(
        1, ge=1, description="Answers to each row; the first is measured, the further ones serve metrics of several."
    )

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and self.sampling.greedy:
            raise ValueError("samples are all the same at temperature 0: raise sampling.temperature")
        return self

"""Share of answers that equal the reference, white space at both ends aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._answer import Answer, Measure, require_answers, share


class Config(PluginConfig):
    """Settings of the exact match."""

    name: Literal["exact_match"] = "exact_match"
    casefold: bool = Field(False, description="Whether upper and lower case count as the same.")


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the stripped texts are equal, else 0; reduced to the mean."""
    require_answers(config.name, answers)

    def norm(text: str) -> str:
        return text.strip().casefold() if config.casefold else text.strip()

    return [share(config.name, [norm(answer.prediction) == norm(answer.reference) for answer in answers])]

"""Stated principles, such as "Never promises a refund": a judge holds every answer against each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tunewright.evaluate.judging.settings import Bench, JudgeSettings
from tunewright.evaluate.probing import BASE, TUNED, Asked, Finding
from tunewright.recipe.schema import DataPath


class Config(JudgeSettings):
    """Settings of the principles."""

    name: Literal["principles"] = "principles"
    principles: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)], ...] = Field(
        (), description="What an answer must do or never do, a sentence each."
    )
    people: DataPath | None = Field(
        None, description="A file of people's ratings of the same answers: id, rater, rating (1 broken, 0 kept)."
    )


def names(config: Config) -> tuple[str, ...]:
    """The finding's name."""
    return ("principles_broken",)


def check(config: Config, cache: Path) -> None:
    """Refuses before training what would fail after it: no principle, wrong ratings, a key that is not set."""
    from tunewright.evaluate.judging.rounds import check_principles

    check_principles(config, where="evaluate.probes.principles")


def probe(config: Config, asked: Asked) -> list[Finding]:
    """One finding, `principles_broken`; the principles one by one in its details."""
    from tunewright.evaluate.judging.rounds import hold_all

    systems = (TUNED, BASE) if BASE in asked.answers else (TUNED,)
    return hold_all(config, Bench.of(asked), systems, where="evaluate.probes.principles")

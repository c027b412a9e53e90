"""A judge grades the answers by rubrics, and compares tuned and base in pairs, in both orders."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from tunewright.evaluate.judging.rubrics import AnyRubric, find_rubric
from tunewright.evaluate.judging.settings import Bench, JudgeSettings
from tunewright.evaluate.probing import BASE, TUNED, Asked, Finding
from tunewright.recipe.schema import DataPath


class Config(JudgeSettings):
    """Settings of the judge."""

    name: Literal["judge"] = "judge"
    rubrics: tuple[AnyRubric, ...] = Field(
        (find_rubric("helpfulness"),),
        description="Names of built-in rubrics (clarity, coherence, helpfulness, tone, faithfulness), or one's own: "
        "`name`, `question` and `scale`, each point with its meaning.",
    )
    pairwise: bool = Field(False, description="Whether tuned and base are compared side by side, in both orders.")
    criterion: str = Field("", description="What makes an answer the better one of a pair; empty: how it serves.")
    against: str = Field(BASE, description="The system that the tuned model is held against.")
    people: DataPath | None = Field(
        None, description="A file of people's ratings of the same answers: id, rater, rating (or choice), rubric."
    )

    @field_validator("rubrics")
    @classmethod
    def _each_once(cls, rubrics: tuple[AnyRubric, ...]) -> tuple[AnyRubric, ...]:
        names = [rubric.name for rubric in rubrics]
        if twice := sorted({name for name in names if names.count(name) > 1} | ({"flips", "win_rate"} & set(names))):
            raise ValueError(f"the rubric name '{twice[0]}' is taken")
        return rubrics


def names(config: Config) -> tuple[str, ...]:
    """The findings' names."""
    pairs = ("judge_win_rate", "judge_flips") if config.pairwise else ()
    return *(f"judge_{rubric.name}" for rubric in config.rubrics), *pairs


def check(config: Config, cache: Path) -> None:
    """Refuses before training what would fail after it: a ratings file that cannot be read, a key that is not set."""
    from tunewright.evaluate.judging.rounds import check_settings

    check_settings(config, config.people)


def probe(config: Config, asked: Asked) -> list[Finding]:
    """A finding `judge_<rubric>` for each rubric; with pairs, `judge_win_rate` and `judge_flips`."""
    from tunewright.evaluate.judging.rounds import judge_all

    # The base is held against where it answered at all; a system that somebody named must have.
    is_there = config.against in asked.answers or "against" in config.model_fields_set
    systems = (TUNED, config.against) if is_there else (TUNED,)
    return judge_all(config, Bench.of(asked), systems, where="evaluate.probes.judge")

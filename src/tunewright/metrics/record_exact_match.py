"""Share of answers whose JSON object equals the reference's: every field, no field more, no field less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Measure, share
from tunewright.metrics._records import equal, read_record, read_references

ABOUT = {"record_exact_match": About("Whole record right", "every field of the answer equals the expected one")}


class Config(PluginConfig):
    """The exact match of records has no settings."""

    name: Literal["record_exact_match"] = "record_exact_match"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the objects are equal, 0 where they are not or the answer is no JSON object; reduced to the mean.

    Raises:
        DataError: If a reference is no JSON object.
    """
    require_answers(config.name, answers)
    references = read_references(answers, where=config.name)
    hits = [equal(read_record(answer.prediction), record) for answer, record in zip(answers, references, strict=True)]
    return [share(config.name, hits)]

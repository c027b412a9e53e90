"""Asks a model for one of several labels; 1 where it is one of those that pass, else 0."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tunewright.evaluate.graders._contract import Graded, GradingError, Kit
from tunewright.evaluate.graders._judging import JudgeConfig, ask_judge
from tunewright.evaluate.graders._templates import Look


class Config(JudgeConfig):
    """Settings of a model that gives labels."""

    type: Literal["label_model"] = "label_model"
    labels: tuple[str, ...] = Field(min_length=1)
    passing_labels: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _passes_some(self) -> Self:
        if unknown := [label for label in self.passing_labels if label not in self.labels]:
            raise ValueError(f"passing_labels has {unknown[0]!r}, which is not among labels")
        return self


def grade(config: Config, look: Look, kit: Kit) -> Graded:
    """1 for a label that passes, 0 for another one."""
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": [*config.labels]}},
        "required": ["label"],
        "additionalProperties": False,
    }
    verdict, said, spent = ask_judge(config.model, config.input, schema, look=look, kit=kit, where=config.name)
    label = verdict.get("label")
    if label not in config.labels:
        raise GradingError(
            "model_grader_parse_error", f"The judge's 'label' is none of the labels: {label!r}", where=config.name
        )
    right = label in config.passing_labels
    return Graded(float(right), right, {**said, "label": label}, (spent,))

"""What a recipe may say about how often rows are seen, how much they weigh, and what is kept together in a split."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tunewright.base.plugins import PluginConfig
from tunewright.recipe.section import Section


class Balance(Section):
    """How often the rows of each class are seen in an epoch, and how much they weigh. Held-out rows stay as they are.

    A class is a row's label; of JSON answers it is their first field that has few values.
    """

    sampling: Literal["none", "over", "under"] = Field(
        "none",
        description="over: rows of rare classes are seen several times an epoch; under: of frequent classes each epoch "
        "sees some of the rows, and others the next time.",
    )
    ratio: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Rows of a class in an epoch over those of the most frequent one, at least. Empty: 1, as many.",
    )
    temperature: float | None = Field(
        None,
        ge=1,
        description="Instead of `ratio`: classes are seen in proportion to their rows to the power of one over this; "
        "1 leaves them as they are, and the larger it is, the more even they get.",
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none",
        description="balanced: each answer (of `tag` each word) weighs in the loss as rows / (classes * rows of its "
        "class), so that every class weighs the same and the mean weight is 1.",
    )

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.temperature is not None and self.ratio is not None:
            raise ValueError("'ratio' and 'temperature' both say how even classes get: take one of them out")
        if self.sampling == "none" and (self.temperature or self.ratio):
            raise ValueError("'ratio' and 'temperature' are about sampling: set 'sampling' to over or under")
        return self

    @property
    def is_set(self) -> bool:
        """Whether anything is asked for."""
        return self.sampling != "none" or self.class_weights != "none"


class Mix(Section):
    """How several sources under `data.train` share an epoch, beside their `weight`."""

    temperature: float = Field(
        1.0,
        ge=1,
        description="Sources are seen in proportion to rows * weight to the power of one over this (Conneau et al. "
        "2020, arXiv:1911.02116); 1 leaves them as they are, and large values make all sources equal.",
    )


class SplitBy(Section):
    """What decides which rows are held out, beside chance. At most one."""

    group: str = Field("", description="A column: rows with one value of it, such as a customer's, stay on one side.")
    time: str = Field(
        "", description="A column of dates or numbers: the newest rows are the test's, the next newest validation's."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.group and self.time:
            raise ValueError("rows are split by 'group' or by 'time': take one of them out")
        return self

    @property
    def column(self) -> str:
        """The column that is named; empty where there is none."""
        return self.group or self.time


def misfit(balance: Balance, objective: PluginConfig) -> str:
    """Why rows cannot be balanced as a recipe asks, for its objective; empty where they can."""
    if balance.class_weights == "none":
        return ""
    if getattr(objective, "pairs", False):
        return (
            f"data.balance.class_weights weighs answers, and '{objective.plugin}' compares two of them: "
            "take it out, or use data.balance.sampling"
        )
    if getattr(objective, "class_weights", None):
        return "train.objective.class_weights and data.balance.class_weights both weigh classes: take one of them out"
    return ""

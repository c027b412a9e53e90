"""Joins the scores of several graders by a formula: `0.8 * right + 0.2 * polite`.

A formula asks for each grader by its key, or by its name where one alone is given; `min`, `max`, `abs`, `floor`,
`ceil`, `exp`, `log` and `sqrt` may stand in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tunewright.base.errors import InputError
from tunewright.evaluate.graders._contract import Graded, GraderConfig, GradingError, Kit, parse_grader
from tunewright.evaluate.graders._contract import grade as grade_one
from tunewright.evaluate.graders._formula import Formula, parse_formula
from tunewright.evaluate.graders._templates import Look

_MOST_GRADERS = 32


class Config(GraderConfig):
    """Settings of a joint score."""

    type: Literal["multi"] = "multi"
    graders: dict[str, Any] = Field(min_length=1, max_length=_MOST_GRADERS)
    calculate_output: str

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        parts = self.parts()
        if inner := [name for name, part in parts.items() if isinstance(part, Config)]:
            raise ValueError(f"graders.{inner[0]} is a multi grader itself, which cannot be")
        if odd := [name for name in parts if not name.isidentifier()]:
            raise ValueError(f"{odd[0]!r} cannot be asked for in a formula: call it by letters, digits and _ alone")
        if unknown := sorted(self.formula().names - parts.keys()):
            raise ValueError(
                f"calculate_output asks for '{unknown[0]}', which is no grader here. Known: {', '.join(parts)}"
            )
        return self

    def parts(self) -> dict[str, GraderConfig]:
        """The graders, by what the formula calls them."""
        alone = isinstance(self.graders.get("type"), str)
        given: Mapping[str, Any] = {str(self.graders.get("name")): self.graders} if alone else self.graders
        try:
            return {name: parse_grader(raw, where=f"graders.{name}") for name, raw in given.items()}
        except InputError as error:
            raise ValueError(str(error)) from error

    def formula(self) -> Formula:
        """The formula, read."""
        return parse_formula(self.calculate_output)

    def templates(self) -> tuple[str, ...]:
        """Those of all graders."""
        return tuple(text for part in self.parts().values() for text in part.templates())

    def judges(self) -> tuple[str, ...]:
        """Those of all graders."""
        return tuple(model for part in self.parts().values() for model in part.judges())

    def runs_code(self) -> bool:
        """Whether one of them does."""
        return any(part.runs_code() for part in self.parts().values())


def grade(config: Config, look: Look, kit: Kit) -> Graded:
    """The formula's value of all scores; it passes from a half on."""
    graded = {name: grade_one(part, look, kit) for name, part in config.parts().items()}
    scores = {name: each.score for name, each in graded.items()}
    try:
        score = float(config.formula().value(scores))
    except (ArithmeticError, ValueError) as error:
        told = ", ".join(f"{name} = {value:g}" for name, value in scores.items())
        raise GradingError(
            "other_error", f"'{config.calculate_output}' has no value where {told} ({error})", where=config.name
        ) from error
    said = {name: each.said for name, each in graded.items() if each.said is not None}
    spent = tuple(spent for each in graded.values() for spent in each.spent)
    return Graded(score, score >= 0.5, said or None, spent, scores)

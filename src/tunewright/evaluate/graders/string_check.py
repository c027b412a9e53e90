"""Compares two texts: equal, unequal, or the one within the other; 1 or 0."""

from __future__ import annotations

from typing import Literal

from tunewright.evaluate.graders._contract import Graded, GraderConfig, Kit
from tunewright.evaluate.graders._templates import Look, fill


class Config(GraderConfig):
    """Settings of the comparison."""

    type: Literal["string_check"] = "string_check"
    input: str
    operation: Literal["eq", "ne", "like", "ilike"]
    reference: str

    def templates(self) -> tuple[str, ...]:
        """Both sides."""
        return self.input, self.reference


def grade(config: Config, look: Look, kit: Kit) -> Graded:
    """1 where the input is (`eq`) or is not (`ne`) the reference, or holds it (`like`; `ilike` in any case), else 0."""
    given, wanted = fill(config.input, look), fill(config.reference, look)
    match config.operation:
        case "eq":
            right = given == wanted
        case "ne":
            right = given != wanted
        case "like":
            right = wanted in given
        case "ilike":
            right = wanted.casefold() in given.casefold()
    return Graded(float(right), right)

"""Rubrics: what a judge looks at, and a scale whose every point is described."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from tunewright.base.errors import InputError, UnknownNameError
from tunewright.recipe.section import Section

_SUFFIX = ".yaml"


class Rubric(Section):
    """One thing to judge answers by."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="What findings call it, as in `judge_clarity`.")
    title: str = Field("", description="What people call it; empty: its name.")
    question: str = Field(min_length=1, description="What the judge asks itself of each answer.")
    scale: dict[int, str] = Field(description="Each point of the scale, and what it means; higher is better.")
    needs_material: bool = Field(
        False, description="Whether it can be judged only where a context or a reference answer is shown."
    )

    @field_validator("scale")
    @classmethod
    def _is_a_scale(cls, scale: dict[int, str]) -> dict[int, str]:
        if len(scale) < 2:
            raise ValueError("a scale has two points or more, each with its meaning")
        if blank := [point for point, meaning in scale.items() if not meaning.strip()]:
            raise ValueError(f"say what the point {blank[0]} means")
        return dict(sorted(scale.items()))

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.title or self.name.replace("_", " ").capitalize()

    @property
    def points(self) -> tuple[int, ...]:
        """The points of the scale, the worst first."""
        return tuple(self.scale)

    def nearest(self, score: float) -> int:
        """The point that a score lies next to; the lower of two."""
        return min(self.points, key=lambda point: (abs(point - score), point))


@functools.cache
def built_in() -> Mapping[str, Rubric]:
    """The rubrics that come with the package, by name."""
    import yaml

    found = (entry for entry in (files(__package__) / "rubrics").iterdir() if entry.name.endswith(_SUFFIX))
    rubrics = [Rubric.model_validate(yaml.safe_load(entry.read_text(encoding="utf-8"))) for entry in found]
    return {rubric.name: rubric for rubric in sorted(rubrics, key=lambda each: each.name)}


def find_rubric(name: str) -> Rubric:
    """A built-in rubric.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    if name not in built_in():
        raise UnknownNameError("rubric", name, built_in())
    return built_in()[name]


def rubric_at(name: str) -> Rubric:
    """A rubric of one's own in a YAML file, or a built-in one.

    Raises:
        InputError: If the file is missing or says something wrong, or nothing is called so.
    """
    import yaml

    path = Path(name).expanduser()
    if path.suffix not in (_SUFFIX, ".yml"):
        return find_rubric(name)
    try:
        return Rubric.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"This rubric cannot be read ({error.strerror})", where=name) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"This rubric is no YAML ({error})", where=name) from None
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise InputError(f"This rubric is wrong: {'; '.join(faults)}", where=name) from None


def _named(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return find_rubric(value)
    except UnknownNameError as error:
        # A ValueError, so that it is reported with its line, beside the recipe's other faults.
        raise ValueError(f"{error.what}. {error.hint}") from error


# A built-in rubric's name, or one's own rubric.
AnyRubric = Annotated[Rubric, BeforeValidator(_named)]

"""What all graders share: their settings, what they are given, and what they give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, ValidationError

from tunewright.base.errors import InputError, TunewrightError, collect, did_you_mean
from tunewright.base.plugins import PluginConfig, Plugins
from tunewright.evaluate.graders._templates import Look, check_namespaces, find, places_of

GRADERS = Plugins("grader", "tunewright.evaluate.graders")

# A chat request's body in, the chat completion out, both in OpenAI's form.
Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]

# What can go wrong, by the names of OpenAI's grader runs.
Kind = Literal[
    "formula_parse_error",
    "invalid_variable_error",
    "model_grader_parse_error",
    "model_grader_refusal_error",
    "model_grader_server_error",
    "other_error",
    "python_grader_runtime_error",
    "python_grader_server_error",
    "sample_parse_error",
]


class GradingError(TunewrightError):
    """One answer could not be graded.

    Args:
        kind: What went wrong, as OpenAI's API names it.
    """

    def __init__(self, kind: Kind, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.kind: Kind = kind


class GraderConfig(PluginConfig):
    """Settings of a grader. Fields that OpenAI adds later are read over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    type: str
    name: str = Field(min_length=1, max_length=256, description="What the score is called.")

    @property
    def plugin(self) -> str:
        """The plug-in's name: here the grader's type."""
        return self.type

    def templates(self) -> tuple[str, ...]:
        """The texts that fields of rows and answers are put into."""
        return ()

    def judges(self) -> tuple[str, ...]:
        """The models that are asked."""
        return ()

    def runs_code(self) -> bool:
        """Whether it runs a program."""
        return False

    def as_json(self) -> dict[str, Any]:
        """The grader as the API says it."""
        return self.model_dump(mode="json", exclude_none=True)


@dataclass(frozen=True, slots=True)
class Kit:
    """What graders may use.

    Args:
        ask: Asks a model; None where there is none to ask.
        embed: Texts as vectors of unit length, shape (n, d); None where there is no encoder.
        runs_python: Whether programs may be run.
    """

    ask: Ask | None = None
    embed: Embed | None = None
    runs_python: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens that one question to a model took."""

    model: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Graded:
    """A score.

    Args:
        score: The score, finite.
        passed: Whether it is enough.
        said: What a judge was asked and said; None for graders without one.
        spent: What judges took.
        parts: The scores that it was made of, by grader.
    """

    score: float
    passed: bool
    said: Mapping[str, Any] | None = None
    spent: tuple[Spent, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)


def parse_grader(raw: object, *, where: str = "grader") -> GraderConfig:
    """Reads a grader as the API is told it.

    Raises:
        InputError: If it is none, or a field is wrong; names the first faults by their place.
    """
    if not isinstance(raw, Mapping):
        raise InputError("A grader is an object", where=where, hint="Give at least its 'type' and its 'name'.")
    kind = raw.get("type")
    if not isinstance(kind, str) or kind not in GRADERS.names():
        meant = did_you_mean(kind, GRADERS.names()) if isinstance(kind, str) else ""
        what = "There is no 'type'" if kind is None else f"There is no grader of type {kind!r}"
        raise InputError(what, where=f"{where}.type", hint=f"{meant}Known: {', '.join(GRADERS.names())}.")
    try:
        config = GRADERS.config(kind).model_validate(raw)
    except ValidationError as error:
        faults = [(".".join(map(str, fault["loc"])), _told(fault["msg"])) for fault in error.errors()]
        if len(faults) == 1:
            place, said = faults[0]
            raise InputError(said, where=f"{where}.{place}" if place else where) from error
        told = collect([f"{place or kind}: {said}" for place, said in faults])
        raise InputError(f"{len(faults)} fields are wrong:\n{told}", where=where) from error
    assert isinstance(config, GraderConfig), "every grader's settings are"
    check_namespaces(config.templates(), where=where)
    return config


def _told(message: str) -> str:
    return message.removeprefix("Value error, ").rstrip(".")


def check_allowed(config: GraderConfig, *, runs_python: bool, where: str = "grader") -> None:
    """Refuses a grader that would run code where nobody has allowed that.

    Raises:
        InputError: If it would.
    """
    if config.runs_code() and not runs_python:
        raise InputError(
            "Python graders run code on this machine, and are turned off",
            where=where,
            hint="Whoever runs the server can start it with --python-graders.",
        )


def check_item(config: GraderConfig, item: Mapping[str, Any]) -> None:
    """Looks whether a row has all fields that a grader's templates ask it for, whatever will be answered.

    Raises:
        GradingError: Naming the first that it has not.
    """
    for path in places_of(config.templates(), "item"):
        find(path, Look(item))


def grade(config: GraderConfig, look: Look, kit: Kit) -> Graded:
    """Grades one answer.

    Raises:
        GradingError: If there is no score to give.
    """
    try:
        graded: Graded = GRADERS.call(config.type, "grade", config, look, kit)
    except GradingError:
        raise
    except TunewrightError as error:
        raise GradingError("other_error", error.what, where=config.name, hint=error.hint) from error
    if not math.isfinite(graded.score):
        raise GradingError("other_error", f"The score is not a number ({graded.score})", where=config.name)
    return graded

"""Who judges, and how patiently: what every probe with a judge may say in a recipe."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationInfo, field_validator, model_validator

from tunewright.base import events
from tunewright.base.errors import InputError
from tunewright.base.plugins import PluginConfig
from tunewright.base.seeds import derive
from tunewright.data.example import Example, Message
from tunewright.endpoints import Endpoint
from tunewright.evaluate.answer import Answers
from tunewright.evaluate.judging.judge import Asking, Judge, LocalJudge, endpoint_judge, open_local
from tunewright.evaluate.judging.verdicts import How
from tunewright.evaluate.judging.wording import Case
from tunewright.evaluate.probing import Asked
from tunewright.metrics import Answer
from tunewright.recipe.schema import DataPath

_LOOKS_LIKE_A_PATH = re.compile(r"\.{1,2}/|/|~")
_NOBODY = "nobody is named who judges: set endpoint (url, model), or local or release to a model on this machine"


class JudgeSettings(PluginConfig):
    """Who judges, and how."""

    endpoint: Endpoint | None = Field(None, description="An OpenAI-compatible endpoint that judges: `url`, `model`, ….")
    local: str = Field("", description="Or a model on this machine: a catalogue name, a hub id or a folder.")
    release: str = Field("", description="Or a release of this workspace: its name, or name@version.")
    how: How = Field(
        "words",
        description="words: the judge answers in JSON, with its reason. likelihood: by how likely it finds each "
        "verdict, for small models on this machine.",
    )
    temperature: float | None = Field(
        0.0, ge=0, description="Of an endpoint; empty leaves it to the endpoint, where it takes no other than its own."
    )
    max_tokens: int = Field(512, ge=16, description="Longest verdict, in tokens.")
    max_not_judged: float = Field(
        0.1, ge=0, lt=1, description="Stop where more than this share of the answers got no verdict."
    )
    limit: int | None = Field(100, ge=1, description="Judge only so many rows, drawn with the seed; empty: all.")
    context: str = Field("context", description="The column that answers should be taken from, where rows have it.")

    @field_validator("local", mode="before")
    @classmethod
    def _relative_to_the_recipe(cls, value: Any, info: ValidationInfo) -> Any:
        is_path = isinstance(value, str) and _LOOKS_LIKE_A_PATH.match(value)
        return TypeAdapter(DataPath).validate_python(value, context=info.context) if is_path else value

    @model_validator(mode="after")
    def _one_judge(self, info: ValidationInfo) -> JudgeSettings:
        named = [name for name in ("endpoint", "local", "release") if getattr(self, name)]
        if not named and info.context is not None:  # a recipe; elsewhere a command may still name one
            raise ValueError(_NOBODY)
        if len(named) > 1:
            raise ValueError(f"{' and '.join(named)} each name a judge: keep one of them")
        if self.how == "likelihood" and self.endpoint is not None:
            raise ValueError("an endpoint does not say how likely it finds a word: leave `how` at words")
        return self


@dataclass(frozen=True)
class Bench:
    """What judging works with.

    Args:
        answers: Each system's answers to the same rows.
        examples: The rows; empty where only their answers are there.
        seed: Decides which rows are judged.
        samples: Bootstrap resamples.
        cache: Where models and verdicts lie.
        open_release: Opens a release as a judge; None where there is no workspace.
        listener: Hears of progress.
    """

    answers: Mapping[str, Answers]
    examples: Sequence[Example]
    seed: int
    samples: int
    cache: Path
    open_release: Callable[[str], LocalJudge] | None = None
    listener: events.Listener = events.ignore

    @classmethod
    def of(cls, asked: Asked) -> Bench:
        """What a probe is given, as far as judging needs it."""
        return cls(
            asked.answers, asked.examples, asked.seed, asked.samples, asked.cache, asked.open_judge, asked.listener
        )


@contextmanager
def opened(settings: JudgeSettings, bench: Bench, *, where: str) -> Iterator[Judge]:
    """The judge that is asked for, ready to be asked.

    Raises:
        InputError: If no judge is named, or it cannot be opened here.
    """
    if settings.endpoint is not None:
        with endpoint_judge(settings.endpoint, bench.cache, seed=bench.seed, temperature=settings.temperature) as judge:
            yield judge
    elif settings.local:
        yield open_local(settings.local, bench.cache, bench.listener)
    elif settings.release:
        if bench.open_release is None:
            raise InputError("There is no workspace here whose releases could judge", where=f"{where}.release")
        yield bench.open_release(settings.release)
    else:
        raise InputError(
            _NOBODY.partition(":")[0].capitalize(), where=where, hint=f"{_NOBODY.partition(': ')[2].capitalize()}."
        )


def asking(settings: JudgeSettings, bench: Bench, questions: int, note: str) -> Asking:
    """How the judge is asked so many questions."""
    return Asking(settings.max_tokens, int(settings.max_not_judged * questions), bench.listener, note)


def cases_of(settings: JudgeSettings, bench: Bench, systems: Sequence[str], *, where: str) -> list[Case]:
    """The rows that are judged, with the answers of these systems; drawn with the seed where there are too many.

    Raises:
        InputError: If a system has no answers, they are of other rows, or nothing says what was asked.
    """
    given = {system: _by_id(bench.answers, system, where) for system in systems}
    rows = list(given[systems[0]])
    for system, answers in given.items():
        if answers.keys() != given[systems[0]].keys():
            raise InputError(
                f"'{system}' ({len(answers)} rows) did not answer the rows of '{systems[0]}' ({len(rows)} rows)",
                where=where,
            )
    if settings.limit is not None and settings.limit < len(rows):
        chosen = random.Random(derive(bench.seed, "judge")).sample(range(len(rows)), settings.limit)
        rows = [rows[place] for place in sorted(chosen)]
    examples = {example.id: example for example in bench.examples}
    return [
        _case([given[system][row] for system in systems], systems, examples.get(row), settings.context, where)
        for row in rows
    ]


def _by_id(answers: Mapping[str, Answers], system: str, where: str) -> dict[str, Answer]:
    if system not in answers:
        raise InputError(
            f"'{system}' has no answers that could be judged", where=where, hint=f"There are: {', '.join(answers)}."
        )
    return {answer.id: answer for answer in answers[system].answers}


def _case(answers: Sequence[Answer], systems: Sequence[str], example: Example | None, context: str, where: str) -> Case:
    first = answers[0]
    question = _shown(example.prompt) if example is not None else first.question
    if not question.strip():
        raise InputError(
            f"Nothing says what '{first.id}' asked",
            where=where,
            hint="Judge a release or a run of this workspace, or answers that are stored with their questions.",
        )
    said = {system: answer.prediction for system, answer in zip(systems, answers, strict=True)}
    return Case(first.id, question, said, first.reference, first.columns.get(context, ""))


def _shown(prompt: Sequence[Message]) -> str:
    """A conversation as a judge reads it; the user's words alone where there is nothing else."""
    if len(prompt) == 1:
        return prompt[0].shown
    return "\n\n".join(f"[{turn.role}]\n{turn.shown}" for turn in prompt)

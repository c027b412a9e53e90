"""Whom probes ask in tests: speakers whose answers are known, and tiny models."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.tiny import tiny_model, tiny_tokenizer
from tunewright.base import events
from tunewright.base.events import Event
from tunewright.data.example import Example
from tunewright.evaluate import Answers, Asked, LocalSpeaker, Said, Speaker
from tunewright.metrics import Answer
from tunewright.recipe.sampling import Sampling


@dataclass
class Parrot:
    """A speaker that answers by a function of the last turn."""

    name: str
    answer: Callable[[str], str]
    heard: list[str] = field(default_factory=list)

    def say(
        self,
        conversations: Sequence[Any],
        *,
        max_new_tokens: int,
        sampling: Sampling | None = None,
        samples: int = 1,
        listener: events.Listener = events.ignore,
    ) -> list[Said]:
        questions = [conversation[-1].content for conversation in conversations]
        self.heard += questions
        said = [Said(self.answer(question)) for question in questions]
        return [replace(each, further=(each,) * (samples - 1)) for each in said]


def tiny_speaker(name: str, seed: int = 0, *, noise: float = 0.0) -> LocalSpeaker:
    """A tiny model in memory, its weights moved a little from those that the seed gives."""
    import torch

    from tunewright.forest.layout import adopt
    from tunewright.models.chat import ChatFormat

    model = copy.deepcopy(tiny_model(seed))
    if noise:
        draw = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for weight in model.parameters():
                weight += noise * torch.randn(weight.shape, generator=draw)
    adopt(model)
    files = SimpleNamespace(kind="causal-lm", context_length=2048)
    base: Any = SimpleNamespace(chat=ChatFormat(tiny_tokenizer()), files=files, model=model)
    return LocalSpeaker(name, base, lambda: nullcontext(model))


def answered(system: str, examples: Sequence[Example], texts: Sequence[str], **more: Sequence[Any]) -> Answers:
    """A system's answers, one text for each example; `more` holds further fields of each answer."""
    given = [
        Answer(example.id, example.answer, text, **{name: values[row] for name, values in more.items()})
        for row, (example, text) in enumerate(zip(examples, texts, strict=True))
    ]
    return Answers(system, tuple(given), seconds=1.0)


def asking(
    examples: Sequence[Example] = (),
    *,
    answers: Mapping[str, Answers] | None = None,
    systems: Mapping[str, Speaker] | None = None,
    training: Sequence[Example] = (),
    cache: Path = Path("nowhere"),
    answer_kind: str = "text",
    heard: list[Event] | None = None,
) -> Asked:
    """What a probe is given; its events go into `heard`."""
    return Asked(
        systems=systems or {},
        answers=answers or {},
        examples=examples,
        training=training,
        answer_kind=answer_kind,
        goal="Sort messages.",
        seed=3,
        samples=200,
        cache=cache,
        listener=heard.append if heard is not None else events.ignore,
    )

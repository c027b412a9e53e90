"""A model with a head of classes answers the held-out rows: the most probable label, or tag of each word."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.base import events
from tunewright.base.errors import InputError
from tunewright.data.example import Example
from tunewright.evaluate.answer import Answers, asked_of, template_hash
from tunewright.metrics import Answer
from tunewright.metrics._answer import name_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tunewright.models.chat import ChatMessage
    from tunewright.models.class_format import ClassFormat


@dataclass(frozen=True)
class Predicted:
    """What a head says of one row.

    Args:
        classes: The most probable class, or that of each word; None for a word that the model did not read.
        logp: Log-probability of every class at each that was read, in nats, shape (read, classes).
        whole: Whether all of the row was read; False where it was longer than the model reads.
    """

    classes: tuple[str | None, ...]
    logp: NDArray[np.float64]
    whole: bool

    @property
    def text(self) -> str:
        """The classes with a space between them; `O` for a word that was not read."""
        return " ".join("O" if name is None else name for name in self.classes)

    @property
    def probability(self) -> float:
        """How sure the model is of all of them together."""
        return math.exp(float(self.logp.max(axis=-1).sum())) if len(self.logp) else 1.0


def predict_classes(
    model: Any,
    format: ClassFormat,
    questions: Sequence[Sequence[ChatMessage]],
    *,
    limit: int,
    listener: events.Listener = events.ignore,
) -> list[Predicted]:
    """The most probable classes of some questions.

    Args:
        model: Adopted (`forest.layout.adopt`), with the format's head; in any mode.
        format: How the rows are read.
        questions: The messages in front of each answer.
        limit: Most tokens that the model reads; a longer row is cut, and says so.
        listener: Hears the progress.
    """
    from tunewright.forest import Path
    from tunewright.forest.classes import class_logp

    asked = [format.ask(question, limit) for question in questions]
    paths = []
    for number, (rendered, places) in enumerate(asked):
        weights = np.zeros(len(rendered.tokens), dtype=np.float32)
        weights[[place for place in places if place is not None]] = 1.0
        paths.append(
            Path(
                np.array(rendered.tokens, dtype=np.int32),
                weights,
                number,
                number,
                head=format.head,
                targets=np.zeros(len(weights), dtype=np.int32),
                both_ways=format.both_ways,
                types=np.array(rendered.types, dtype=np.int32) if rendered.types else None,
            )
        )
    was_training = model.training
    model.eval()
    try:
        logps = class_logp(model, paths, listener=listener)
    finally:
        model.train(was_training)
    found = []
    for question, (rendered, places), logp in zip(questions, asked, logps, strict=True):
        best = iter(logp.argmax(axis=-1).tolist())
        classes = tuple(None if place is None else format.classes[next(best)] for place in places)
        found.append(Predicted(classes, logp, len(rendered.tokens) == len(format.prompt(question))))
    return found


def answer_classes(
    model: Any,
    format: ClassFormat,
    examples: Sequence[Example],
    *,
    limit: int,
    system: str = "tuned",
    rendering: Mapping[str, Any] | None = None,
    listener: events.Listener = events.ignore,
) -> Answers:
    """Lets a model with a head of classes answer examples, and scores their reference answers.

    Of a word that the model did not read, the reference is not scored. Arguments as for `predict_classes`, and
    `rendering` as for `answer_examples`.

    Raises:
        InputError: If there are no examples.
    """
    if not examples:
        raise InputError("There are no examples to answer", where=system)
    started = time.perf_counter()
    predicted = predict_classes(model, format, [example.prompt for example in examples], limit=limit, listener=listener)
    number = {name: place for place, name in enumerate(format.classes)}
    references = [e.answer.split() if format.head == "tag" else [e.answer.strip()] for e in examples]
    unknown = dict.fromkeys(name for names in references for name in names if name not in number)
    if unknown:
        text = f"The head knows no class {name_ids(list(unknown))}: such rows count as wrong, and none is scored."
        listener(events.Message(text, "warning"))
    answers = []
    for example, wanted, found in zip(examples, references, predicted, strict=True):
        # Of a class that the head lacks there is no likelihood, and a mean over the other rows would be another one.
        read = [] if unknown else [name for name, given in zip(wanted, found.classes, strict=True) if given is not None]
        nats = -sum(float(logp[number[name]]) for name, logp in zip(read, found.logp, strict=bool(read)))
        answers.append(
            Answer(
                id=example.id,
                reference=example.answer,
                prediction=found.text,
                stopped=found.whole,
                nats=nats if read else None,
                tokens=len(read) or None,
                probability=found.probability,
                **asked_of(example),
                read=len(format.prompt(example.prompt)),
                written=0,
            )
        )
    seconds = time.perf_counter() - started
    return Answers(system, tuple(answers), seconds, template=template_hash(format, rendering))

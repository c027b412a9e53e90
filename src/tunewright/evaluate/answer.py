"""A model answers the held-out rows: its own words, and how likely it finds the right ones."""

from __future__ import annotations

import contextlib
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tunewright.base import events
from tunewright.base.errors import InputError
from tunewright.base.files import hash_value
from tunewright.base.seeds import derive
from tunewright.data.example import Example, Message
from tunewright.metrics import Answer
from tunewright.metrics._records import read_record
from tunewright.recipe.sampling import Sampling

if TYPE_CHECKING:
    from tunewright.generate import Generation
    from tunewright.models.base import Base
    from tunewright.models.chat import ChatFormat


@dataclass(frozen=True, slots=True)
class Answers:
    """One system's answers to the held-out rows.

    Args:
        system: Whose answers they are, such as `tuned`.
        answers: One per row.
        seconds: Time taken to give them, and to score the references in the same pass.
        tokens: Tokens generated.
        not_covered: Fields of the reference records that the system does not answer, and is not measured on.
        template: Hash of what made prompts of the rows (`template_hash`); empty where nothing did, or it is not known.
    """

    system: str
    answers: tuple[Answer, ...]
    seconds: float
    tokens: int = 0
    not_covered: tuple[str, ...] = ()
    template: str = ""

    @property
    def cut(self) -> int:
        """Answers that were cut at the length limit."""
        return sum(not answer.stopped for answer in self.answers)


def answer_examples(
    model: Any,
    base: Base,
    examples: Sequence[Example],
    *,
    max_new_tokens: int,
    batch_size: int,
    system: str = "tuned",
    shots: Sequence[Example] = (),
    sampling: Sampling | None = None,
    samples: int = 1,
    rendering: Mapping[str, Any] | None = None,
    listener: events.Listener = events.ignore,
) -> Answers:
    """Lets a model answer examples, and scores their reference answers.

    Args:
        model: The base's model, or the base with an adapter; adopted (`forest.layout.adopt`), in any mode.
        base: How it reads conversations.
        examples: What to answer; the last answer of each is the reference.
        max_new_tokens: Longest answer; longer ones are cut and counted.
        batch_size: Answers decoded side by side.
        system: What to call the system.
        shots: Worked examples shown in front of each question, behind the system message.
        sampling: How answers are drawn; None: the most probable ones are taken.
        samples: Answers to each example; further ones become `Answer.samples`.
        rendering: What made messages of the rows, JSON-ready; goes into the answers' `template`.
        listener: Hears the progress of decoding, and how many of the further answers were cut.

    Raises:
        InputError: If there are no examples.
    """
    from tunewright.generate import generate

    if not examples:
        raise InputError("There are no examples to answer", where=system)
    prompts, references = _rendered(base, examples, shots)
    with evaluation_mode(model):
        started = time.perf_counter()
        generations = generate(
            model,
            prompts,
            references=references,
            max_new_tokens=max_new_tokens,
            stop_ids=base.chat.stop_ids,
            batch_size=batch_size,
            sampling=sampling,
            samples=samples,
            listener=listener,
        )
        seconds = time.perf_counter() - started
    _tell_cut(generations, max_new_tokens, listener)
    read = zip(examples, prompts, references, generations, strict=True)
    return Answers(
        system,
        tuple(_answer(base, *each) for each in read),
        seconds,
        tokens=sum(len(generation.tokens) for generation in generations),
        template=template_hash(base.chat, rendering, shots),
    )


def _rendered(base: Base, examples: Sequence[Example], shots: Sequence[Example]) -> tuple[list[list[int]], ...]:
    """The tokens of each prompt, and of each reference behind it."""
    asked = [with_shots(example.prompt, shots) for example in examples]
    prompts = [base.chat.prompt(messages, example.tools) for messages, example in zip(asked, examples, strict=True)]
    references = [
        reference_tokens(base, prompt, messages, example)
        for prompt, messages, example in zip(prompts, asked, examples, strict=True)
    ]
    return prompts, references


def _answer(
    base: Base, example: Example, prompt: Sequence[int], reference: Sequence[int], generation: Generation
) -> Answer:
    return Answer(
        id=example.id,
        reference=example.answer,
        prediction=base.chat.decode(generation.tokens),
        stopped=generation.stopped,
        nats=-generation.reference_logprob,
        tokens=len(reference),
        **asked_of(example),
        read=len(prompt),
        written=len(generation.tokens),
        seconds=generation.seconds,
        samples=tuple(base.chat.decode(further.tokens) for further in generation.further),
    )


def asked_of(example: Example) -> dict[str, Any]:
    """The fields of an answer that say what was asked: `question` and `columns`, its source's name among them."""
    question = next((turn.content for turn in reversed(example.prompt) if turn.role == "user"), "")
    return {"question": question, "columns": {"source": example.source, **example.columns}}


def template_hash(chat: ChatFormat, rendering: Mapping[str, Any] | None, shots: Sequence[Example] = ()) -> str:
    """Hash of all that decides which tokens a row becomes: template and tokenizer of the base, and what is put in.

    Args:
        chat: How the base reads conversations.
        rendering: What made messages of the rows: the recipe's template, format and system message.
        shots: Worked examples in front of each question.
    """
    shown = [[[turn.role, turn.shown] for turn in shot.messages] for shot in shots]
    return hash_value([chat.fingerprint, dict(rendering or {}), shown])


def _tell_cut(generations: Sequence[Generation], limit: int, listener: events.Listener) -> None:
    """Says how many further answers were cut; those of the first ones are counted with the scores."""
    further = [each for generation in generations for each in generation.further]
    if cut := sum(not each.stopped for each in further):
        listener(events.Message(f"{cut:,} of {len(further):,} further answers were cut at {limit} tokens.", "warning"))


def choose_shots(train: Sequence[Example], n: int, seed: int) -> list[Example]:
    """Picks worked examples for a few-shot prompt: from the shorter half, each as unlike the ones before as can be.

    Unlike means: another label, or, for JSON answers, as many field values as possible that were not shown yet.

    Raises:
        InputError: If there are fewer training examples than shots.
    """
    check_shots(len(train), n)
    lengths = [sum(len(message.content) for message in example.messages) for example in train]
    longest = max(statistics.median(lengths), sorted(lengths)[n - 1])
    order = random.Random(derive(seed, "shots")).sample(range(len(train)), len(train))
    candidates = [row for row in order if lengths[row] <= longest]
    traits = {row: _traits(train[row].answer) for row in candidates}
    shown: set[str] = set()
    chosen: list[Example] = []
    for _ in range(n):
        best = max(traits, key=lambda row: len(traits[row] - shown))  # the first of the best, in random order
        shown |= traits.pop(best)
        chosen.append(train[best])
    return chosen


def check_shots(available: int, n: int) -> None:
    """Raises an `InputError` if there are fewer training examples than shots."""
    if available < n:
        raise InputError(
            f"{n} worked examples are asked for, and there are {available} training examples",
            where="evaluate.shots",
            hint="Lower evaluate.shots, or leave base_few_shot out of evaluate.systems.",
        )


def _traits(answer: str) -> frozenset[str]:
    record = read_record(answer)
    if record is None:
        return frozenset([answer.strip()])
    return frozenset(f"{field}={value!r}" for field, value in record.items())


def with_shots(prompt: Sequence[Message], shots: Sequence[Example]) -> list[Message]:
    """The prompt with the shots' turns between its system message and its question; nothing in it is learned."""
    told = ("system", "developer")
    begin = [message for message in prompt if message.role in told]
    rest = [message for message in prompt if message.role not in told]
    turns = [turn for shot in shots for turn in shot.messages if turn.role not in told]
    return [replace(message, weight=0.0) for message in [*begin, *turns, *rest]]


def reference_tokens(base: Base, prompt: Sequence[int], asked: Sequence[Message], example: Example) -> list[int]:
    """The tokens of an example's reference answer, its end token included, as they stand behind the prompt."""
    rendered = base.chat.render([*asked, example.asked_answer], example.tools)
    return rendered.tokens[len(prompt) : len(prompt) + int(sum(rendered.learned))]


@contextlib.contextmanager
def evaluation_mode(model: Any) -> Iterator[None]:
    """Switches dropout off while open: a model fresh from training would answer at random."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)

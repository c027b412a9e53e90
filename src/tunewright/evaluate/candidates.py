"""Answers that are chosen among candidates by their log-probability, in place of being written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tunewright.base import events
from tunewright.base.errors import InputError
from tunewright.data.example import Example, Message
from tunewright.evaluate.answer import Answers, asked_of, evaluation_mode, reference_tokens, template_hash, with_shots
from tunewright.evaluate.speaker import Conversation
from tunewright.metrics import Answer
from tunewright.metrics._answer import name_ids

if TYPE_CHECKING:
    from tunewright.generate.choosing import Choice
    from tunewright.metrics._measure import Floats
    from tunewright.models.base import Base

Normalised = Literal["not", "tokens", "bytes"]
_SHARE_ERROR = 0.01  # of an answer's probability: bins of calibration are a good deal wider
_WHERE = "evaluate.candidates"


def score_candidates(
    model: Any,
    base: Base,
    conversations: Sequence[Conversation],
    candidates: Sequence[str],
    *,
    ends: bool = True,
    normalised: Normalised = "not",
    calibrated: bool = False,
    listener: events.Listener = events.ignore,
) -> Floats:
    """Exact log-probability of every candidate behind every conversation, shape (conversations, candidates), in nats.

    Args:
        model: Adopted (`forest.layout.adopt`), in any mode.
        base: How it reads conversations.
        conversations: The messages in front of each answer.
        candidates: What the answer may be.
        ends: Whether the token that ends an answer counts, as it does in training; without it, a candidate that others
            begin with has all of their probability too.
        normalised: Divided by a candidate's tokens, or its bytes in UTF-8; by nothing, the longer one is the less
            probable one.
        calibrated: Less the candidate's log-probability behind the same conversation with nothing asked in it, so that
            what is said often anyway has no advantage (domain-conditional pointwise mutual information, Holtzman et al.
            2021, arXiv:2104.08315). Taken before it is divided.
        listener: Hears of progress as a stage "score", counted in questions.

    Raises:
        InputError: If there are no candidates, one is empty, or one stands there twice.
        ModelError: If the model gives what is not a number.
    """
    from tunewright.generate.candidates import score_each

    check_candidates(candidates)
    prompts, tokens = _tokens(base, conversations, candidates, ends)
    with evaluation_mode(model):
        logp: Floats = np.array([each.logp for each in score_each(model, prompts, tokens, listener=listener)])
        if calibrated:
            logp = logp - _unasked(model, base, conversations, candidates, ends)
    if normalised == "tokens":
        logp = logp / np.array([[len(each) for each in own] for own in tokens])
    if normalised == "bytes":
        logp = logp / np.array([len(candidate.encode()) for candidate in candidates])
    return logp.reshape(len(conversations), len(candidates))


def choose(
    model: Any,
    base: Base,
    conversations: Sequence[Conversation],
    candidates: Sequence[str],
    *,
    ends: bool = True,
    wanted: Sequence[int | None] | None = None,
    share_error: float = 1.0,
    listener: events.Listener = events.ignore,
) -> list[Choice]:
    """The most probable candidate behind each conversation, by its summed log-probability; of equal ones the first.

    The same as the greatest of `score_candidates`, found by best-first search that reads what may still win. A tuned
    model is asked for hardly more than the one answer's tokens.

    Args:
        model: Adopted (`forest.layout.adopt`), in any mode.
        base: How it reads conversations.
        conversations: The messages in front of each answer.
        candidates: What the answer may be.
        ends: As `score_candidates` has it.
        wanted: A candidate of each conversation whose log-probability is to be known too, by its place.
        share_error: Search on until the winner's share of all candidates' probability is known to within this.
        listener: Hears of progress as a stage "choose", counted in questions.
    Returns:
        For each conversation `winner` (its place in `candidates`), `logp` (in nats), `share_low` and `share_high` (what
        share of all candidates' probability it has), and `wanted_logp`.

    Raises:
        InputError, ModelError: As `score_candidates` does.
    """
    from tunewright.generate.choosing import choose_each

    check_candidates(candidates)
    prompts, tokens = _tokens(base, conversations, candidates, ends)
    with evaluation_mode(model):
        return choose_each(model, prompts, tokens, wanted=wanted, share_error=share_error, listener=listener)


def answer_with_candidates(
    model: Any,
    base: Base,
    examples: Sequence[Example],
    candidates: Sequence[str],
    *,
    system: str = "tuned",
    shots: Sequence[Example] = (),
    rendering: Mapping[str, Any] | None = None,
    listener: events.Listener = events.ignore,
) -> Answers:
    """Lets a model answer examples by choosing, and scores their reference answers.

    An answer's `probability` is its share of all candidates' probability, to within a hundredth. A reference that is
    none of the candidates is scored all the same; the listener is told of such rows, which nothing answers rightly.

    Args:
        model: Adopted (`forest.layout.adopt`), in any mode.
        base: How it reads conversations.
        examples: What to answer; the last answer of each is the reference.
        candidates: What the answers may be.
        system: What to call the system.
        shots: Worked examples shown in front of each question, behind the system message.
        rendering: What made messages of the rows, JSON-ready; goes into the answers' `template`.
        listener: Hears of progress as a stage "choose", counted in questions.

    Raises:
        InputError: If there are no examples, or as `score_candidates` raises it.
    """
    from tunewright.generate.candidates import score_each

    if not examples:
        raise InputError("There are no examples to answer", where=system)
    if with_tools := [example.id for example in examples if example.tools]:
        raise InputError(
            f"Answers that may call tools are written, and not chosen: {name_ids(with_tools)}",
            where=_WHERE,
            hint="Leave the candidates out.",
        )
    started = time.perf_counter()
    asked = [with_shots(example.prompt, shots) for example in examples]
    place_of = {candidate: place for place, candidate in enumerate(candidates)}
    wanted = [place_of.get(example.answer.strip()) for example in examples]
    _tell_unknown(examples, wanted, len(candidates), listener)
    chosen = choose(model, base, asked, candidates, wanted=wanted, share_error=_SHARE_ERROR, listener=listener)
    prompts = [base.chat.prompt(messages, example.tools) for messages, example in zip(asked, examples, strict=True)]
    references = [
        reference_tokens(base, prompt, messages, example)
        for prompt, messages, example in zip(prompts, asked, examples, strict=True)
    ]
    unknown = [row for row, place in enumerate(wanted) if place is None]
    with evaluation_mode(model):
        scored = score_each(model, [prompts[row] for row in unknown], [[references[row]] for row in unknown])
    logp = {row: float(each.logp[0]) for row, each in zip(unknown, scored, strict=True)}
    answers = tuple(
        Answer(
            id=example.id,
            reference=example.answer,
            prediction=candidates[choice.winner],
            nats=-logp.get(row, choice.wanted_logp),
            tokens=len(references[row]),
            probability=(choice.share_low + choice.share_high) / 2,
            **asked_of(example),
            read=len(prompts[row]),
        )
        for row, (example, choice) in enumerate(zip(examples, chosen, strict=True))
    )
    template = template_hash(base.chat, rendering, shots)
    return Answers(system, answers, seconds=time.perf_counter() - started, template=template)


def check_candidates(candidates: Sequence[str]) -> None:
    """Raises an `InputError` where there are no candidates, one is empty, or one stands there twice."""
    if not candidates:
        raise InputError("There are no candidates to choose from", where=_WHERE, hint="Name them, or write 'labels'.")
    if not all(candidate.strip() for candidate in candidates):
        raise InputError("A candidate is empty", where=_WHERE, hint="Take it out.")
    twice = [candidate for candidate, times in Counter(candidates).items() if times > 1]
    if twice:
        raise InputError(f"A candidate stands there more than once: {name_ids(twice)}", where=_WHERE)


def _tell_unknown(
    examples: Sequence[Example], wanted: Sequence[int | None], candidates: int, listener: events.Listener
) -> None:
    """Tells of rows whose right answer cannot be chosen."""
    unknown = [example.answer.strip() for example, place in zip(examples, wanted, strict=True) if place is None]
    if unknown:
        labels = name_ids(list(dict.fromkeys(unknown)))
        text = f"{len(unknown):,} rows have a right answer that is none of the {candidates:,} candidates: {labels}."
        listener(events.Message(f"{text} They count as wrong.", "warning"))


def _tokens(
    base: Base, conversations: Sequence[Conversation], candidates: Sequence[str], ends: bool
) -> tuple[list[list[int]], list[list[list[int]]]]:
    """The conversations' prompts, and behind each the candidates' tokens.

    A prompt and its answer are tokenised apart, so the candidates have the same tokens behind all conversations of one
    succession of roles; these share one list.
    """
    prompts = [base.chat.prompt(conversation) for conversation in conversations]
    found: dict[tuple[str, ...], list[list[int]]] = {}
    for prompt, conversation in zip(prompts, conversations, strict=True):
        roles = tuple(turn.role for turn in conversation)
        if roles not in found:
            read = [replace(turn, weight=0.0) for turn in conversation]
            found[roles] = [_behind(base, prompt, read, candidate, ends) for candidate in candidates]
    return prompts, [found[tuple(turn.role for turn in conversation)] for conversation in conversations]


def _behind(base: Base, prompt: Sequence[int], read: Sequence[Message], candidate: str, ends: bool) -> list[int]:
    """A candidate's tokens as they stand behind a prompt, up to and with the one that ends it."""
    rendered = base.chat.render([*read, Message("assistant", candidate)])
    tokens = rendered.tokens[len(prompt) : len(prompt) + int(sum(rendered.learned))]
    if not ends:
        while tokens and tokens[-1] in base.chat.stop_ids:
            tokens.pop()
    return tokens


def _unasked(
    model: Any, base: Base, conversations: Sequence[Conversation], candidates: Sequence[str], ends: bool
) -> Floats:
    """The candidates' log-probabilities where the last turn of the user is empty, shape (conversations, candidates)."""
    from tunewright.generate.candidates import score_each

    emptied = []
    for conversation in conversations:
        last = max((place for place, turn in enumerate(conversation) if turn.role == "user"), default=-1)
        emptied.append(
            [replace(turn, content="") if place == last else turn for place, turn in enumerate(conversation)]
        )
    prompts, tokens = _tokens(base, emptied, candidates, ends)
    # Most conversations are alike once nothing is asked.
    distinct = {tuple(prompt): row for row, prompt in enumerate(prompts)}
    rows = list(distinct.values())
    scored = score_each(model, [prompts[row] for row in rows], [tokens[row] for row in rows])
    logp = {tuple(prompts[row]): each.logp for row, each in zip(rows, scored, strict=True)}
    return np.array([logp[tuple(prompt)] for prompt in prompts])

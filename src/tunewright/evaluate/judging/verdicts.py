"""From what a judge says to verdicts: read strictly, asked for once more, and counted where there are none."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tunewright.base.errors import EndpointError
from tunewright.evaluate.judging.judge import Asking, Judge, Silent
from tunewright.evaluate.judging.wording import Task
from tunewright.evaluate.speaker import Said

How = Literal["words", "likelihood"]
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n\s*```\Z", re.DOTALL)
_CUT = "it was cut off before its end: be brief"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge found.

    Args:
        value: A score; 1, -1 or 0 for the first, the second or neither; 1 or 0 for broken or kept.
        reason: In its own words; empty where it was asked for likelihoods.
        quote: The words that it takes offence at.
    """

    value: float
    reason: str = ""
    quote: str = ""


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A judge gave no verdict that can be used, and why."""

    reason: str


class Nonsense(Exception):  # noqa: N818 - it never leaves this room
    """A reply that cannot be used; says what is wrong, without a final full stop."""


class _Reply(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    reason: str = Field(min_length=1)


class Score(_Reply):
    """The reply to a rubric."""

    score: int


class Better(_Reply):
    """The reply to two answers."""

    better: Literal["1", "2", "tie"]


class Broken(_Reply):
    """The reply to a principle."""

    broken: bool
    quote: str


Form = TypeVar("Form", bound=_Reply)


def read_reply(text: str, form: type[Form]) -> Form:
    """Reads a reply that must be one JSON object with these keys; a thought in front and a fence around are let pass.

    Raises:
        Nonsense: If it is anything else.
    """
    plain = _THOUGHT.sub("", text).strip()
    if fenced := _FENCE.match(plain):
        plain = fenced[1]
    try:
        value = json.loads(plain, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise Nonsense("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Nonsense(f"it is not one JSON object ({error.msg} at character {error.pos + 1})") from None
    try:
        return form.model_validate(value)
    except ValidationError as error:
        faults = ("".join(f"'{key}': " for key in each["loc"]) + each["msg"] for each in error.errors())
        raise Nonsense("; ".join(faults)) from None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    keys = Counter(key for key, _ in pairs)
    if twice := [key for key, count in keys.items() if count > 1]:
        raise Nonsense(f"'{twice[0]}' stands there twice")
    return dict(pairs)


def _no_number(name: str) -> float:
    raise Nonsense(f"{name} is no number")


def ask_in_words(
    judge: Judge, tasks: Sequence[Task], read: Callable[[int, str], Verdict], asking: Asking
) -> list[Verdict | NotJudged]:
    """Verdicts in the judge's own words; what cannot be used is asked for once more, with what was wrong with it.

    Args:
        judge: Who judges.
        tasks: What is asked.
        read: Takes a task's number and a reply, and gives the verdict; raises `Nonsense`.
        asking: How it is asked.

    Raises:
        EndpointError: If the judge is dead.
    """

    def judged(place: int, said: Said | Silent) -> Verdict | Nonsense | NotJudged:
        if isinstance(said, Silent):
            return NotJudged(said.reason)
        if not said.stopped:
            return Nonsense(_CUT)
        try:
            return read(place, said.text)
        except Nonsense as fault:
            return fault

    first = judge.say([task.in_json() for task in tasks], asking)
    found = [judged(place, said) for place, said in enumerate(first)]
    wrong = {place: str(each) for place, each in enumerate(found) if isinstance(each, Nonsense)}
    if wrong:
        asked = [tasks[place].again(_text(first[place]), fault) for place, fault in wrong.items()]
        for place, said in zip(wrong, judge.say(asked, asking), strict=True):
            found[place] = judged(place, said)
    return [NotJudged(f"no verdict, asked twice: {each}") if isinstance(each, Nonsense) else each for each in found]


def _text(said: Said | Silent) -> str:
    return said.text if isinstance(said, Said) else ""


def ask_by_likelihood(
    judge: Judge, tasks: Sequence[Task], asking: Asking, *, expected: bool
) -> list[Verdict | NotJudged]:
    """Verdicts from how likely the judge finds each word that it may answer.

    Args:
        judge: Who judges; a model in memory.
        tasks: What is asked; all with the same words.
        asking: How it is asked.
        expected: Whether to take the mean of the words' values by likelihood (G-Eval, arXiv:2303.16634), or the value
            of the likeliest word.

    Raises:
        InputError: If the judge cannot say how likely words are.
    """
    if not tasks:
        return []
    worth = tasks[0].words
    found: list[Verdict | NotJudged] = []
    for shares in judge.likelihoods([task.in_a_word() for task in tasks], tuple(worth), asking):
        if isinstance(shares, Silent):
            found.append(NotJudged(shares.reason))
        elif expected:
            found.append(Verdict(sum(share * worth[word] for word, share in shares.items())))
        else:
            found.append(Verdict(worth[max(worth, key=lambda word: shares[word])]))
    return found


def check_judged(verdicts: Sequence[Verdict | NotJudged], most: float, *, judge: str, what: str) -> None:
    """Refuses numbers that stand on too few verdicts.

    Raises:
        EndpointError: If more than the share `most` was not judged.
    """
    missing = Counter(each.reason for each in verdicts if isinstance(each, NotJudged))
    total = sum(missing.values())
    if total <= most * len(verdicts):
        return
    reasons = "; ".join(f"{count} × {reason}" for reason, count in missing.most_common(3))
    raise EndpointError(
        f"The judge '{judge}' gave no verdict on {total} of {len(verdicts)} answers ({what}), and at most "
        f"{most:.0%} may be missing: {reasons}",
        hint="Take a judge that keeps to JSON, a small local one with `how: likelihood`, or raise `max_not_judged`.",
    )


def reasons_missing(verdicts: Sequence[Verdict | NotJudged]) -> list[Mapping[str, Any]]:
    """Why verdicts are missing, the most frequent reason first."""
    counted = Counter(each.reason for each in verdicts if isinstance(each, NotJudged))
    return [{"reason": reason, "answers": count} for reason, count in counted.most_common()]

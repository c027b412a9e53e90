"""The rows that people look at: answers of several systems to the same questions, drawn by chance."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tunewright.base.errors import InputError
from tunewright.base.seeds import derive
from tunewright.evaluate.answer import Answers
from tunewright.metrics import Answer

Kind = Literal["pairwise", "rating"]


class Row(BaseModel):
    """A question, and what each system answered to it.

    Args:
        id: The row's id.
        question: What was asked.
        reference: The right answer.
        answers: The answers, by system.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    question: str
    reference: str
    answers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Material:
    """What there is to look at.

    Args:
        rows: The rows that were drawn, in the order of the draw.
        systems: Whose answers they are; of a pair the one in question first.
        shared: Rows that all systems answered.
        unshared: Rows that only some of them answered; nobody is asked about them.
        identical: Of the shared rows those to which both of a pair gave the same answer: ties without being asked.
    """

    rows: tuple[Row, ...]
    systems: tuple[str, ...]
    shared: int
    unshared: int
    identical: int

    @property
    def counts(self) -> dict[str, int]:
        """The counts, as sessions and reports carry them."""
        return {"shared": self.shared, "unshared": self.unshared, "identical": self.identical}


def gather(answers: Mapping[str, Answers], kind: Kind, *, count: int, seed: int) -> Material:
    """Draws rows for people to look at.

    Args:
        answers: Each system's answers; rows are brought together by their ids.
        kind: `pairwise` compares exactly two systems, `rating` takes any number.
        count: How many rows to draw; all where there are fewer.
        seed: Decides which.

    Raises:
        InputError: If the systems are not as many as the kind needs, share no row, were asked different things under
            one id, or there is nothing to look at.
    """
    systems = tuple(answers)
    if kind == "pairwise" and len(systems) != 2:
        raise InputError(
            f"A pair is of two systems, and here {'is' if len(systems) == 1 else 'are'} {len(systems)}:"
            f" {', '.join(systems) or 'none'}",
            hint="Name the other one with --against, or rate them apart with --kind rating.",
        )
    by_id = {system: {answer.id: answer for answer in given.answers} for system, given in answers.items()}
    shared = [row for row in by_id[systems[0]] if all(row in given for given in by_id.values())] if systems else []
    every = {row for given in by_id.values() for row in given}
    if not shared:
        raise InputError(
            f"{' and '.join(systems)} answered no row in common" if systems else "There are no answers to look at",
            hint="Their ids differ: let both answer the same rows.",
        )
    rows = [_row(row, {system: by_id[system][row] for system in systems}) for row in shared]
    if not any(row.question for row in rows):
        raise InputError(
            "These answers were stored without the questions, and nobody can judge an answer alone",
            hint="Evaluate again, or give the file a column 'question'.",
        )
    same = [len(set(row.answers.values())) == 1 for row in rows] if kind == "pairwise" else [False] * len(rows)
    differing = [row for row, is_same in zip(rows, same, strict=True) if not is_same]
    if not differing:
        raise InputError(
            f"{' and '.join(systems)} gave the same answer to all {len(rows):,} rows: there is nothing to compare"
        )
    drawn = random.Random(derive(seed, "review")).sample(differing, min(count, len(differing)))
    return Material(tuple(drawn), systems, len(shared), len(every) - len(shared), len(rows) - len(differing))


def _row(identity: str, given: Mapping[str, Answer]) -> Row:
    answers = list(given.values())
    questions = {answer.question for answer in answers if answer.question}
    if len(questions) > 1:
        raise InputError(
            "This row was asked differently of one system and of another",
            where=identity,
            hint="Compare answers to the same questions.",
        )
    reference = next((answer.reference for answer in answers if answer.reference), "")
    predictions = {system: answer.prediction for system, answer in given.items()}
    return Row(id=identity, question=next(iter(questions), ""), reference=reference, answers=predictions)

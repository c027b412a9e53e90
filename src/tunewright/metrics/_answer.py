"""What metrics are given: one system's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tunewright.base.errors import InputError

_NAMED_IDS = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """One system's answer to one example.

    Args:
        id: The example's id.
        reference: The right answer.
        prediction: The given answer.
        stopped: Whether the answer ended by itself; False where it was cut at the length limit.
        nats: Negative log-likelihood of the reference answer, summed over its tokens; None where the system gives none.
        tokens: Reference tokens scored; of a head of classes, classes.
        bytes: Length of the reference in UTF-8, where its text is not kept; None: the reference's own.
        probability: How sure the system is of what it gave, all of it together; None where it does not say.
        question: What was asked: the last turn of the user.
        references: Further right answers, beside `reference`.
        samples: Further answers to the same question, where several were drawn.
        columns: The row's other cells, by column: what slices are cut by, and what claims are held against.
        seconds: Time until it was there, in seconds; None where it was not taken.
        read: Tokens of the prompt; None where they were not counted.
        written: Tokens of the answer; None where they were not counted.
        reward: What a grader found it worth; None where none was asked.
    """

    id: str
    reference: str
    prediction: str
    stopped: bool = True
    nats: float | None = None
    tokens: int | None = None
    bytes: int | None = None
    probability: float | None = None
    question: str = ""
    references: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    read: int | None = None
    written: int | None = None
    reward: float | None = None


def require_answers(metric: str, answers: Sequence[Answer]) -> None:
    """Refuses an empty list of answers: a share of nothing is not a number.

    Raises:
        InputError: If there are no answers.
    """
    if not answers:
        raise InputError(
            "There are no answers to measure", where=metric, hint="Hold out at least one row for the test."
        )


def name_ids(ids: Sequence[str]) -> str:
    """The first few ids, and how many more there are, for an error."""
    more = f" and {len(ids) - _NAMED_IDS:,} more" if len(ids) > _NAMED_IDS else ""
    return ", ".join(ids[:_NAMED_IDS]) + more

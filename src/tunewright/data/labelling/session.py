"""A session of labelling: what to ask next, and what the model that learns along would have said."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tunewright.data.labelling.choosing import Head, Vectors, choose, learn
from tunewright.data.labelling.journal import Journal, Labelled, counts
from tunewright.data.labelling.pool import Candidate, Pool

RECENT = 50


@dataclass(frozen=True, slots=True)
class ModelAgreement:
    """How often the model's guess, made before the label was given, was the label: of all, and of the last 50."""

    asked: int
    agreed: int
    recent_asked: int
    recent_agreed: int


@dataclass
class Session:
    """Labels being given to the texts of a pool.

    Args:
        pool: The texts.
        vectors: A vector for each candidate, shape (n, width).
        journal: Where labels go.
        every: The model learns again after so many labels.
        seed: Decides between equals.
    """

    pool: Pool
    vectors: Vectors
    journal: Journal
    every: int = 10
    seed: int = 0
    skipped: set[str] = field(default_factory=set)
    given: int = 0
    _head: Head | None = None
    _waiting: deque[int] = field(default_factory=deque)
    _since: int = 0

    def __post_init__(self) -> None:
        self._number = {candidate.id: number for number, candidate in enumerate(self.pool.candidates)}
        self._learn()

    def next(self) -> Candidate | None:
        """The text to ask for now; None where all that are considered are labelled or skipped."""
        done = {each.id for each in self.journal.labelled} | self.skipped
        while self._waiting and self.pool.candidates[self._waiting[0]].id in done:
            self._waiting.popleft()
        if not self._waiting:
            free = [number for number, each in enumerate(self.pool.candidates) if each.id not in done]
            self._waiting.extend(choose(self.vectors, self._head, free, self.every, self.seed + len(done)))
        return self.pool.candidates[self._waiting[0]] if self._waiting else None

    def label(self, candidate: Candidate, label: str) -> Labelled:
        """Keeps a label, with what the model would have said."""
        guess = self._head.guess(self._number[candidate.id]) if self._head else None
        labelled = Labelled(candidate.id, candidate.text, label, candidate.source, candidate.line, guess)
        self.journal.add(labelled)
        self.given += 1
        self._since += 1
        if self._since >= self.every:
            self._learn()
        return labelled

    def skip(self, candidate: Candidate) -> None:
        """Asks for something else; in another session the text may come up again."""
        self.skipped.add(candidate.id)

    def undo(self) -> Labelled | None:
        """Takes the last label back, and asks for its text again; None where there is no label."""
        taken = self.journal.take_back()
        if taken is None:
            return None
        self.given -= 1
        self.skipped.discard(taken.id)
        self._learn()  # without what was taken back, or its guess would be no guess
        if taken.id in self._number:
            self._waiting.appendleft(self._number[taken.id])
        return taken

    @property
    def left(self) -> int:
        """Considered texts that have no label yet."""
        done = {each.id for each in self.journal.labelled}
        return sum(candidate.id not in done for candidate in self.pool.candidates)

    def agreement(self) -> ModelAgreement:
        """How often the model was right before it was told."""
        return model_agreement(self.journal.labelled)

    def as_json(self) -> dict[str, Any]:
        """What a session did, and what is left to do."""
        agreement = self.agreement()
        return {
            "output": str(self.journal.path),
            "labelled": len(self.journal.labelled),
            "now": self.given,
            "skipped": len(self.skipped),
            "left": self.left,
            "rows": self.pool.rows,
            "unusable": self.pool.unusable,
            "distinct": self.pool.distinct,
            "considered": len(self.pool.candidates),
            "counts": counts(self.journal.labelled),
            "model": {"asked": agreement.asked, "agreed": agreement.agreed},
        }

    def _learn(self) -> None:
        given = {self._number[each.id]: each.label for each in self.journal.labelled if each.id in self._number}
        self._head = learn(self.vectors, given)
        self._since = 0
        self._waiting.clear()


def model_agreement(labelled: Sequence[Labelled]) -> ModelAgreement:
    """How often the model's guess was the label that was given."""
    hits = [each.predicted == each.label for each in labelled if each.predicted is not None]
    recent = hits[-RECENT:]
    return ModelAgreement(len(hits), sum(hits), len(recent), sum(recent))

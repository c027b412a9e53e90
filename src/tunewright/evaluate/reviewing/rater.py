"""One rater's way through a session: what comes next, what was answered, and how often he agrees with himself."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Literal, Self

from tunewright.base.errors import DataError, InputError
from tunewright.base.lines import Lines, read_lines
from tunewright.base.seeds import derive
from tunewright.evaluate.reviewing.material import Row
from tunewright.evaluate.reviewing.session import PASS_SHARE, Session
from tunewright.evaluate.reviewing.training import CHOICES, PairToLearn, ToLearn, is_right

Stage = Literal["training", "row", "control"]
LONGEST_NOTE = 2000  # signs of a comment, or of the reason for a skip


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to look at.

    Args:
        key: What it is called in the rater's file.
        stage: A training item, a row, or a row that is asked a second time.
        place: The number of the training item or of the row.
        shown: The systems whose answers are shown, left one first; none of a training item.
    """

    key: str
    stage: Stage
    place: int
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What a rater gave.

    Args:
        key: The task's.
        stage: The task's.
        unit: The row's id; of a training item its number.
        shown: The systems shown, left one first.
        choice: What was pressed: left, right, tie or both_bad; empty of a rating or a skip.
        ratings: The points, by criterion.
        skipped: Why it was skipped; None where it was not. May be empty.
        comment: What else he said.
        right: Of a training item, whether that is what is known.
        seconds: How long he looked at it; None where it was shown before a restart.
        at: When, ISO 8601.
    """

    key: str
    stage: Stage
    unit: str
    shown: tuple[str, ...]
    choice: str = ""
    ratings: Mapping[str, int] = field(default_factory=dict)
    skipped: str | None = None
    comment: str = ""
    right: bool | None = None
    seconds: float | None = None
    at: str = ""

    @property
    def preferred(self) -> str:
        """The system that was chosen, `tie` or `both_bad`; empty where none was."""
        return self.shown[CHOICES.index(self.choice)] if self.choice in CHOICES[:2] else self.choice


class StaleTaskError(InputError):
    """What was answered is not what is being asked: an old page, or one that was sent twice."""


class Rater:
    """A rater at work; his file is open for no other process meanwhile."""

    def __init__(self, session: Session, name: str, lines: Lines[Given]) -> None:
        self.session, self.name, self._lines = session, name, lines
        self.tasks = way(session, name)
        self._shown_at: tuple[str, float] = ("", 0.0)

    @classmethod
    def open(cls, session: Session, name: str) -> Self:
        """Takes up where the rater stopped.

        Raises:
            InputError: If the session has no place for this name.
            DataError: If his file is damaged, or open elsewhere.
        """
        path = session.file_of(name)
        taken = DataError(
            f"'{name}' is rating in this session right now",
            where=str(path),
            hint="End the other one first, or rate under a name of your own with --rater.",
        )
        return cls(session, name, Lines.open(path, _parse, taken=taken))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives his file free."""
        self._lines.close()

    @property
    def given(self) -> Sequence[Given]:
        """All that he gave, in order."""
        return self._lines.values

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to ask."""
        return self._current() is None

    @property
    def learned(self) -> Learned:
        """How he did on the training items so far."""
        return learned(self.session, self.given)

    def next(self) -> Task | None:
        """What to look at now; None where all is done."""
        task = self._current()
        if task is not None and self._shown_at[0] != task.key:
            self._shown_at = (task.key, time.monotonic())
        return task

    def answer(
        self,
        key: str,
        *,
        choice: str = "",
        ratings: Mapping[str, int] | None = None,
        skipped: str | None = None,
        comment: str = "",
    ) -> Given:
        """Puts an answer on disk.

        Args:
            key: The task that it is about: the one that `next` gave.
            choice: For a pair left, right, tie or both_bad.
            ratings: For a rating a point for each criterion.
            skipped: Instead of either the reason for a skip, which may be empty. A training item is not skipped.
            comment: What else there is to say.

        Raises:
            StaleTaskError: If something else is being asked.
            InputError: If the answer is none for this session; nothing is written.
        """
        task = self._current()
        if task is None or task.key != key:
            raise StaleTaskError("This is not what is being asked now; the answer before was kept")
        points = dict(ratings or {})
        self._check(task, choice, points, skipped)
        for note in (skipped or "", comment):
            if len(note) > LONGEST_NOTE:
                raise InputError(f"A note of {len(note):,} signs is too long: at most {LONGEST_NOTE:,}")
        is_training = task.stage == "training"
        known = self.session.settings.training[task.place] if is_training else None
        given = Given(
            key=task.key,
            stage=task.stage,
            unit=str(task.place) if is_training else self.session.rows[task.place].id,
            shown=task.shown,
            choice=choice,
            ratings=points,
            skipped=skipped,
            comment=comment.strip(),
            right=is_right(known, choice=choice, ratings=points) if known else None,
            seconds=round(time.monotonic() - self._shown_at[1], 1) if self._shown_at[0] == key else None,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._lines.add(given, asdict(given))
        return given

    def undo(self) -> Given | None:
        """Takes the last answer back; None where there is none, or of a training item: he has seen its answer."""
        if not self.given or self.given[-1].stage == "training":
            return None
        return self._lines.take_back()

    def _current(self) -> Task | None:
        done = {each.key for each in self.given}
        return next((task for task in self.tasks if task.key not in done), None)

    def _check(self, task: Task, choice: str, points: Mapping[str, int], skipped: str | None) -> None:
        settings = self.session.settings
        if skipped is not None:
            if task.stage == "training":
                raise InputError("A training item cannot be skipped: it has a known answer, which you are told")
            if choice or points:
                raise InputError("What is skipped has no answer")
            return
        if settings.kind == "pairwise":
            if choice not in CHOICES or points:
                raise InputError(f"'{choice}' is no choice: {', '.join(CHOICES)}")
            return
        missing = [rubric.shown for rubric in settings.criteria if rubric.name not in points]
        if missing or choice or len(points) > len(settings.criteria):
            raise InputError(f"Give each scale a point; missing: {', '.join(missing) or 'none'}")
        for rubric in settings.criteria:
            if points[rubric.name] not in rubric.points:
                raise InputError(f"{points[rubric.name]} is no point of the scale {rubric.shown}")


@dataclass(frozen=True, slots=True)
class Learned:
    """How a rater did on the training items: so many were right, of so many answered, of so many that there are."""

    right: int
    answered: int
    items: int

    @property
    def failed(self) -> bool:
        """Whether he got too many wrong; false as long as items are left to answer."""
        return 0 < self.items <= self.answered and self.right < PASS_SHARE * self.items


def learned(session: Session, given: Sequence[Given]) -> Learned:
    """How a rater did on the training items."""
    trained = [each for each in given if each.stage == "training"]
    return Learned(sum(bool(each.right) for each in trained), len(trained), len(session.settings.training))


def way(session: Session, rater: str) -> list[Task]:
    """All that a rater is asked, in order: training items, then rows in an order of his own, some of them twice.

    The order, and which system's answer stands on the left, follow from the session's seed and the rater's name. What
    is asked a second time comes from the first half, stands in the second, and of a pair with its sides changed.
    """
    settings = session.settings
    training = [Task(f"training:{place}", "training", place) for place in range(len(settings.training))]
    asked = [
        Task(f"row:{row.id}" if len(shown) == 2 else f"row:{row.id}:{shown[0]}", "row", place, shown)
        for place, row in enumerate(session.rows)
        if _is_dealt(session, place, rater)
        for shown in _shown(session, row, rater)
    ]
    draw = random.Random(derive(settings.seed, "order", rater))
    draw.shuffle(asked)
    half = len(asked) // 2
    again = draw.sample(asked[:half], min(settings.controls, half))
    for task in again:
        control = Task(f"again:{task.key}", "control", task.place, task.shown[::-1])
        asked.insert(draw.randint(len(asked) // 2 + 1, len(asked)), control)
    return training + asked


def token(session: Session, rater: str, task: Task) -> str:
    """What a page calls a task: says nothing of its row or of its systems, and cannot be guessed."""
    return sign(session, "task", rater, task.key)[:24]


def sign(session: Session, *words: str) -> str:
    """A text that only who has the session's secret can make, in hex."""
    return hmac.new(bytes.fromhex(session.secret), json.dumps(words).encode(), hashlib.sha256).hexdigest()


def texts(session: Session, task: Task) -> tuple[str, tuple[str, ...], str]:
    """What a task shows: the question, the answers from left to right, and the right answer where it is to be shown."""
    if task.stage == "training":
        item: ToLearn = session.settings.training[task.place]
        return item.question, (item.left, item.right) if isinstance(item, PairToLearn) else (item.answer,), ""
    row: Row = session.rows[task.place]
    reference = row.reference if session.settings.shows_reference else ""
    return row.question, tuple(row.answers[system] for system in task.shown), reference


def read_given(session: Session, rater: str) -> list[Given]:
    """What a rater has given so far; he may be at work.

    Raises:
        DataError: If his file is damaged.
    """
    return read_lines(session.file_of(rater), _parse)


def _shown(session: Session, row: Row, rater: str) -> list[tuple[str, ...]]:
    if session.settings.kind == "rating":
        return [(system,) for system in session.systems]
    turned = derive(session.settings.seed, "sides", rater, row.id) & 1
    return [session.systems[::-1] if turned else session.systems]


def _is_dealt(session: Session, place: int, rater: str) -> bool:
    settings = session.settings
    if settings.overlap is None:
        return True
    # Rows were drawn by chance, so dealing them in turn is by chance too.
    hands = len(settings.dealt_to)
    return (settings.dealt_to.index(rater) - place) % hands < settings.overlap


def _parse(line: bytes, where: str) -> Given:
    try:
        found = json.loads(line)
        return Given(**{**found, "shown": tuple(found["shown"])})
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DataError(
            "This line is no answer that a review wrote",
            where=where,
            hint="Take the line out: what stands there is asked again.",
        ) from None

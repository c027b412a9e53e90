"""Training items: answers whose verdict is known, shown first, and with what is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tunewright.base.errors import DataError, InputError, collect
from tunewright.evaluate.judging.rubrics import Rubric
from tunewright.evaluate.reviewing.material import Kind

Choice = Literal["left", "right", "tie", "both_bad"]
CHOICES: tuple[Choice, ...] = ("left", "right", "tie", "both_bad")


class _Item(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1)
    why: str = ""


class PairToLearn(_Item):
    """Two answers, and which of them is better."""

    left: str
    right: str
    choice: Choice


class RatingToLearn(_Item):
    """An answer, and how it is rated."""

    answer: str
    ratings: dict[str, int]


ToLearn = PairToLearn | RatingToLearn


def read_training(path: Path, kind: Kind, criteria: tuple[Rubric, ...]) -> tuple[ToLearn, ...]:
    """Reads training items: JSONL, an object a line.

    Of a pair `question`, `left`, `right`, `choice` (left, right, tie or both_bad) and `why`; of a rating `question`,
    `answer`, `ratings` (a number for each criterion) and `why`.

    Raises:
        DataError: If the file cannot be read or holds something else; names the lines.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"This file cannot be read ({error})", where=str(path)) from error
    model = PairToLearn if kind == "pairwise" else RatingToLearn
    items: list[ToLearn] = []
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = model.model_validate(json.loads(line))
            _check_ratings(item, criteria)
        except (ValueError, RecursionError, InputError) as error:
            faults.append(f"line {number}: {_said(error)}")
        else:
            items.append(item)
    if faults or not items:
        raise DataError(
            f"These are no training items for a session of kind {kind}\n{collect(faults)}\n" if faults else "No item",
            where=str(path),
            hint=f"Each line is an object with {', '.join(model.model_fields)}.",
        )
    return tuple(items)


def is_right(item: ToLearn, *, choice: str, ratings: dict[str, int]) -> bool:
    """Whether a rater said what is known; a rating may be one point off, for scales are not felt to the point."""
    if isinstance(item, PairToLearn):
        return choice == item.choice
    return all(abs(ratings[name] - known) <= 1 for name, known in item.ratings.items())


def _check_ratings(item: ToLearn, criteria: tuple[Rubric, ...]) -> None:
    if isinstance(item, PairToLearn):
        return
    if set(item.ratings) != {rubric.name for rubric in criteria}:
        raise InputError(f"'ratings' has {', '.join(item.ratings)}, and not {', '.join(r.name for r in criteria)}")
    for rubric in criteria:
        if item.ratings[rubric.name] not in rubric.points:
            raise InputError(f"{rubric.name} {item.ratings[rubric.name]} is not on its scale")


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return str(error)

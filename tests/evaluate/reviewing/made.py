"""Answers and sessions made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.evaluate import Answers
from tunewright.evaluate.judging.rubrics import find_rubric
from tunewright.evaluate.reviewing.material import gather
from tunewright.evaluate.reviewing.rater import Rater
from tunewright.evaluate.reviewing.session import Session, Settings, begin
from tunewright.evaluate.reviewing.training import PairToLearn, RatingToLearn
from tunewright.metrics import Answer

CHAMPION, CHALLENGER = "zebra-champion", "quagga-challenger"  # names that no page has by chance


def answers(system: str, rows: int = 12, *, same: int = 0) -> Answers:
    """An answer to each row that says whose it is in no way; the first `same` rows are answered alike by all."""
    word = {CHAMPION: "sofa", CHALLENGER: "lamp"}.get(system, "door")
    given = tuple(
        Answer(f"row{row}", "right", "alike" if row < same else f"A {word} costs {row}.", question=f"What costs {row}?")
        for row in range(rows)
    )
    return Answers(system, given, seconds=1.0, tokens=rows)


def both(rows: int = 12, *, same: int = 0) -> dict[str, Answers]:
    """Two systems' answers."""
    return {system: answers(system, rows, same=same) for system in (CHAMPION, CHALLENGER)}


PRACTICE = (
    PairToLearn(question="Open?", left="From nine.", right="Hours.", choice="left", why="It answers."),
    PairToLearn(question="Dimmable?", left="Yes!!!", right="Yes: hold it.", choice="right"),
)
RATED = (RatingToLearn(question="Open?", answer="From nine.", ratings={"clarity": 5, "tone": 3}),)


def session(folder: Path, *, rows: int = 12, same: int = 0, count: int = 12, **settings: Any) -> Session:
    """A session of pairs, or of ratings by clarity and tone."""
    told: dict[str, Any] = {"kind": "pairwise", "guidelines": "# How\n\nLook.", "controls": 0, "seed": 5} | settings
    if told["kind"] == "rating":
        told["criteria"] = (find_rubric("clarity"), find_rubric("tone"))
    material = gather(both(rows, same=same), told["kind"], count=count, seed=told["seed"])
    about = {"sources": [{"label": "made", "artifact": "", "run": ""}]}
    return begin(folder / "reviews", material, Settings(**told), about)


def prefer(rater: Rater, system: str) -> None:
    """Answers the task at hand in favour of a system; a training item as it is known."""
    task = rater.next()
    assert task is not None
    if task.stage == "training":
        item = rater.session.settings.training[task.place]
        assert isinstance(item, PairToLearn)
        rater.answer(task.key, choice=item.choice)
    else:
        rater.answer(task.key, choice=("left", "right")[task.shown.index(system)])

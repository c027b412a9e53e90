"""General questions with candidates: the packaged ones and one's own, scored by the candidates' log-probability."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.base import events
from tunewright.base.errors import DataError, collect
from tunewright.data.readers import find_files, read_rows, short_names
from tunewright.data.rows import Fault
from tunewright.evaluate.conduct.packaged import packaged
from tunewright.recipe.schema import Source

if TYPE_CHECKING:
    from tunewright.evaluate.speaker import LocalSpeaker
    from tunewright.metrics._measure import Floats

OWN = "own"
NODE_BUDGET = 2048  # larger pieces are no quicker on a processor (docs/performance.md)


@dataclass(frozen=True, slots=True)
class Task:
    """A question with candidates.

    Args:
        kind: What it is about.
        text: What stands in front of the candidate.
        candidates: What may follow; two or more, all different.
        right: The place of the right one.
        asked: The question, as people read it.
    """

    kind: str
    text: str
    candidates: tuple[str, ...]
    right: int
    asked: str


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model makes of a task.

    Args:
        hit: Whether the right candidate is the most probable one, and no other as probable.
        chosen: The most probable candidate.
    """

    hit: bool
    chosen: str


def packaged_tasks() -> list[Task]:
    """The tasks that come with tunewright."""
    return [_task(kind, row) for kind, rows in packaged("general_tasks").items() for row in rows]


def read_tasks(sources: Sequence[Source]) -> list[Task]:
    """One's own tasks: rows with `question` (or `beginning`, to be gone on with), `candidates` and `answer`.

    Candidates are a list, or, in tables, a list as JSON.

    Raises:
        DataError: If a row cannot be used; names each, up to twenty.
    """
    names = short_names([file for source in sources for file in find_files(source)])
    tasks, faults = [], []
    for source in sources:
        for row in read_rows(source, names):
            if isinstance(row, Fault):
                faults.append(str(row))
                continue
            try:
                tasks.append(_task(OWN, row.values))
            except ValueError as error:
                faults.append(f"{row.file}:{row.line}: {error}")
    if faults:
        raise DataError(
            f"{len(faults)} tasks cannot be used\n{collect(faults)}\n",
            where="evaluate.probes.forgetting.tasks",
            hint='A task reads {"question": "…", "candidates": ["…", "…"], "answer": "…"}.',
        )
    return tasks


def _task(kind: str, row: Mapping[str, Any]) -> Task:
    """Reads a row; raises a ValueError that says what is wrong with it."""
    question, beginning = _text(row, "question"), _text(row, "beginning")
    if bool(question) == bool(beginning):
        raise ValueError("needs either 'question' or 'beginning'")
    candidates = row.get("candidates")
    if isinstance(candidates, str):
        try:
            candidates = json.loads(candidates)
        except json.JSONDecodeError:
            raise ValueError("'candidates' is no list") from None
    if not isinstance(candidates, list | tuple) or len(candidates) < 2:
        raise ValueError("'candidates' needs a list of two or more")
    told = tuple(str(candidate).strip() for candidate in candidates)
    if len(set(told)) < len(told) or not all(told):
        raise ValueError("'candidates' has empty or equal ones")
    answer = _text(row, "answer")
    if answer not in told:
        raise ValueError(f"'answer' ({answer!r}) is none of the candidates")
    text = beginning or f"Question: {question}\nAnswer:"
    return Task(kind, text, told, told.index(answer), question or f"{beginning} …")


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def score_tasks(
    speaker: LocalSpeaker, tasks: Sequence[Task], listener: events.Listener = events.ignore
) -> list[Scored]:
    """Scores all candidates of all tasks as one forest: each question is read once.

    A candidate's score is its summed log-probability behind the text and a space, without a chat template.
    """
    from tunewright.generate.candidates import score_each

    plain = speaker.base.chat.plain
    prompts = [[plain.prefix, *plain.tokens(task.text)] for task in tasks]
    behind = [[plain.tokens(f" {candidate}") for candidate in task.candidates] for task in tasks]
    with speaker.model() as model:
        found = score_each(model, prompts, behind, node_budget=NODE_BUDGET, listener=listener)
    return [_choice(task, each.logp) for task, each in zip(tasks, found, strict=True)]


def _choice(task: Task, logp: Floats) -> Scored:
    others = np.delete(logp, task.right)
    return Scored(bool(logp[task.right] > others.max()), task.candidates[int(logp.argmax())])

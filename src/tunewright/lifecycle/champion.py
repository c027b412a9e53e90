"""The champion: the newest release of a recipe's name, held against what was trained now on the same held-out rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import RecipeError, TunewrightError
from tunewright.base.events import Listener, Message, Stage
from tunewright.data.example import Example
from tunewright.data.example import Message as Turn
from tunewright.lifecycle.answering import TUNED, test_rows
from tunewright.lifecycle.job import Job, within
from tunewright.recipe import Recipe
from tunewright.recipe.gate import CHAMPION, VERSUS
from tunewright.store import Release, Workspace

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.evaluate import Answers
    from tunewright.lifecycle.talk import Specialist
    from tunewright.metrics import Answer


def asks_champion(recipe: Recipe) -> bool:
    """Whether the gate compares with the newest release."""
    return f"{VERSUS}{CHAMPION}" in recipe.gate


def champion_of(workspace: Workspace, name: str, adapter: str) -> Release | None:
    """The newest release of a name that has another adapter than this one; None: there is none yet."""
    return next((release for release in workspace.releases(name) if release.adapter != adapter), None)


def champion_answers(job: Job, dataset: Dataset, adapter: str) -> dict[str, Answers]:
    """The champion's answers to the held-out rows, under the system's name; empty where nobody asks, or none is there.

    What it answered when it was measured itself is taken where those were the same rows; else it answers these.
    """
    from tunewright.evaluate import load_answers, store_answers

    champion = champion_of(job.workspace, job.recipe.name, adapter) if asks_champion(job.recipe) else None
    if champion is None:
        return {}
    folder = job.run.folder / "answers" / CHAMPION
    if not folder.exists():
        name = f"answer {CHAMPION}"
        rows = test_rows(job.recipe, dataset)
        job.tell(Stage(name, "started", 0, len(rows), "answers"))
        given = _stored(job.workspace, champion, rows)
        if given is None:
            job.tell(Message(f"{champion.label} was measured on other rows, and answers these now."))
            given = _ask(job, champion, rows)
        else:
            job.tell(Message(f"{champion.label} answered these rows when it was measured; that is taken."))
        store_answers({CHAMPION: given}, folder)
        job.tell(Stage(name, "finished", len(rows), len(rows), "answers"))
    return load_answers(folder)


def check_champion(job: Job, dataset: Dataset) -> None:
    """Refuses a comparison with the champion where there can be none.

    Raises:
        RecipeError: If the model reads documents, or the champion does not know all classes of the held-out rows.
    """
    if not asks_champion(job.recipe):
        return
    if dataset.answer_kind == "document":
        raise RecipeError(
            "Releases that read documents cannot be held against each other yet",
            where=f"gate.{VERSUS}{CHAMPION}",
            hint=f"Take it out, and use {VERSUS}base, or a bar for bits_per_byte.",
        )
    if champion := champion_of(job.workspace, job.recipe.name, adapter=""):
        _check_classes(champion, test_rows(job.recipe, dataset))


def _check_classes(champion: Release, rows: Sequence[Example]) -> None:
    """Refuses rows of classes that a champion with a head of classes was never taught."""
    if not champion.template.get("classes"):
        return
    known = set(champion.template["classes"])
    answers = dict.fromkeys(row.answer.strip() for row in rows)
    new = [answer for answer in answers if answer not in known and not set(answer.split()) <= known]
    if new:
        raise RecipeError(
            f"{champion.label} does not know the classes of all held-out rows, such as '{new[0]}'",
            where=f"gate.{VERSUS}{CHAMPION}",
            hint="It cannot be held against a model of other classes: take it out.",
        )


def _stored(workspace: Workspace, champion: Release, rows: Sequence[Example]) -> Answers | None:
    """What the champion answered to these rows when it was measured; None where it was asked others."""
    from tunewright.evaluate import load_answers

    record = workspace.find_run(champion.run).manifest.get("stages", {}).get("evaluate", {})
    try:
        given = load_answers(workspace.artifact(record["answers"], "answers").path)[TUNED]
    except (KeyError, TunewrightError):  # its run is gone, or its answers are: it can still be asked
        return None
    by_id = {answer.id: answer for answer in given.answers}
    if any(row.id not in by_id or by_id[row.id].reference != row.answer for row in rows):
        return None
    chosen = tuple(by_id[row.id] for row in rows)
    if any(_asked_otherwise(answer, row) for answer, row in zip(chosen, rows, strict=True)):
        return None
    return replace(given, system=CHAMPION, answers=chosen, seconds=given.seconds * len(chosen) / len(by_id))


def _asked_otherwise(answer: Answer, row: Example) -> bool:
    question = next((turn.content for turn in reversed(row.prompt) if turn.role == "user"), "")
    return bool(answer.question) and answer.question != question


def _ask(job: Job, champion: Release, rows: Sequence[Example]) -> Answers:
    from tunewright.evaluate import answer_examples
    from tunewright.lifecycle.talk import load_release

    specialist = load_release(champion.label, workspace=job.workspace, listener=job.tell)
    listener = within(job.tell, {"generate": f"answer {CHAMPION}"})
    if named := _name_classes(specialist, rows, listener):
        return named
    if _templates_differ(champion, job.recipe):
        job.tell(
            Message(
                f"{champion.label} was trained with another prompt template. It is asked as this recipe prepares the "
                "rows, with the system message of its own.",
                "warning",
            )
        )
    return answer_examples(
        specialist.model,
        specialist.base,
        [_with_system(row, champion.template) for row in rows],
        max_new_tokens=int(champion.template["max_new_tokens"]),
        batch_size=job.recipe.evaluate.batch_size,
        system=CHAMPION,
        listener=listener,
    )


def _name_classes(specialist: Specialist, rows: Sequence[Example], listener: Listener) -> Answers | None:
    """The answers of a champion with a head of classes; None where it has none."""
    from tunewright.evaluate import answer_classes
    from tunewright.models.class_format import ClassFormat

    format = specialist.chat
    if not isinstance(format, ClassFormat):
        return None
    _check_classes(specialist.release, rows)
    limit = specialist.base.files.context_length
    return answer_classes(specialist.model, format, rows, limit=limit, system=CHAMPION, listener=listener)


def _templates_differ(champion: Release, recipe: Recipe) -> bool:
    ours = recipe.data.template.model_dump(mode="json") if recipe.data.template else None
    theirs: Any = champion.template["template"]
    return (ours or {}).get("user") != (theirs or {}).get("user")


def _with_system(row: Example, template: Mapping[str, Any]) -> Example:
    """A row under the champion's own system message, where that is the same for all rows."""
    own = (template["template"] or {}).get("system") or template["system"]
    if "{" in own:
        return row
    rest = tuple(turn for turn in row.messages if turn.role not in ("system", "developer"))
    told = (Turn("system", own, weight=0.0),) if own.strip() else ()
    return replace(row, messages=(*told, *rest))

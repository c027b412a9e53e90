"""Which systems answer the held-out rows, and their answers; what an interrupted evaluation has is used again."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError
from tunewright.base.events import Listener, Message, Stage, ignore
from tunewright.base.seeds import derive
from tunewright.lifecycle.candidates import candidates_of
from tunewright.lifecycle.job import Job, within
from tunewright.lifecycle.rewarding import rewarded
from tunewright.models.families import head_of
from tunewright.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.data.example import Example
    from tunewright.evaluate import Answers
    from tunewright.models.base import Base

BASE, FEW_SHOT, TUNED, BAG_OF_WORDS = "base", "base_few_shot", "tuned", "bag_of_words"
# Kinds of answers that a classifier can give.
CLASSIFIED = ("label", "tags", "json")


def systems(recipe: Recipe, answer_kind: str) -> tuple[str, ...]:
    """Who answers, in order: the base before the tuned model, whose adapter is put on the same weights.

    A classifier gives no free text, and neither documents nor questions without answers make worked examples, so they
    are left out there unless the recipe names them (which is then refused). A base whose head of classes is yet to be
    trained cannot answer at all.
    """
    asked: tuple[str, ...] = recipe.evaluate.systems
    if head_of(recipe.train.objective):
        asked = tuple(system for system in asked if system not in (BASE, FEW_SHOT))
    if answer_kind in ("document", "prompt") and "systems" not in recipe.evaluate.model_fields_set:
        asked = (BASE,)
    if answer_kind not in CLASSIFIED and "systems" not in recipe.evaluate.model_fields_set:
        asked = tuple(system for system in asked if system != BAG_OF_WORDS)
    return tuple(system for system in (BASE, FEW_SHOT, TUNED, BAG_OF_WORDS) if system in (*asked, TUNED))


def rendering(template: Mapping[str, Any] | None, format: str) -> dict[str, Any]:
    """What makes messages of rows, for the hash that every score carries.

    Args:
        template: The recipe's; None where the format says how.
        format: What a row looks like, as a dataset has it.
    """
    return {"template": dict(template) if template else None, "format": format}


def test_rows(recipe: Recipe, dataset: Dataset) -> list[Example]:
    """The held-out rows that are measured: all, or as many as `evaluate.limit` says, drawn with the seed."""
    rows = dataset.examples("test")
    limit = recipe.evaluate.limit
    if limit is None or limit >= len(rows):
        return list(rows)
    drawn = random.Random(derive(recipe.seed, "limit")).sample(range(len(rows)), limit)
    return [rows[row] for row in sorted(drawn)]


def test_documents(recipe: Recipe, dataset: Dataset) -> frozenset[str]:
    """The held-out documents that are measured, by id: all, or as many as `evaluate.limit` says."""
    documents = list(dict.fromkeys(section.document for section in dataset.sections("test")))
    limit = recipe.evaluate.limit
    if limit is None or limit >= len(documents):
        return frozenset(documents)
    return frozenset(random.Random(derive(recipe.seed, "limit")).sample(documents, limit))


def answer_all(job: Job, dataset: Dataset, adapter: Path, *, challenger: bool = False) -> dict[str, Answers]:
    """Each system's answers to the held-out rows, by the system's name; or to the challenger rows."""
    from tunewright.evaluate import load_answers, store_answers

    documents = dataset.answer_kind == "document"
    rows = _challengers(dataset) if challenger else [] if documents else test_rows(job.recipe, dataset)
    total = len(test_documents(job.recipe, dataset)) if documents else len(rows)
    asked = systems(job.recipe, dataset.answer_kind)
    if skipped := [system for system in job.recipe.evaluate.systems if system not in asked]:
        job.tell(Message(f"Not measured: {', '.join(skipped)}. {_why_skipped(job.recipe, dataset.answer_kind)}"))
    base: Base | None = None
    answers: dict[str, Answers] = {}
    for place, system in enumerate(asked):
        job.tell(Stage("evaluate", "progress", place, len(asked), "systems"))
        name = f"challenge {system}" if challenger else f"answer {system}"
        folder = job.run.folder / "answers" / (name if challenger else system)
        if not folder.exists():
            unit = "documents" if documents else "answers"
            job.tell(Stage(name, "started", 0, total, unit))
            if documents:
                base = base or job.load_base()
                given = _read(job, base, system, dataset, adapter)
            elif system == BAG_OF_WORDS:
                given = _classify(job, dataset, rows)
            else:
                base = base or job.load_base()
                given = _ask(job, base, system, rows, dataset, adapter)
            store_answers({system: rewarded(job, dataset, given)}, folder)
            job.tell(Stage(name, "finished", total, total, unit))
        answers |= load_answers(folder)
    job.tell(Stage("evaluate", "progress", len(asked), len(asked), "systems"))
    return answers


def _challengers(dataset: Dataset) -> list[Example]:
    from tunewright.data.dataset import CHALLENGER

    return dataset.examples(CHALLENGER)


def _why_skipped(recipe: Recipe, answer_kind: str) -> str:
    if head_of(recipe.train.objective):
        return "Before it is trained, a head of classes answers at random."
    if recipe.learns_documents:
        return "Documents are read, and ask nothing."
    if answer_kind == "prompt":
        return "Questions without answers make no worked examples."
    return "A classifier cannot give free text."


def _ask(job: Job, base: Base, system: str, rows: list[Example], dataset: Dataset, adapter: Path) -> Answers:
    from tunewright.evaluate import answer_examples, answer_with_candidates, choose_shots
    from tunewright.models.adapters import load_adapter

    asked = job.recipe.evaluate
    if head_of(job.recipe.train.objective):
        listener = within(job.tell, {"generate": f"answer {system}"})
        model = load_adapter(base, adapter)
        return answer_with_head(job, model, rows, system=system, rendering=_rendering(dataset), listener=listener)
    shots = choose_shots(dataset.examples("train"), asked.shots, job.recipe.seed) if system == FEW_SHOT else []
    if candidates := candidates_of(job.recipe, dataset):
        return answer_with_candidates(
            load_adapter(base, adapter) if system == TUNED else base.model,
            base,
            rows,
            candidates,
            system=system,
            shots=shots,
            rendering=_rendering(dataset),
            listener=within(job.tell, {"choose": f"answer {system}"}),
        )
    return answer_examples(
        load_adapter(base, adapter) if system == TUNED else base.model,
        base,
        rows,
        max_new_tokens=asked.max_new_tokens,
        batch_size=asked.batch_size,
        system=system,
        shots=shots,
        sampling=asked.sampling.seeded(job.recipe.seed),
        samples=asked.samples,
        rendering=_rendering(dataset),
        listener=within(job.tell, {"generate": f"answer {system}"}),
    )


def _rendering(dataset: Dataset) -> dict[str, Any]:
    return rendering(dataset.manifest["template"], dataset.manifest["format"])


def answer_with_head(
    job: Job,
    model: Any,
    rows: Sequence[Example],
    *,
    system: str,
    rendering: Mapping[str, Any] | None = None,
    listener: Listener = ignore,
) -> Answers:
    """The answers of a model with a head of classes; rows longer than the base reads are cut, and counted as cut."""
    from tunewright.evaluate import answer_classes
    from tunewright.models.class_format import ClassFormat

    format = job.chat()
    assert isinstance(format, ClassFormat)
    limit = job.base_files().context_length
    return answer_classes(model, format, rows, limit=limit, system=system, rendering=rendering, listener=listener)


def _read(job: Job, base: Base, system: str, dataset: Dataset, adapter: Path) -> Answers:
    """How well a system predicts the held-out documents."""
    from tunewright.evaluate import score_documents
    from tunewright.models.adapters import load_adapter

    wanted = test_documents(job.recipe, dataset)
    return score_documents(
        load_adapter(base, adapter) if system == TUNED else base.model,
        base,
        (section for section in dataset.sections("test") if section.document in wanted),
        max_length=job.recipe.data.max_length,
        node_budget=job.recipe.train.piece_nodes,
        system=system,
        listener=within(job.tell, {"score documents": f"answer {system}"}),
    )


def _classify(job: Job, dataset: Dataset, rows: list[Example]) -> Answers:
    from tunewright.evaluate import bag_of_words

    kind = dataset.answer_kind
    if kind != "label" and kind != "tags" and kind != "json":
        raise InputError("A bag-of-words classifier cannot give free text", where="evaluate.systems")
    return bag_of_words(
        dataset.examples("train"),
        rows,
        answer_kind=kind,
        seed=job.recipe.seed,
        listener=within(job.tell, {BAG_OF_WORDS: f"answer {BAG_OF_WORDS}"}),
    )

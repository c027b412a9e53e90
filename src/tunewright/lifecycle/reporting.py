"""The last stage: the run's facts gathered, and its report stored as one HTML page."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import WorkspaceError
from tunewright.base.files import read_json, write_text
from tunewright.base.seeds import derive
from tunewright.lifecycle import beginning
from tunewright.lifecycle.answering import BASE, TUNED, test_rows
from tunewright.lifecycle.continuing import origin_of
from tunewright.lifecycle.job import Job
from tunewright.lifecycle.measuring import Measured, evaluate
from tunewright.lifecycle.preparing import preflight, prepare
from tunewright.lifecycle.quantising import gap_of
from tunewright.lifecycle.release import Released, recipe_yaml, release
from tunewright.lifecycle.report import ReportFacts, render_report
from tunewright.lifecycle.rewarding import REWARD
from tunewright.lifecycle.training import train
from tunewright.store import Lineage, Stored

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.metrics import Answer

PAGE, FACTS = "report.html", "facts.json"
_SHOWN_ANSWERS = 10
_LOSSES = {"train_curve": "train", "validation_curve": "validation"}
_STAGES = ("prepare", "preflight", "train", "evaluate", "release")


@dataclass(frozen=True)
class Report:
    """A run's report.

    Args:
        stored: Its artifact.
        path: The page: self-contained, opens in any browser.
    """

    stored: Stored
    path: Path


def report(job: Job) -> Report:
    """Writes the run's report: the report artifact."""

    def work() -> tuple[Report, dict[str, Any]]:
        released = release(job)
        facts = gather(job)
        stored = job.put(
            "report",
            lambda folder: write_pages(folder, facts),
            manifest={"name": job.recipe.name, "release": released.label},
            parents=[(released.stored or evaluate(job).answers).hash],
        )
        return Report(stored, stored.path / PAGE), {"report": stored.hash}

    def load(record: Mapping[str, Any]) -> Report:
        stored = job.workspace.artifact(record["report"], "report")
        return Report(stored, stored.path / PAGE)

    return job.stage("report", work, load)


def write_pages(folder: Path, facts: ReportFacts) -> None:
    """Writes the page, and what it is made of beside it, so that what is found out later can be put in."""
    write_text(folder / PAGE, render_report(facts))
    # Not sorted: the page shows systems, steps and counts in the order that they have here.
    write_text(folder / FACTS, json.dumps(asdict(facts), indent=1))


def read_facts(folder: Path) -> ReportFacts:
    """What the page in a report's folder is made of.

    Raises:
        WorkspaceError: If it is not there: reports of before this was kept have none.
    """
    path = folder / FACTS
    if not path.is_file():
        raise WorkspaceError(
            "This report was written before its facts were kept beside it, and cannot be written anew",
            where=str(folder),
            hint="Run its recipe again; the findings are with the run all the same.",
        )
    return ReportFacts(**read_json(path))


def gather(job: Job) -> ReportFacts:
    """What the report is made of, from the finished stages."""
    dataset, adapter, measured, released = prepare(job), train(job), evaluate(job), release(job)
    records = {name: job.record(name) for name in _STAGES}
    return ReportFacts(
        name=job.recipe.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        goal=job.recipe.goal,
        release=released.label,
        run=job.run.id,
        gate=measured.gate,
        despite=released.despite,
        recipe_yaml=recipe_yaml(job),
        success=measured.verdicts,
        dataset=dataset.manifest,
        preflight=preflight(job).as_json(),
        **_curves(adapter.curves),
        learning_rates=[(row[0], row[2]) for row in adapter.curves.get("train", [])],
        best_step=adapter.curves.get("best_step"),
        training=_training_words(job, adapter.curves),
        diagnosis=adapter.curves.get("diagnosis", ""),
        evaluation=measured.evaluation,
        examples=_pairs(job, dataset, measured),
        timings=[(name, record["seconds"]) for name, record in records.items() if "seconds" in record],
        peak_memory_bytes=max(record.get("peak_memory_bytes", 0) for record in records.values()),
        environment=job.environment(),
        lineage=_lineage(_tree(job, measured, released), job, dataset, released.label),
    )


def _tree(job: Job, measured: Measured, released: Released) -> Lineage:
    """What the newest artifact was made of: the release, or the answers where there is none."""
    newest, kind = (released.stored, "release") if released.stored else (measured.answers, "answers")
    return job.workspace.lineage(newest.hash, kind)


def _curves(curves: Mapping[str, Any]) -> dict[str, Any]:
    """What training went by, step by step: the loss, or the mean reward where answers were drawn."""
    if rewards := curves.get("rewards"):
        held_out = [(step, scores[REWARD]) for step, scores in curves.get("scores", []) if REWARD in scores]
        return {"train_curve": rewards, "validation_curve": held_out, "curves_are_rewards": True}
    return {name: [(row[0], row[1]) for row in curves.get(of, [])] for name, of in _LOSSES.items()}


def _training_words(job: Job, curves: Mapping[str, Any]) -> dict[str, Any]:
    recipe, files = job.recipe, job.base_files()
    method = recipe.method.model_dump(mode="json")
    settings = ", ".join(f"{key} {value}" for key, value in method.items() if key != "name" and value is not None)
    reason = job.run.manifest.get("method", {}).get("reason")  # of `method: auto`
    gap, origin = gap_of(job), origin_of(job.run)
    steps = f"{len(curves.get('train', [])):,} of {curves.get('steps', 0):,}"
    return {
        "Base model": f"{files.name} ({files.source})",
        "Method": f"{method['name']}: {settings}" if settings else method["name"],
        **({"Why this method": reason} if reason else {}),
        **({"The base, quantised": str(gap)} if gap else {}),
        "Trained weights": f"{curves['trainable']:,}" if curves.get("trainable") else "not recorded",
        **({"Begun from": start} if (start := beginning.told(job.run)) else {}),
        **({"Begun at": str(origin)} if origin else {}),
        "Steps": f"{steps} (stopped early)" if curves.get("stopped_early") else steps,
        "Examples in a step": recipe.train.batch_size,
        "Peak learning rate": recipe.learning_rate,
    }


def _pairs(job: Job, dataset: Dataset, measured: Measured) -> list[dict[str, Any]]:
    """Answers before and after, drawn with the seed, and of every outcome as evenly as there are such."""
    from tunewright.evaluate import load_answers

    answers = load_answers(measured.answers.path)
    if BASE not in answers or dataset.answer_kind == "document":
        return []
    right = {system: _right(dataset.answer_kind, answers[system].answers) for system in (BASE, TUNED)}
    before, after = ({answer.id: answer for answer in answers[system].answers} for system in (BASE, TUNED))
    rows = test_rows(job.recipe, dataset)
    random.Random(derive(job.recipe.seed, "report")).shuffle(rows)
    outcomes: dict[tuple[bool, bool], list[Any]] = {}
    for row in rows:
        outcomes.setdefault((row.id in right[BASE], row.id in right[TUNED]), []).append(row)
    chosen = _in_turn([outcomes[key] for key in sorted(outcomes)], _SHOWN_ANSWERS)
    return [
        {
            "prompt": next((m.content for m in reversed(row.prompt) if m.role == "user"), ""),
            "reference": row.answer,
            "before": before[row.id].prediction,
            "after": after[row.id].prediction,
            "before_ok": row.id in right[BASE],
            "after_ok": row.id in right[TUNED],
        }
        for row in chosen
    ]


def _in_turn(groups: Sequence[list[Any]], count: int) -> list[Any]:
    """One of each group in turn, until there are enough or none are left."""
    turns = (group[place] for place in range(count) for group in groups if place < len(group))
    return [row for row, _ in zip(turns, range(count), strict=False)]


def _right(answer_kind: str, answers: Sequence[Answer]) -> set[str]:
    """Ids of the answers that the main metric counts as right."""
    from tunewright.base.plugins import METRICS
    from tunewright.evaluate.evaluate import MAIN_METRIC

    name = MAIN_METRIC[answer_kind]
    measures = METRICS.call(name, "measure", METRICS.config(name)(), answers)
    values = next(measure.values for measure in measures if measure.name == name)
    return {answer.id for answer, value in zip(answers, values, strict=True) if value == 1}


def _lineage(tree: Lineage, job: Job, dataset: Dataset, label: str) -> list[tuple[str, str]]:
    """The way from the source rows to the release, in order."""
    made: dict[str, str] = {}

    def walk(node: Lineage) -> None:
        for parent in node.parents:
            walk(parent)
        made.setdefault(node.kind, node.hash)

    walk(tree)
    return [
        *((f"source {source['path']}", source["sha256"]) for source in dataset.manifest["sources"]),
        ("dataset", made["dataset"]),
        ("base model", job.environment()["base_hash"]),
        ("run", job.run.id),
        *((kind, made[kind]) for kind in ("adapter", "answers")),
        *([("release", label)] if label else []),
    ]

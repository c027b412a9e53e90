"""The stage that measures: every system answers the held-out rows, and the answers become numbers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tunewright.base.files import write_json
from tunewright.base.quiet import quiet
from tunewright.lifecycle.challenging import challenge, store_both
from tunewright.lifecycle.champion import champion_answers
from tunewright.lifecycle.gating import rule
from tunewright.lifecycle.job import Job
from tunewright.lifecycle.preparing import prepare
from tunewright.lifecycle.rewarding import metrics_of
from tunewright.lifecycle.slicing import slicing_of
from tunewright.lifecycle.training import train

if TYPE_CHECKING:
    from tunewright.store import Stored


@dataclass(frozen=True)
class Measured:
    """What the evaluation found.

    Args:
        answers: The artifact with every system's answers.
        evaluation: `evaluate.Evaluation.as_json()`.
        verdicts: For each condition of success `metric`, `condition`, `value`, `passed`.
        gate: For each bar of the gate `what`, `bar`, `value`, `passed`, `by`, `note`.
    """

    answers: Stored
    evaluation: dict[str, Any]
    verdicts: list[dict[str, Any]]
    gate: list[dict[str, Any]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every condition of success and every bar of the gate is met; true where the recipe states none."""
        return self.released and all(verdict["passed"] for verdict in self.verdicts)

    @property
    def released(self) -> bool:
        """Whether every bar of the gate is met, so that it may be released."""
        return all(ruling["passed"] for ruling in self.gate)


def evaluate(job: Job) -> Measured:
    """Lets every system answer the held-out rows and measures the answers: the answers artifact."""
    from tunewright.evaluate import check_success
    from tunewright.evaluate import evaluate as measure
    from tunewright.lifecycle.answering import answer_all
    from tunewright.lifecycle.parity import parity_of_run
    from tunewright.lifecycle.probing import probe_all
    from tunewright.metrics import place

    def work() -> tuple[Measured, dict[str, Any]]:
        adapter, dataset = train(job), prepare(job)
        with quiet():
            answers = answer_all(job, dataset, adapter.stored.path)
            answers |= champion_answers(job, dataset, adapter.stored.hash)
        asked = job.recipe.evaluate
        evaluation = measure(
            answers,
            answer_kind=dataset.answer_kind,
            seed=job.recipe.seed,
            metrics=place(metrics_of(job.recipe, dataset.answer_kind), job.workspace.cache),
            samples=asked.bootstrap_samples,
            leaked=dataset.leaked,
            clusters=asked.clusters,
            slicing=slicing_of(job, dataset),
        )
        challenged, apart = challenge(job, dataset, adapter.stored.path)
        evaluation = replace(evaluation, challenger=apart)
        with quiet():
            found = probe_all(job, dataset, answers, adapter.stored.path)
            parity = parity_of_run(job, dataset, adapter.stored.path)
        evaluation = replace(evaluation, findings=(*found, *([parity.finding()] if parity else [])))
        verdicts = [
            {"metric": v.metric, "condition": v.condition, "value": v.value, "passed": v.passed}
            for v in check_success(job.recipe.success, evaluation)
        ] + (parity.verdicts() if parity else [])
        gate = rule(job, evaluation, adapter.stored.hash)
        scores = evaluation.as_json()
        write_json(job.run.folder / "evaluation.json", scores)
        stored = job.put(
            "answers",
            lambda folder: store_both(answers, challenged, folder),
            manifest={"n": evaluation.n, "answer_kind": evaluation.answer_kind, "systems": list(answers)},
            parents=[adapter.stored.hash, dataset.hash],
        )
        shutil.rmtree(job.run.folder / "answers", ignore_errors=True)
        record = {"answers": stored.hash, "evaluation": scores, "verdicts": verdicts, "gate": gate}
        return Measured(stored, scores, verdicts, gate), record

    def load(record: Mapping[str, Any]) -> Measured:
        stored = job.workspace.artifact(record["answers"], "answers")
        return Measured(stored, record["evaluation"], record["verdicts"], record.get("gate", []))

    return job.stage("evaluate", work, load)

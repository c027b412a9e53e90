"""The stages of a run, each callable alone: a stage does those before it first, unless they are done already."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.files import read_json, write_json
from tunewright.base.quiet import quiet
from tunewright.lifecycle.job import Job, within

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.data.preflight import Preflight
    from tunewright.data.tokens import TokenTable
    from tunewright.store import Stored

_CURVES = "training.json"


@dataclass(frozen=True)
class Adapter:
    """What training made.

    Args:
        stored: The adapter's artifact.
        curves: `train`: step, loss, learning rate, gradient norm; `validation`: step, loss; `best_step`, `steps`,
            `stopped_early`, `trainable` (number of trained weights).
    """

    stored: Stored
    curves: dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """What the evaluation found.

    Args:
        answers: The artifact with every system's answers.
        evaluation: `evaluate.Evaluation.as_json()`.
        verdicts: For each condition of success `metric`, `condition`, `value`, `passed`.
    """

    answers: Stored
    evaluation: dict[str, Any]
    verdicts: list[dict[str, Any]]

    @property
    def passed(self) -> bool:
        """Whether every condition of success is met; true where the recipe states none."""
        return all(verdict["passed"] for verdict in self.verdicts)


def prepare(job: Job) -> Dataset:
    """Reads, cleans and splits the records: the dataset artifact."""
    from tunewright.data.dataset import Dataset
    from tunewright.data.prepare import prepare

    def work() -> tuple[Dataset, dict[str, Any]]:
        listener = within(job.tell, {"data": "prepare", "read": "prepare"}, own="prepare")
        with quiet():
            dataset = prepare(job.recipe, job.workspace, listener=listener, producer=job.run.id)
        return dataset, {"dataset": dataset.hash}

    return job.stage("prepare", work, lambda record: Dataset.open(job.workspace.artifact(record["dataset"], "dataset")))


def preflight(job: Job) -> Preflight:
    """Looks before training: lengths, what is learned, what would fail hours later. Stops where the data are no good.

    Raises:
        DataError: If too many rows are unusable.
        OutOfMemoryError: If base and adapter cannot fit in this machine's memory.
        RecipeError: If `success` or `evaluate` ask for what will not be measured.
    """
    from tunewright.data.preflight import Preflight
    from tunewright.data.preflight import preflight as look
    from tunewright.lifecycle.foresight import check_evaluation, check_fits

    dataset = prepare(job)

    def work() -> tuple[Preflight, dict[str, Any]]:
        with quiet():
            check_evaluation(job.recipe, dataset)
            check_fits(job)
            found = look(dataset, token_tables(job), job.recipe)
        return found, {"preflight": found.as_json()}

    return job.stage("preflight", work, lambda record: Preflight.from_json(record["preflight"]))


def train(job: Job) -> Adapter:
    """Trains the adapter, from the run's last checkpoint where there is one: the adapter artifact."""
    from tunewright.train import train

    def work() -> tuple[Adapter, dict[str, Any]]:
        preflight(job)
        dataset = prepare(job)
        with quiet():
            base = job.load_base()
            listener = within(job.tell, {}, own="train")
            trained = train(base, token_tables(job), job.recipe, folder=job.run.folder, resume=True, listener=listener)
        curves = {
            "train": trained.progress.train,
            "validation": trained.progress.validation,
            "best_step": trained.progress.best_step or trained.progress.step,
            "steps": trained.steps,
            "stopped_early": trained.stopped_early,
            "trainable": trained.trainable,
        }
        write_json(job.run.folder / _CURVES, curves)
        manifest = {
            "base": base.files.name,
            "base_hash": base.files.weights_hash,
            "method": job.recipe.method.model_dump(mode="json"),
            "dtype": job.environment()["dtype"],
            "best_step": curves["best_step"],
            "steps": trained.steps,
        }
        stored = job.put("adapter", _copy_of(trained.adapter), manifest=manifest, parents=[dataset.hash])
        # The artifact is whole on disk: what was only there to resume from may go.
        shutil.rmtree(job.run.folder / "checkpoints", ignore_errors=True)
        return Adapter(stored, curves), {"adapter": stored.hash}

    def load(record: Mapping[str, Any]) -> Adapter:
        curves = job.run.folder / _CURVES
        stored = job.workspace.artifact(record["adapter"], "adapter")
        return Adapter(stored, read_json(curves) if curves.exists() else {})

    return job.stage("train", work, load)


def evaluate(job: Job) -> Measured:
    """Lets every system answer the held-out rows and measures the answers: the answers artifact."""
    from tunewright.evaluate import check_success, store_answers
    from tunewright.evaluate import evaluate as measure
    from tunewright.lifecycle.answering import answer_all

    def work() -> tuple[Measured, dict[str, Any]]:
        adapter, dataset = train(job), prepare(job)
        with quiet():
            answers = answer_all(job, dataset, adapter.stored.path)
        asked = job.recipe.evaluate
        evaluation = measure(
            answers,
            answer_kind=dataset.answer_kind,
            seed=job.recipe.seed,
            metrics=asked.metrics,
            samples=asked.bootstrap_samples,
            leaked=dataset.leaked,
        )
        verdicts = [
            {"metric": v.metric, "condition": v.condition, "value": v.value, "passed": v.passed}
            for v in check_success(job.recipe.success, evaluation)
        ]
        scores = evaluation.as_json()
        write_json(job.run.folder / "evaluation.json", scores)
        stored = job.put(
            "answers",
            lambda folder: store_answers(answers, folder),
            manifest={"n": evaluation.n, "answer_kind": evaluation.answer_kind, "systems": list(answers)},
            parents=[adapter.stored.hash, dataset.hash],
        )
        shutil.rmtree(job.run.folder / "answers", ignore_errors=True)
        record = {"answers": stored.hash, "evaluation": scores, "verdicts": verdicts}
        return Measured(stored, scores, verdicts), record

    def load(record: Mapping[str, Any]) -> Measured:
        stored = job.workspace.artifact(record["answers"], "answers")
        return Measured(stored, record["evaluation"], record["verdicts"])

    return job.stage("evaluate", work, load)


def token_tables(job: Job) -> dict[str, TokenTable]:
    """The tokens of the training and validation rows, from the cache where they are there."""
    from tunewright.data.dataset import PARTS
    from tunewright.data.tokens import tokenize
    from tunewright.models.base import load_tokenizer
    from tunewright.models.chat import ChatFormat

    if "tables" not in job.results:
        dataset, data = prepare(job), job.recipe.data
        chat = ChatFormat(load_tokenizer(job.base_files()))
        job.results["tables"] = {
            split: tokenize(
                dataset.examples(split),
                chat,
                key=f"{dataset.hash}/{split}",
                cache=job.workspace.cache,
                max_length=data.max_length,
                too_long=data.too_long,
                listener=within(job.tell, {"tokenise": f"tokenise {split}"}),
            )
            for split in PARTS
        }
    tables: dict[str, TokenTable] = job.results["tables"]
    return tables


def _copy_of(folder: Path) -> Any:
    return lambda into: shutil.copytree(folder, into, dirs_exist_ok=True)

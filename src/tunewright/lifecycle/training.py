"""The stage that trains: dataset in, adapter out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.events import Message
from tunewright.base.files import read_json, write_json
from tunewright.base.quiet import quiet
from tunewright.lifecycle import beginning
from tunewright.lifecycle.answering import answer_with_head
from tunewright.lifecycle.choosing import settle_memory, settle_method
from tunewright.lifecycle.continuing import begin, origin_of
from tunewright.lifecycle.job import Job, within
from tunewright.lifecycle.preparing import preflight, prepare, token_tables
from tunewright.lifecycle.quantising import Gap, quantisation_gap
from tunewright.lifecycle.rewarding import REWARD, rewarding
from tunewright.models.families import head_of

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.models.base import Base
    from tunewright.store import Stored
    from tunewright.train.loop import Validate
    from tunewright.train.ranks.group import Ranks
    from tunewright.train.trained import Trained

_CURVES = "training.json"


@dataclass(frozen=True)
class Adapter:
    """What training made.

    Args:
        stored: The adapter's artifact.
        curves: `train`: step, loss, learning rate, gradient norm; `validation`: step, loss; `best_step`, `steps`,
            `stopped_early`, `trainable` (number of trained weights), `tokens` (of all rows of all steps),
            `scores` (step, validation scores), `rewards` (step, mean reward; none where no answers are drawn),
            `diagnosis`, `quantisation` (`lifecycle.quantising.Gap`; null where the base was not quantised).
    """

    stored: Stored
    curves: dict[str, Any]


def train(job: Job) -> Adapter:
    """Trains the adapter, from the run's last checkpoint where there is one: the adapter artifact."""
    from tunewright.lifecycle.processes import call_others

    def work() -> tuple[Adapter, dict[str, Any]]:
        preflight(job)
        settle_method(job)  # kept in the run's manifest, where the other processes find it
        settle_memory(job)
        dataset = prepare(job)
        base, gap, trained = learn(job, call_others)
        curves = {
            "train": trained.progress.train,
            "validation": trained.progress.validation,
            "best_step": trained.progress.best_step or trained.progress.step,
            "steps": trained.steps,
            "stopped_early": trained.stopped_early,
            "trainable": trained.trainable,
            "tokens": trained.progress.tokens,
            "scores": trained.progress.scores,
            "rewards": trained.progress.rewards,
            "diagnosis": str(trained.diagnosis),
            "quantisation": gap and asdict(gap),
        }
        write_json(job.run.folder / _CURVES, curves)
        manifest = {
            "base": base.files.name,
            "base_hash": base.files.weights_hash,
            "method": job.recipe.method.model_dump(mode="json"),
            "dtype": job.environment()["dtype"],
            "best_step": curves["best_step"],
            "steps": trained.steps,
            **({"continued_from": asdict(origin)} if (origin := origin_of(job.run)) else {}),
        }
        parents = beginning.parents(job.run, dataset.hash)
        stored = job.put("adapter", _copy_of(trained.adapter), manifest=manifest, parents=parents)
        # The artifact is whole on disk: what was only there to resume from may go.
        shutil.rmtree(job.run.folder / "checkpoints", ignore_errors=True)
        return Adapter(stored, curves), {"adapter": stored.hash}

    def load(record: Mapping[str, Any]) -> Adapter:
        settle_method(job)
        curves = job.run.folder / _CURVES
        stored = job.workspace.artifact(record["adapter"], "adapter")
        return Adapter(stored, read_json(curves) if curves.exists() else {})

    return job.stage("train", work, load)


def learn(job: Job, ranks: Callable[[Job], Ranks]) -> tuple[Base, Gap | None, Trained]:
    """The training itself, in each of the processes that take part.

    Args:
        job: The run; all that the first process settles stands in its manifest when the others come.
        ranks: Calls them, or says whom this process takes part with.
    Returns:
        The base, now with its adapter; what quantising it cost; what training has left.
    """
    from tunewright.train import train

    settle_method(job)
    settle_memory(job)
    dataset = prepare(job)
    adapter = beginning.adapter_of(job.run, job.workspace)
    if adapter:
        job.tell(Message(f"This run begins from {beginning.told(job.run)}."))
    with quiet():
        base = job.load_base()
        gap = quantisation_gap(job, base)
        with rewarding(job, dataset) as rewards:
            trained = train(
                base,
                token_tables(job),
                job.recipe,
                folder=job.run.folder,
                resume=True,
                origin=begin(job.run, job.workspace, job.tell),
                adapter=adapter.path if adapter else None,
                validate=_validator(job, base, dataset),
                rewards=rewards,
                listener=within(job.tell, {}, own="train"),
                ranks=ranks(job),
            )
    return base, gap, trained


def _validator(job: Job, base: Base, dataset: Dataset) -> Validate | None:
    """What lets the model answer the validation rows; none where the loss alone chooses the best weights."""
    from tunewright.evaluate import answer_examples, score
    from tunewright.metrics import place

    recipe = job.recipe
    if recipe.train.best_score in ("", REWARD):
        return None
    rows = dataset.examples("validation")

    def validate(model: Any) -> dict[str, float]:
        asked = recipe.evaluate
        if head_of(recipe.train.objective):
            answers = answer_with_head(job, model, rows, system="validation")
        else:
            answers = answer_examples(
                model, base, rows, max_new_tokens=asked.max_new_tokens, batch_size=asked.batch_size, system="validation"
            )
        return score(answers, answer_kind=dataset.answer_kind, metrics=place(asked.metrics, job.workspace.cache))

    return validate


def _copy_of(folder: Path) -> Any:
    return lambda into: shutil.copytree(folder, into, dirs_exist_ok=True)

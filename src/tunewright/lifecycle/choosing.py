"""What a recipe leaves open (`auto`), in a run: chosen once, told, and kept."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunewright.base.events import Message
from tunewright.base.plugins import OBJECTIVES, PluginConfig
from tunewright.base.quiet import quiet
from tunewright.lifecycle.beginning import settled
from tunewright.lifecycle.job import Job
from tunewright.lifecycle.preparing import token_tables

if TYPE_CHECKING:
    from tunewright.models.methods.auto import Choice

_AUTO = "auto"


def settle_method(job: Job) -> None:
    """Puts the chosen method in the place of `method: auto` in the job's recipe; a named method is left as it is.

    The choice is made once in a run's life, of its training rows and the memory that is free then; where the run begins
    from an adapter, it is that adapter's. The run's manifest keeps it as `method` (`settings`, `reason`), and a resumed
    run takes it from there.
    """
    if job.recipe.method.plugin == _AUTO and "method" not in job.run.manifest:
        choice = _choose(job)
        kept = {"settings": choice.config.model_dump(mode="json"), "reason": choice.reason}
        job.run.update_manifest(method=kept)
        chosen = ", ".join([choice.method, *(f"{name} {value}" for name, value in choice.settings.items())])
        job.tell(Message(f"method: auto is {chosen}: {choice.reason}."))
    job.recipe = settled(job.run, job.recipe)


def settle_memory(job: Job) -> None:
    """Puts numbers in the place of `auto` in how much is computed at once, where that is still open.

    Settled once in a run's life, from the memory that is free then: the run's manifest keeps it as `memory`
    (`node_budget`, `checkpointing`), and a resumed run takes it from there, so that its pieces are the same.

    Raises:
        OutOfMemoryError: If it does not fit whatever is tried; says what would make it fit.
    """
    from tunewright.models.memory import model_size
    from tunewright.plan.fit import check_fits

    kept: dict[str, Any] | None = job.run.manifest.get("memory")
    if kept is None:
        settled = check_fits(job.recipe, model_size(job.base_files().folder), token_tables(job))
        train = settled.recipe.train
        kept = {"node_budget": train.node_budget, "checkpointing": train.checkpointing}
        job.run.update_manifest(memory=kept)
        if settled.reason:
            job.tell(Message(settled.reason))
    job.recipe = job.recipe.model_copy(update={"train": job.recipe.train.model_copy(update=kept)})


def _choose(job: Job) -> Choice:
    from tunewright.models.available import available_bytes
    from tunewright.models.base import pick_dtype
    from tunewright.models.memory import ADAMW, Piece, estimate_training_bytes, model_size
    from tunewright.models.methods.auto import Means, choose
    from tunewright.models.treatment import treat

    asked = job.recipe.train
    size, dtype = model_size(job.base_files().folder), pick_dtype(asked.dtype, asked.device)
    piece = Piece.of_rows(1, asked.piece_nodes + 1)

    with quiet():
        table = token_tables(job)["train"]
        objective = OBJECTIVES.call(asked.objective.plugin, "build", asked.objective)
    keeping = replace(ADAMW, reference=objective.needs_reference)

    def peak(method: PluginConfig) -> int:
        return estimate_training_bytes(size, treat(size, method, dtype), piece, dtype=dtype, keeping=keeping).total

    learned = [int((table.weights(row) != 0).sum()) for row in range(len(table))]
    means = Means(
        available=available_bytes(),
        peak=peak,
        quantises=importlib.util.find_spec("bitsandbytes") is not None,
    )
    return choose(size, rows=sum(count > 0 for count in learned), learned=sum(learned), means=means)

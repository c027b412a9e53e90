"""`method: auto` in a run: chosen once, told, and kept."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunewright.base.events import Message
from tunewright.base.plugins import METHODS, OBJECTIVES, PluginConfig
from tunewright.base.quiet import quiet
from tunewright.lifecycle.job import Job
from tunewright.lifecycle.preparing import token_tables

if TYPE_CHECKING:
    from tunewright.models.methods.auto import Choice

_AUTO = "auto"


def settle_method(job: Job) -> None:
    """Puts the chosen method in the place of `method: auto` in the job's recipe; a named method is left as it is.

    The choice is made once in a run's life, of its training rows and the memory that is free then. The run's manifest
    keeps it as `method` (`settings`, `reason`), and a resumed run takes it from there.
    """
    if job.recipe.method.plugin != _AUTO:
        return
    kept: dict[str, Any] | None = job.run.manifest.get("method")
    if kept is None:
        choice = _choose(job)
        kept = {"settings": choice.config.model_dump(mode="json"), "reason": choice.reason}
        job.run.update_manifest(method=kept)
        chosen = ", ".join([choice.method, *(f"{name} {value}" for name, value in choice.settings.items())])
        job.tell(Message(f"method: auto is {chosen}: {choice.reason}."))
    method = METHODS.config(kept["settings"]["name"]).model_validate(kept["settings"])
    job.recipe = job.recipe.model_copy(update={"method": method})


def _choose(job: Job) -> Choice:
    from tunewright.models.base import pick_dtype
    from tunewright.models.memory import ADAMW, Piece, available_bytes, estimate_training_bytes, model_size, treat
    from tunewright.models.methods.auto import Means, choose

    asked = job.recipe.train
    size, dtype = model_size(job.base_files().folder), pick_dtype(asked.dtype)
    piece = Piece.of_rows(1, asked.node_budget + 1)

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

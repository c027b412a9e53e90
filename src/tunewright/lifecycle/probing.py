"""The probes of a recipe, asked of the tuned model and of its base."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache as once
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import RecipeError
from tunewright.lifecycle.answering import BASE, TUNED, test_rows
from tunewright.lifecycle.job import Job, within
from tunewright.lifecycle.judging import open_judge
from tunewright.models.families import head_of
from tunewright.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.evaluate import Answers, Finding, LocalSpeaker


def probe_all(job: Job, dataset: Dataset, answers: Mapping[str, Answers], adapter: Path) -> list[Finding]:
    """What the recipe's probes find; raises as `check_probes` does."""
    from tunewright.evaluate import Asked, run_probes

    asked = job.recipe.evaluate
    if not asked.probes:
        return []
    check_probes(job.recipe, job.workspace.cache)
    return run_probes(
        asked.probes,
        Asked(
            systems=speakers(job, adapter),
            answers=answers,
            examples=test_rows(job.recipe, dataset),
            training=dataset.examples("train"),
            answer_kind=dataset.answer_kind,
            goal=job.recipe.goal,
            seed=job.recipe.seed,
            samples=asked.bootstrap_samples,
            cache=job.workspace.cache,
            listener=within(job.tell, {"probe": "evaluate"}),
            open_judge=partial(open_judge, workspace=job.workspace),
        ),
    )


def check_probes(recipe: Recipe, cache: Path) -> None:
    """Refuses probes that could not be run once all is trained.

    Raises:
        RecipeError: If there are probes, and the model gives no free text that they could ask for.
        InputError: If a probe's own settings, files or models are wrong.
    """
    from tunewright.evaluate import probing

    if recipe.evaluate.probes and (head_of(recipe.train.objective) or recipe.learns_documents):
        raise RecipeError(
            f"'{recipe.train.objective.plugin}' trains a model that answers no questions, and probes ask them",
            where="evaluate.probes",
            hint="Take the probes out.",
        )
    probing.check_probes(recipe.evaluate.probes, cache)


def speakers(job: Job, adapter: Path) -> dict[str, LocalSpeaker]:
    """The tuned model and its base, ready to be asked; loaded once somebody asks.

    The base is the tuned model with its adapter switched off. A method that changes the base's own weights has nothing
    to switch off, and the base is loaded a second time.
    """
    from tunewright.evaluate import LocalSpeaker
    from tunewright.forest.reference import adapter_off
    from tunewright.models.adapters import load_adapter

    shown = job.load_base()
    model = load_adapter(shown, adapter)

    @once
    def untouched() -> Any:
        return job.load_base().model

    def base() -> AbstractContextManager[Any]:
        return adapter_off(model) if hasattr(model, "disable_adapter") else nullcontext(untouched())

    size = job.recipe.evaluate.batch_size
    return {
        BASE: LocalSpeaker(BASE, shown, base, size),
        TUNED: LocalSpeaker(TUNED, shown, lambda: nullcontext(model), size),
    }

"""Measuring what is trained already: a recipe's latest run, or a release with other questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunewright.base.events import Listener, ignore
from tunewright.lifecycle.job import LATEST, StageDone, start
from tunewright.lifecycle.measuring import Measured, evaluate
from tunewright.lifecycle.targets import release_recipe, trained_run
from tunewright.recipe import load_recipe
from tunewright.store import Workspace


def remeasure(
    target: str | Path,
    overrides: Sequence[str] = (),
    *,
    workspace: str | Path | Workspace | None = None,
    listener: Listener = ignore,
    stage_done: StageDone = lambda name, result: None,
) -> Measured:
    """Measures a trained adapter.

    Args:
        target: A recipe's path: its latest run is taken to the end of the evaluation. Else a release: measured in a run
            of its own, which leaves the release as it is.
        overrides: `a.b=value` each; of a release only fields of `evaluate`, `success` and `gate`.

    Raises:
        WorkspaceError: If there is no such release, or the recipe's latest run has no adapter yet.
        RecipeError: If a release's training is to be changed.
    """
    place = workspace if isinstance(workspace, Workspace) else None
    if Path(target).suffix in (".yaml", ".yml") or Path(target).is_file():
        recipe = load_recipe(target, overrides)
        place = place or Workspace.open(workspace, create=False)  # type: ignore[arg-type]
        trained_run(place, recipe.name, target)
        with start(recipe, workspace=place, listener=listener, resume=LATEST, stage_done=stage_done) as job:
            return evaluate(job)
    place = place or Workspace.open(workspace, create=False)  # type: ignore[arg-type]
    release = place.find_release(str(target))
    done = place.find_run(release.run).manifest["stages"]
    recipe = release_recipe(release, place, overrides)
    with start(recipe, workspace=place, listener=listener, kind="eval", stage_done=stage_done) as job:
        job.take_over({"prepare": done["prepare"], "train": done["train"]})
        return evaluate(job)

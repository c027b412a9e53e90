"""`demo`, `run` and `train`: the verbs that train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import (
    FromCheckpoint,
    JsonOutput,
    Overrides,
    Processes,
    PythonGraders,
    RecipePath,
    Resume,
    WorkspacePath,
)
from tunewright.cli.processes import loaded_for
from tunewright.cli.verb import verb
from tunewright.lifecycle.means import Means

if TYPE_CHECKING:
    from tunewright.recipe import Recipe


def register(app: typer.Typer) -> None:
    """Adds these verbs to the command line."""
    verb(app, "demo", example="tunewright demo")(demo)
    verb(app, "run", example="tunewright run recipe.yaml --set train.epochs=3")(run)
    verb(app, "train", example="tunewright train recipe.yaml --resume")(train)


def demo(resume: Resume = None, workspace: WorkspacePath = None, json_output: JsonOutput = False) -> None:
    """The whole loop on made support-desk records: clean, train, measure, release, report."""
    from tunewright.lifecycle.demo import demo_recipe

    begin = {"resume": resume}
    _run_and_show(demo_recipe(), begin=begin, workspace=workspace, json_output=json_output, is_demo=True)


def run(
    recipe: RecipePath,
    overrides: Overrides = None,
    resume: Resume = None,
    from_checkpoint: FromCheckpoint = None,
    processes: Processes = None,
    python_graders: PythonGraders = False,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Do all that a recipe says: prepare, train, evaluate, release, report.

    Exits 1 where the model misses what the recipe calls success, which is stored all the same, or the recipe's gate:
    then it is not released.
    """
    checked = loaded_for(processes, recipe, overrides or ())
    begin = {"resume": resume, "from_checkpoint": from_checkpoint, "means": Means(runs_python=python_graders)}
    _run_and_show(checked, begin=begin, workspace=workspace, json_output=json_output)


def train(
    recipe: RecipePath,
    overrides: Overrides = None,
    resume: Resume = None,
    from_checkpoint: FromCheckpoint = None,
    processes: Processes = None,
    python_graders: PythonGraders = False,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Prepare the data and train the adapter; `run --resume` measures and releases it later."""
    from tunewright.cli.live import live
    from tunewright.lifecycle.job import start
    from tunewright.lifecycle.stages import train as train_stage

    checked = loaded_for(processes, recipe, overrides or ())
    asked: dict[str, Any] = {"workspace": workspace, "resume": resume, "from_checkpoint": from_checkpoint}
    asked["means"] = Means(runs_python=python_graders)
    with (
        live(json_output) as (listener, stage_done),
        start(checked, **asked, listener=listener, kind="train", stage_done=stage_done) as job,
    ):
        adapter = train_stage(job)
    if json_output:
        print_json(
            {
                "run": job.run.id,
                "adapter": adapter.stored.hash,
                "path": str(adapter.stored.path),
                "training": adapter.curves,
                "stage": job.record("train"),
                "workspace": str(job.workspace.root),
            }
        )
        return
    from tunewright.cli.tables import show_training

    show_training(adapter, run=job.run.id, recipe=recipe, overrides=overrides or (), workspace=job.workspace.root)


def _run_and_show(
    recipe: Path | Recipe,
    *,
    begin: Mapping[str, Any],
    workspace: Path | None,
    json_output: bool,
    is_demo: bool = False,
) -> None:
    from tunewright.cli.live import live
    from tunewright.lifecycle.pipeline import run as run_recipe

    asked: dict[str, Any] = {"workspace": workspace, **begin}
    with live(json_output) as (listener, stage_done):
        result = run_recipe(recipe, **asked, listener=listener, stage_done=stage_done)
    if json_output:
        print_json(result.as_json())
    else:
        from tunewright.cli.tables import show_result

        show_result(result, is_demo=is_demo)
    if not result.passed:
        raise typer.Exit(1)

"""`run`, `demo`, `train` and `eval`: the verbs that compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, Overrides, RecipePath, Resume, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from tunewright.lifecycle.pipeline import RunResult


def register(app: typer.Typer) -> None:
    """Adds these verbs to the command line."""
    verb(app, "demo", example="tunewright demo")(demo)
    verb(app, "run", example="tunewright run recipe.yaml --set train.epochs=3")(run)
    verb(app, "train", example="tunewright train recipe.yaml --resume")(train)
    verb(app, "eval", example="tunewright eval support-desk@1")(evaluate)


def demo(workspace: WorkspacePath = None, json_output: JsonOutput = False) -> None:
    """The whole loop on made support-desk records: clean, train, measure, release, report."""
    from tunewright.lifecycle.demo import demo_recipe

    _run_and_show(demo_recipe(), workspace=workspace, json_output=json_output)


def run(
    recipe: RecipePath,
    overrides: Overrides = None,
    resume: Resume = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Do all that a recipe says: prepare, train, evaluate, release, report.

    Exits 1 when the model misses what the recipe calls success; it is stored all the same.
    """
    _run_and_show(recipe, overrides or (), resume=resume, workspace=workspace, json_output=json_output)

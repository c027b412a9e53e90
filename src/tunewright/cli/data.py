"""`data prepare`: the dataset alone, and the look before training."""

from __future__ import annotations

import typer

from tunewright.cli import export, glossary, inspect, label, ledger, reveal, synthesize
from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, Overrides, RecipePath, WorkspacePath
from tunewright.cli.verb import verb


def register(app: typer.Typer) -> None:
    """Adds these verbs to the command line."""
    group = typer.Typer(help="Look at the data before training.", no_args_is_help=True)
    verb(group, "prepare", example="tunewright data prepare recipe.yaml")(prepare)
    for verbs in (export, glossary, inspect, label, ledger, reveal, synthesize):
        verbs.register(group)
    app.add_typer(group, name="data")


def prepare(
    recipe: RecipePath,
    overrides: Overrides = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Read, clean and split a recipe's records, and look at them as the model will."""
    from tunewright.cli.live import live
    from tunewright.lifecycle.job import start
    from tunewright.lifecycle.stages import preflight
    from tunewright.lifecycle.stages import prepare as prepare_stage
    from tunewright.recipe import load_recipe

    checked = load_recipe(recipe, overrides or ())
    with (
        live(json_output) as (listener, stage_done),
        start(checked, workspace=workspace, listener=listener, kind="prepare", stage_done=stage_done) as job,
    ):
        found = preflight(job)
        dataset = prepare_stage(job)
    if json_output:
        print_json(
            {
                "dataset": dataset.hash,
                "path": str(dataset.path),
                "run": job.run.id,
                "preflight": found.as_json(),
                "manifest": dataset.manifest,
            }
        )
        return
    from tunewright.cli.tables import show_dataset

    show_dataset(dataset, recipe=recipe, overrides=overrides or (), workspace=job.workspace.root)

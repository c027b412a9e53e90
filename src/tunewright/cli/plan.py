"""`plan`: whether a recipe fits, how long it takes, and what would make it fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, Overrides, RecipePath, WorkspacePath
from tunewright.cli.verb import verb
from tunewright.cli.workspaces import existing

if TYPE_CHECKING:
    from tunewright.plan.edit import Edit
    from tunewright.plan.predict import Plan


def register(app: typer.Typer) -> None:
    """Adds this verb to the command line."""
    verb(app, "plan", example="tunewright plan recipe.yaml --device h100-80gb --set method=qlora")(plan)


def plan(
    recipe: RecipePath,
    overrides: Overrides = None,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="NAME", help="A card, such as h100-80gb. Default: this machine."),
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Also do one worst-length step, and compare.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Where it does not fit: write the least change into the recipe.")
    ] = False,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Say what a recipe takes in memory, time and disk, beside full training, LoRA and QLoRA.

    Trains nothing. Exits 1 where it does not fit, and says what would make it fit.
    """
    from tunewright.cli.live import live
    from tunewright.lifecycle.beginning import as_it_trains
    from tunewright.plan.edit import read
    from tunewright.plan.predict import plan as forecast
    from tunewright.recipe import load_recipe

    checked = load_recipe(recipe, overrides or ())
    before, place = read(recipe), existing(workspace)
    with live(json_output) as (listener, _):
        wanted = as_it_trains(checked, place)
        found = forecast(wanted, device=device, workspace=place, measured=measure, listener=listener)
    edit = _fixed(found, recipe, before, overrides or ()) if fix and not found.fits_memory else None
    if json_output:
        print_json({**found.as_json(), "fixed": edit.diff if edit else None})
    else:
        from tunewright.cli.plan_tables import show_plan

        show_plan(found, recipe=recipe, overrides=overrides or (), edit=edit)
    if not found.fits_disk or (not found.fits_memory and edit is None):
        raise typer.Exit(1)


def _fixed(found: Plan, recipe: Path, before: str, overrides: Sequence[str]) -> Edit | None:
    """Writes the first change that would make it fit into the recipe; None where there is none."""
    from tunewright.base.errors import InputError
    from tunewright.plan.edit import edit

    if not found.changes:
        return None
    fields = found.changes[0].fields
    given = {override.partition("=")[0].strip() for override in overrides}
    for name in fields:
        if any(name == other or name.startswith(f"{other}.") or other.startswith(f"{name}.") for other in given):
            raise InputError(
                f"{name} is given with --set, which would hide the change in the recipe",
                where="--fix",
                hint=f"Leave it out, or give {found.changes[0].text} with --set.",
            )
    made = edit(recipe, before, fields)
    made.write()
    return made

"""`data diff` and `data undo`: what was done to the rows, and taking it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.base.errors import InputError
from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb

_SHOWN = 20

DatasetName = Annotated[
    str,
    typer.Argument(metavar="DATASET|RUN", help="A dataset's hash, or the run that prepared it.", show_default=False),
]
Step = Annotated[str, typer.Option("--step", metavar="STEP", help="Only what this step did.")]
Row = Annotated[str, typer.Option("--row", metavar="ID", help="Only what was done to the row of this id.")]


def register(group: typer.Typer) -> None:
    """Adds these verbs to the group `data`."""
    verb(group, "diff", example="tunewright data diff support-desk --step whitespace")(diff)
    verb(group, "undo", example="tunewright data undo support-desk --step redact --recipe recipe.yaml")(undo)


def diff(
    dataset: DatasetName,
    other: Annotated[
        str | None,
        typer.Argument(metavar="[OTHER]", help="A second dataset or run to compare it with.", show_default=False),
    ] = None,
    step: Step = "",
    row: Row = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="Show so many edits, or rows.")] = _SHOWN,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Show what each step changed, word by word; or how one dataset differs from another."""
    from tunewright.cli import ledger_tables
    from tunewright.data.ledger import compare_datasets, read_ledger
    from tunewright.lifecycle.datasets import find_dataset
    from tunewright.store import Workspace

    place = Workspace.open(workspace, create=False)
    first = find_dataset(place, dataset)
    if other is None:
        ledger = read_ledger(first, step=step, row=row, limit=limit)
        if json_output:
            print_json(ledger.as_json())
        else:
            ledger_tables.show_ledger(ledger, whole=bool(row))
        return
    if step or row:
        raise InputError("Two datasets are compared row by row", hint="Leave --step and --row out.")
    comparison = compare_datasets(first, find_dataset(place, other), limit=limit)
    if json_output:
        print_json(comparison.as_json())
    else:
        ledger_tables.show_comparison(comparison)


def undo(
    dataset: DatasetName,
    step: Step = "",
    row: Row = "",
    field: Annotated[str, typer.Option("--field", metavar="COLUMN", help="Only what was done to this column.")] = "",
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", metavar="RECIPE", help="Write it into this recipe, so that it stays so."),
    ] = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Take a step's edits back, or a row's: a new dataset in which they did not happen.

    The files are read again; later steps work on the restored bytes; every row keeps the part it had.
    """
    from tunewright.cli.live import live
    from tunewright.lifecycle.undoing import undo as take_back

    with live(json_output) as (listener, _):
        undone = take_back(
            dataset, step=step, row=row, field=field, recipe=recipe, workspace=workspace, listener=listener
        )
    if json_output:
        print_json(undone.as_json())
        return
    from tunewright.cli.ledger_tables import show_undone

    show_undone(undone)

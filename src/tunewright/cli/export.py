"""`data export`: a prepared dataset for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, Overrides, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from tunewright.data.exporting import Exported

_FORMATS = "chat, prompt-completion, preference, sharegpt, alpaca, openai, csv or parquet"


def register(group: typer.Typer) -> None:
    """Adds this verb to the group `data`."""
    verb(group, "export", example="tunewright data export recipe.yaml --format alpaca --output rows.jsonl")(export)


def export(
    target: Annotated[
        str,
        typer.Argument(
            metavar="DATASET|RECIPE", help="A dataset's hash, or a recipe to prepare first.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write.")],
    format: Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help=f"{_FORMATS}.".capitalize())] = "chat",
    part: Annotated[str, typer.Option("--part", metavar="PART", help="train, validation or test.")] = "train",
    partial: Annotated[
        bool, typer.Option("--partial", help="Leave off what the format cannot hold, and say what; else it is refused.")
    ] = False,
    raw_cells: Annotated[
        bool,
        typer.Option("--raw-cells", help="CSV: cells that begin like a formula (= + - @) as they are, unguarded."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    overrides: Overrides = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Write a dataset in another program's format."""
    from tunewright.cli.progress import progress
    from tunewright.lifecycle.exporting import export_dataset

    given: Any = part  # checked below
    with progress() as listener:
        done = export_dataset(
            target,
            output,
            format.replace("-", "_"),
            part=given,
            partial=partial,
            guard=not raw_cells,
            force=force,
            overrides=overrides or (),
            workspace=workspace,
            listener=listener,
        )
    if json_output:
        print_json(done.as_json())
        return
    _show(done)


def _show(done: Exported) -> None:
    typer.echo(f"Wrote {done.rows:,} rows to {done.path}.")
    for what, count in done.lost.items():
        typer.echo(f"Not in it, of {count:,} rows: {what}.")
    if done.left_out:
        typer.echo(f"{done.left_out:,} rows were left out as a whole.")
    if done.guarded:
        typer.echo(
            f"{done.guarded:,} cells begin like a formula, and got an apostrophe in front (--raw-cells: as they are)."
        )

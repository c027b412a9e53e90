"""`eval parity`: is what is served what was trained?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from tunewright.lifecycle.parity import Parity


def register(group: typer.Typer) -> None:
    """Adds this verb to the group `eval`."""
    verb(group, "parity", example="tunewright eval parity support-desk@1 --rows 32")(parity)


def parity(
    target: Annotated[str, typer.Argument(metavar="NAME", help="A release.", show_default=False)],
    rows: Annotated[int, typer.Option("--rows", min=1, help="Held-out rows to compare.")] = 16,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Check that a release reads and answers its held-out rows as training did, on every way they can take.

    Prompts, tokens and log-probabilities are compared between training, evaluation, serving, plain transformers and
    PEFT, the adapter written and loaded again, and the adapter merged into its base. Exits 1 at the first disagreement.
    """
    from tunewright.cli.live import live
    from tunewright.lifecycle.parity import parity_of_release

    with live(json_output) as (listener, _):
        found = parity_of_release(target, rows=rows, workspace=workspace, listener=listener)
    if json_output:
        print_json(found.as_json())
        if not found.passed:
            raise typer.Exit(1)
        return
    _show(found)
    found.require()


def _show(found: Parity) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{found.rows} rows, {found.tokens:,} answer tokens, {found.dtype}", title_justify="left")
    table.add_column("way, against training")
    for head in ("rows", "largest difference", "allowed"):
        table.add_column(head, justify="right")
    for name, way in found.ways.items():
        table.add_row(name, str(way.rows), f"{way.largest:.1e}", f"{way.allowed:.1e}")
    console = Console()
    console.print(table)
    for name, why in found.left_out.items():
        console.print(f"Not compared: {name} ({why}).", highlight=False)
    if found.passed:
        console.print("Prompts and tokens are the same on each way.", highlight=False)

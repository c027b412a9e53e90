"""`models alias`: further names for models, such as those that scripts written for OpenAI's service ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, WorkspacePath

if TYPE_CHECKING:
    from tunewright.store import Workspace


def alias(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What requests say, such as gpt-4o-mini.", show_default=False)
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A release (its newest version, or NAME@2), a fine-tuned model, a base that is here, or a folder.",
            show_default=False,
        ),
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the name away again.")] = False,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Let a name stand for a model when the server is asked for it."""
    from tunewright.base.errors import InputError
    from tunewright.lifecycle.serving.names import remove_alias, set_alias
    from tunewright.store import Workspace

    if remove == bool(target):
        raise InputError("An alias needs a TARGET to be set, and none to be removed", where="models alias")
    place = Workspace.open(workspace, create=not remove)
    if remove:
        remove_alias(place, name)
    else:
        target = set_alias(place, name, target).parent
    if json_output:
        print_json({"name": name, "target": target or None, "removed": remove})
        return
    typer.echo(f"{name} stands for nothing any more." if remove else f"{name} stands for {target}.")


def served_as_json(workspace: Workspace | None) -> dict[str, Any]:
    """Fine-tuned models and aliases, as `models list --json` prints them."""
    from tunewright.lifecycle.serving.names import aliases, fine_tuned

    if workspace is None:
        return {"fine_tuned": [], "aliases": {}}
    return {"fine_tuned": [served.as_model() for served in fine_tuned(workspace)], "aliases": aliases(workspace)}


def show_served(workspace: Workspace | None) -> None:
    """Prints them, where there are any."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    found = served_as_json(workspace)
    tables = (
        ("Fine-tuned over the API", "From", [(each["id"], each["parent"]) for each in found["fine_tuned"]]),
        ("Aliases", "Stands for", list(found["aliases"].items())),
    )
    for title, second, rows in tables:
        if rows:
            table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1))
            table.add_column("Name", overflow="fold")
            table.add_column(second, overflow="fold")
            for row in rows:
                table.add_row(*row)
            Console(highlight=False).print(table)

"""`keys`: who may use the server, and for what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunewright.store.keys import Key

_DEFAULT_SCOPES = ["read", "infer", "train"]


def register(app: typer.Typer) -> None:
    """Adds these verbs to the command line."""
    group = typer.Typer(help="Keys to the server: who may do what.", no_args_is_help=True)
    verb(group, "create", example="tunewright keys create build-server --scope read --scope train")(create)
    verb(group, "list", example="tunewright keys list")(list_them)
    verb(group, "revoke", example="tunewright keys revoke key-3f2a…")(revoke)
    app.add_typer(group, name="keys")


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what it is for.", show_default=False)],
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help="read (look at jobs, files, models), infer (ask models), train (files, jobs, evals), admin (all).",
        ),
    ] = _DEFAULT_SCOPES,
    project: Annotated[str, typer.Option("--project", help="Whose files, jobs and models it sees.")] = "default",
    organization: Annotated[
        str, typer.Option("--organization", help="Under which its jobs and models are filed.")
    ] = "tunewright",
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Make a key. Its secret is shown this once: only a hash of it is kept."""
    from tunewright.store import Workspace
    from tunewright.store.keys import create_key

    secret, key = create_key(
        Workspace.open(workspace), name=name, scopes=scope, project=project, organization=organization
    )
    if json_output:
        print_json({"secret": secret, **key.as_json()})
        return
    typer.echo(f"{key.name} ({key.id}) may {_words(key)} in the project {key.project}. Its secret, shown this once:\n")
    typer.echo(f"    {secret}\n")
    typer.echo("Clients take it from OPENAI_API_KEY. The server asks for keys with: tunewright serve --keys")


def list_them(
    revoked: Annotated[bool, typer.Option("--revoked", help="Those that were revoked too.")] = False,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """List the keys, oldest first, without their secrets."""
    from tunewright.store import Workspace
    from tunewright.store.keys import list_keys

    keys = list_keys(Workspace.open(workspace, create=False), revoked=revoked)
    if json_output:
        print_json([key.as_json() for key in keys])
        return
    if not keys:
        typer.echo("No key yet. Make one with: tunewright keys create NAME")
        return
    _show(keys)


def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="A key's id, as `keys list` shows it.", show_default=False)],
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Take a key back, for good; the server refuses it from its next request on."""
    from tunewright.store import Workspace
    from tunewright.store.keys import revoke_key

    key = revoke_key(Workspace.open(workspace, create=False), id)
    if json_output:
        print_json(key.as_json())
        return
    typer.echo(f"{key.name} ({key.id}) may do nothing any more.")


def _show(keys: Sequence[Key]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("Id", "Name", "May", "Project", "Ends in", "Made"):
        # An id that is cut off cannot be revoked.
        table.add_column(column, overflow="fold", no_wrap=column == "Id")
    for key in keys:
        style = "dim strike" if key.revoked_at is not None else None
        made = datetime.fromtimestamp(key.created_at, UTC).astimezone().strftime("%Y-%m-%d")
        table.add_row(key.id, key.name, _words(key), key.project, f"…{key.ending}", made, style=style)
    Console(highlight=False).print(table)


def _words(key: Key) -> str:
    scopes: list[str] = key.as_json()["scopes"]
    return ", ".join(scopes)

"""`runs`: what was started in this workspace, and how it went."""

from __future__ import annotations

from typing import Annotated

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb


def register(app: typer.Typer) -> None:
    """Adds these verbs to the command line."""
    group = typer.Typer(help="The runs of this workspace.", no_args_is_help=True)
    verb(group, "list", example="tunewright runs list")(list_runs)
    verb(group, "show", example="tunewright runs show support-desk")(show)
    app.add_typer(group, name="runs")


def list_runs(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Only the newest so many.")] = 20,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """List runs, newest first."""
    from tunewright.store import Workspace

    runs = Workspace.open(workspace, create=False).runs(limit=limit)
    if json_output:
        shown = ("id", "name", "kind", "status", "created_at", "started_at", "finished_at", "error")
        print_json([{key: run.as_json()[key] for key in shown} for run in runs])
        return
    from tunewright.cli.listings import show_runs

    show_runs(runs)


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="An id or its beginning, or a name: its newest run.")],
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Show one run: its stages with time and memory, and how it ended."""
    from tunewright.store import Workspace

    found = Workspace.open(workspace, create=False).find_run(run)
    if json_output:
        print_json(found.as_json())
        return
    from tunewright.cli.listings import show_run

    show_run(found)

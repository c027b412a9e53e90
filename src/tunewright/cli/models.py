"""`models`: base models to fetch, and releases to look at."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

import typer

from tunewright.cli.aliases import alias, served_as_json, show_served
from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, ReleaseName, ServerUrl, WorkspacePath
from tunewright.cli.verb import verb


def register(app: typer.Typer) -> None:
    """Adds these verbs to the command line."""
    group = typer.Typer(help="Base models, and the releases made of them.", no_args_is_help=True)
    verb(group, "pull", example="tunewright models pull embedded")(pull)
    verb(group, "list", example="tunewright models list")(list_models)
    verb(group, "show", example="tunewright models show support-desk --json")(show)
    verb(group, "release", example='tunewright models release RUN --despite "the old one is down"')(release)
    verb(group, "lineage", example="tunewright models lineage support-desk@1")(lineage)
    verb(group, "alias", example="tunewright models alias gpt-4o-mini smollm2-135m-instruct")(alias)
    app.add_typer(group, name="models")


def pull(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME…", help="Catalogue names, hub ids, folders, GGUF files, or `embedded`.", show_default=False
        ),
    ],
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Fetch base models into the cache, so that they work without a network."""
    from tunewright.base.quiet import quiet
    from tunewright.cli.progress import progress
    from tunewright.models.resolve import pull as fetch
    from tunewright.store import Workspace

    cache = Workspace.open(workspace).cache
    with progress() as listener, quiet():
        fetched = fetch(names, cache, listener)
    if json_output:
        print_json([_files_as_json(files) for files in fetched])
        return
    for files in fetched:
        typer.echo(f"{files.name} is here: {files.folder}")


def list_models(server: ServerUrl = None, workspace: WorkspacePath = None, json_output: JsonOutput = False) -> None:
    """List this workspace's releases, aliases and fine-tuned models, and the bases of the catalogue; or a server's."""
    if server is not None:
        from tunewright.cli.remote import list_models_there

        list_models_there(server, json_output)
        return
    from tunewright.base.errors import WorkspaceError
    from tunewright.models.catalog import entries
    from tunewright.store import Workspace

    place = None
    with contextlib.suppress(WorkspaceError):  # no workspace yet: no releases, and the base models all the same
        place = Workspace.open(workspace, create=workspace is not None)
    releases = place.releases() if place else []
    if json_output:
        shown = ("name", "version", "label", "base", "adapter", "dataset", "run", "created_at")
        print_json(
            {
                "releases": [{key: release.as_json()[key] for key in shown} for release in releases],
                "bases": [entry.model_dump(mode="json", exclude={"sources"}) for entry in entries().values()],
                **served_as_json(place),
            }
        )
        return
    from tunewright.cli.listings import show_bases, show_releases

    show_releases(releases)
    show_served(place)
    show_bases(list(entries().values()))


def show(name: ReleaseName, workspace: WorkspacePath = None, json_output: JsonOutput = False) -> None:
    """Show one release: its scores, what it was made of, and where its report lies."""
    from tunewright.lifecycle.release import describe
    from tunewright.store import Workspace

    found = describe(Workspace.open(workspace, create=False), name)
    if json_output:
        print_json(found)
        return
    from tunewright.cli.listings import show_release

    show_release(found)


def release(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run that missed its gate: its id, or its name.", show_default=False)
    ],
    despite: Annotated[
        str, typer.Option("--despite", metavar="REASON", help="Why; it stands on the release's card for good.")
    ],
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Release on your word what a run trained although it missed its gate."""
    from tunewright.cli.live import live
    from tunewright.lifecycle.despite import release_despite

    with live(json_output) as (listener, _):
        made = release_despite(run, despite, workspace=workspace, listener=listener)
    if json_output:
        print_json(made.as_json())
        return
    typer.echo(f"Released as {made.release} although it missed {', '.join(made.missed)}.")
    typer.echo(f"Report: {made.report}")


def lineage(name: ReleaseName, workspace: WorkspacePath = None, json_output: JsonOutput = False) -> None:
    """Show where a release came from, back to the files its rows were read from."""
    from tunewright.lifecycle.release import lineage_of
    from tunewright.store import Workspace

    place = Workspace.open(workspace, create=False)
    found = lineage_of(place, name)
    if json_output:
        print_json(found)
        return
    from tunewright.cli.listings import show_lineage

    show_lineage(found)


def _files_as_json(files: Any) -> dict[str, Any]:
    fields = ("name", "folder", "weights_hash", "source", "licence", "context_length", "kind")
    return {field: str(value) if field == "folder" else value for field in fields for value in [getattr(files, field)]}

"""`jobs`: fine-tuning jobs as OpenAI's API knows them, of this workspace or of a server (`--server URL`)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, ServerUrl, WorkspacePath
from tunewright.cli.remote import at
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from tunewright.endpoints.service import Service

_ENDED = ("succeeded", "failed", "cancelled")
_LOOK_EVERY_S = 1.0
_EVENTS_A_PAGE = 100

JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id: ftjob-….", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds these verbs to the command line."""
    group = typer.Typer(help="Fine-tuning jobs, of this workspace or of a server.", no_args_is_help=True)
    verb(group, "create", example="tunewright jobs create --model smollm2-135m-instruct --training-file rows.jsonl")(
        create
    )
    verb(group, "list", example="tunewright jobs list --server http://127.0.0.1:8000")(list_jobs)
    verb(group, "show", example="tunewright jobs show ftjob-…")(show)
    verb(group, "follow", example="tunewright jobs follow ftjob-… --server http://127.0.0.1:8000")(follow)
    verb(group, "cancel", example="tunewright jobs cancel ftjob-…")(cancel)
    verb(group, "pause", example="tunewright jobs pause ftjob-…")(pause)
    verb(group, "resume", example="tunewright jobs resume ftjob-…")(resume)
    app.add_typer(group, name="jobs")


def create(
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="A base model's name there, or an alias.")],
    training_file: Annotated[Path, typer.Option("--training-file", metavar="FILE", help="Rows, as JSONL.")],
    validation_file: Annotated[
        Path | None, typer.Option("--validation-file", metavar="FILE", help="Rows to measure on, as JSONL.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="supervised, or dpo for rows of preferences.")] = "supervised",
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, max=50, help="Default: as the server sees fit.")
    ] = None,
    suffix: Annotated[str | None, typer.Option("--suffix", help="Stands in the new model's name.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Decides all that is drawn.")] = None,
    server: ServerUrl = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Upload rows and queue a job. Without --server, `tunewright worker` (or `serve`) does it in this workspace."""
    for file in filter(None, (training_file, validation_file)):
        _must_be_a_file(file)
    settings = {} if epochs is None else {"hyperparameters": {"n_epochs": epochs}}
    body: dict[str, Any] = {"model": model, "method": {"type": method, method: settings}}
    body |= {name: value for name, value in (("suffix", suffix), ("seed", seed)) if value is not None}
    with at(server, workspace) as api:
        body["training_file"] = api.upload(training_file, purpose="fine-tune")["id"]
        if validation_file is not None:
            body["validation_file"] = api.upload(validation_file, purpose="fine-tune")["id"]
        _print(api.post("fine_tuning", "jobs", body=body), json_output)


def list_jobs(
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="Only the newest so many.")] = 20,
    server: ServerUrl = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """List jobs, newest first."""
    with at(server, workspace) as api:
        jobs = api.get("fine_tuning", "jobs", limit=limit)["data"]
    if json_output:
        print_json(jobs)
        return
    from tunewright.cli.served import show_jobs

    show_jobs(jobs)


def show(
    job: JobId, server: ServerUrl = None, workspace: WorkspacePath = None, json_output: JsonOutput = False
) -> None:
    """Show one job: what it trains, how far it is, and what came of it."""
    with at(server, workspace) as api:
        _print(api.get("fine_tuning", "jobs", job), json_output)


def follow(
    job: JobId, server: ServerUrl = None, workspace: WorkspacePath = None, json_output: JsonOutput = False
) -> None:
    """Print a job's events as they come, until it ends; exits with 1 where it did not succeed.

    With --json nothing is printed until then, and the job at last. Ctrl-C ends the following, not the job.
    """
    from tunewright.cli.served import show_event

    seen: set[str] = set()
    with at(server, workspace) as api:
        while True:
            found = api.get("fine_tuning", "jobs", job)  # first, so that no event of its end is missed
            for event in [] if json_output else _new_events(api, job, seen):
                show_event(event)
            if found["status"] in _ENDED:
                break
            time.sleep(_LOOK_EVERY_S)
    _print(found, json_output)
    if found["status"] != "succeeded":
        raise typer.Exit(1)


def cancel(
    job: JobId, server: ServerUrl = None, workspace: WorkspacePath = None, json_output: JsonOutput = False
) -> None:
    """End a job; its checkpoints are kept."""
    _ask(job, "cancel", server, workspace, json_output)


def pause(
    job: JobId, server: ServerUrl = None, workspace: WorkspacePath = None, json_output: JsonOutput = False
) -> None:
    """Let a job wait, with a checkpoint from which `resume` goes on."""
    _ask(job, "pause", server, workspace, json_output)


def resume(
    job: JobId, server: ServerUrl = None, workspace: WorkspacePath = None, json_output: JsonOutput = False
) -> None:
    """Let a paused job go on."""
    _ask(job, "resume", server, workspace, json_output)


def _ask(job: str, what: str, server: str | None, workspace: Path | None, json_output: bool) -> None:
    with at(server, workspace) as api:
        _print(api.post("fine_tuning", "jobs", job, what), json_output)


def _new_events(api: Service, job: str, seen: set[str]) -> list[dict[str, Any]]:
    """Events that were not seen before, oldest first; they are then."""
    new: list[dict[str, Any]] = []
    for event in api.pages("fine_tuning", "jobs", job, "events", limit=_EVENTS_A_PAGE):
        if event["id"] in seen:
            break  # newest first: all others were seen
        new.append(event)
    seen.update(event["id"] for event in new)
    return new[::-1]


def _must_be_a_file(file: Path) -> None:
    from tunewright.base.errors import InputError

    if not file.is_file():
        raise InputError("There is no such file", where=str(file), hint="Give a JSONL file, a row on each line.")


def _print(job: dict[str, Any], json_output: bool) -> None:
    if json_output:
        print_json(job)
        return
    from tunewright.cli.served import show_job

    show_job(job)

"""A run of an eval as an object: made, told, cancelled, removed. What works on it is `running`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError, NoSuchRecordError
from tunewright.evaluate.graders import check_allowed, parse_grader
from tunewright.lifecycle.evals import definition
from tunewright.lifecycle.evals.rows import stored_ids
from tunewright.lifecycle.evals.sampling import check_sampling
from tunewright.lifecycle.evals.tally import Tally
from tunewright.store.records import Record, new_id
from tunewright.store.uploads import upload_for

if TYPE_CHECKING:
    from tunewright.store import Workspace

KIND, ITEM = "eval_run", "eval_item"
ENDED = ("completed", "failed", "canceled")
# The client's types say that there is always an error: where nothing went wrong, both of its texts are empty.
NO_ERROR = {"code": "", "message": ""}


def create_run(
    workspace: Workspace,
    eval_record: Record,
    *,
    data_source: Mapping[str, Any],
    name: str | None,
    metadata: Mapping[str, str] | None,
    runs_python: bool,
    server_url: str,
) -> Record:
    """Makes a run of an eval and queues its work.

    Args:
        data_source: As the API takes it, checked for its types.
        server_url: Where this server is reached, for the address of the report.

    Raises:
        InputError: If its rows, or answers to them, cannot be had here, or a grader may not run.
        UnknownNameError: If a model is not served here.
    """
    graders = [parse_grader(raw) for raw in eval_record.body["testing_criteria"]]
    for place, grader in enumerate(graders):
        check_allowed(grader, runs_python=runs_python, where=f"testing_criteria[{place}]")
    model = str(data_source.get("model") or "")
    check_sampling(data_source)
    if data_source["source"]["type"] == "file_id":
        file_id = data_source["source"]["id"]
        upload_for(workspace, file_id, "evals", project=eval_record.project, where="data_source.source.id")
    _check_models(workspace, [model, *(judge for grader in graders for judge in grader.judges())], eval_record.project)
    id = new_id("evalrun_")
    body = {
        "eval_id": eval_record.id,
        "name": name or id,
        "model": model,
        "status": "queued",
        "data_source": dict(data_source),
        "metadata": None if metadata is None else dict(metadata),
        "error": NO_ERROR,
        "report_url": f"{server_url.rstrip('/')}/v1/evals/{eval_record.id}/runs/{id}/report",
        **Tally(grader.name for grader in graders).as_json(),
        "_criteria": eval_record.body["testing_criteria"],
        "_item_schema": eval_record.body["_item_schema"],
        "_stored": _stored(workspace, eval_record, data_source["source"]),
        "_evidence": None,
    }
    record = workspace.add_record(KIND, body, id=id, parent=eval_record.id, project=eval_record.project)
    workspace.enqueue(KIND, id)
    return record


def render_run(record: Record) -> dict[str, Any]:
    """A run as the API says it."""
    told = {name: value for name, value in record.body.items() if not name.startswith("_")}
    return {"id": record.id, "object": "eval.run", "created_at": record.created_at, **told}


def render_item(record: Record) -> dict[str, Any]:
    """A row with its answer and grades, as the API says it."""
    told = {name: value for name, value in record.body.items() if not name.startswith("_")}
    return {"id": record.id, "object": "eval.run.output_item", "created_at": record.created_at, **told}


def cancel_run(workspace: Workspace, record: Record) -> Record:
    """Ends a run; what was graded is kept. One that is cancelled already stays so.

    Raises:
        InputError: If it has ended otherwise.
    """
    changed = workspace.change_record(
        KIND, record.id, lambda body: body if body["status"] in ENDED else {**body, "status": "canceled"}
    )
    if changed.body["status"] != "canceled":
        raise InputError(f"The run {record.id} is {changed.body['status']}: it cannot be cancelled", where="run_id")
    with suppress(InputError):  # its work has ended, or was never queued
        workspace.ask(record.id, "cancel")
    return changed


def remove_run(workspace: Workspace, record: Record) -> None:
    """Removes a run with its items; work on it ends."""
    with suppress(InputError):  # its work has ended, or was never queued
        workspace.ask(record.id, "cancel")
    workspace.remove_record(KIND, record.id)
    remove_items(workspace, record.id)


def remove_items(workspace: Workspace, run: str) -> None:
    """Removes what was graded in a run."""
    for item in [*items_of(workspace, run)]:
        with suppress(NoSuchRecordError):  # somebody else removes them too
            workspace.remove_record(ITEM, item.id)


def remove_eval(workspace: Workspace, record: Record) -> None:
    """Removes an eval with its runs."""
    workspace.remove_record(definition.KIND, record.id)
    for run in [*workspace.each_record(KIND, parent=record.id)]:
        with suppress(NoSuchRecordError):
            remove_run(workspace, run)


def items_of(workspace: Workspace, run: str) -> Iterator[Record]:
    """What was graded in a run, in the order in which it was."""
    return workspace.each_record(ITEM, parent=run)


def _check_models(workspace: Workspace, names: Iterable[str], project: str) -> None:
    """Refuses models that are not served here, before anything is asked."""
    for name in filter(None, dict.fromkeys(names)):
        from tunewright.lifecycle.serving.names import find_served

        find_served(workspace, name, project=project)


def _stored(workspace: Workspace, eval_record: Record, source: Mapping[str, Any]) -> list[str] | None:
    """Which stored completions are the rows, settled now: others may come and go while the run waits."""
    if source["type"] != "stored_completions":
        return None
    noted = eval_record.body["data_source_config"].get("metadata") or {}
    found = stored_ids(workspace, source, noted=noted, project=eval_record.project)
    if not found:
        raise InputError(
            "No stored chat completion is as the source wants it",
            where="data_source.source",
            hint="Ask for completions with store=True, and compare the filters with their model and metadata.",
        )
    return found

"""A batch as an object: made, told, cancelled. What works on it is `running`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError, NoSuchRecordError
from tunewright.store.records import Record, new_id
from tunewright.store.uploads import upload_for

if TYPE_CHECKING:
    from tunewright.store import Workspace

KIND = "batch"
WINDOW_S = 24 * 3600
ENDED = ("failed", "completed", "expired", "cancelled")

_TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


def create_batch(
    workspace: Workspace,
    *,
    input_file_id: str,
    endpoint: str,
    completion_window: str,
    metadata: Mapping[str, str] | None,
    output_expires_after_s: int | None,
    project: str,
) -> Record:
    """Makes a batch and queues its work.

    Raises:
        InputError: If there is no such file of the project's, or it is not for batches.
    """
    upload_for(workspace, input_file_id, "batch", project=project, where="input_file_id")
    now = int(time.time())
    body = {
        "completion_window": completion_window,
        "endpoint": endpoint,
        "input_file_id": input_file_id,
        "status": "validating",
        "errors": None,
        "expires_at": now + WINDOW_S,
        "metadata": None if metadata is None else dict(metadata),
        "model": None,
        "output_file_id": None,
        "error_file_id": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": usage_of(0, 0, 0),
        "_output_expires_after_s": output_expires_after_s,
        **{f"{name}_at": None for name in _TIMES},
    }
    record = workspace.add_record(KIND, body, id=new_id("batch_"), project=project)
    workspace.enqueue(KIND, record.id)
    return record


def render_batch(record: Record) -> dict[str, Any]:
    """A batch as the API says it."""
    told = {name: value for name, value in record.body.items() if not name.startswith("_")}
    return {"id": record.id, "object": "batch", "created_at": record.created_at, **told}


def cancel_batch(workspace: Workspace, record: Record) -> Record:
    """Asks for a batch's end: what was answered is kept. A batch that is being cancelled, or was, stays so.

    Raises:
        InputError: If it has ended otherwise.
    """
    from tunewright.lifecycle.batches.running import finish
    from tunewright.lifecycle.grading import WorkTakenError

    status = record.body["status"]
    if status in ("cancelling", "cancelled"):
        return record
    if status in ENDED:
        raise InputError(f"The batch {record.id} is {status}: it cannot be cancelled", where="batch_id")
    changed = workspace.change_record(KIND, record.id, _cancelling)
    if changed.body["status"] != "cancelling":
        return cancel_batch(workspace, changed)
    try:
        is_over = workspace.ask(record.id, "cancel").state == "done"
    except NoSuchRecordError:
        is_over = True  # its process was killed before the work was queued
    except InputError:
        # The work has just come to its own end, and whoever did it has told the outcome, or will.
        return workspace.record(KIND, record.id)
    try:
        return finish(workspace, changed, "cancelled") if is_over else changed
    except WorkTakenError:
        return changed  # a worker that has lost the task has not noticed yet; the next one ends the batch


def moved(body: Mapping[str, Any], status: str, **more: Any) -> dict[str, Any]:
    """A batch's body in its next state, with the moment noted."""
    return {**body, **more, "status": status, f"{status}_at": int(time.time())}


def usage_of(read: int, written: int, cached: int) -> dict[str, Any]:
    """Tokens, as a batch says them."""
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }


def _cancelling(body: dict[str, Any]) -> dict[str, Any]:
    return body if body["status"] in ENDED else moved(body, "cancelling")

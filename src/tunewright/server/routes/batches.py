"""Batches: many requests in a file, answered in the background."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tunewright.base.errors import NoSuchRecordError
from tunewright.lifecycle.batches.batch import KIND, cancel_batch, create_batch, render_batch
from tunewright.server.context import Caller, Here, Inferrer, Reader, Server
from tunewright.server.errors import not_found
from tunewright.server.paging import Paging, listing
from tunewright.server.wire.batches import BatchCreate
from tunewright.store import Record

router = APIRouter(prefix="/v1/batches", tags=["batches"])


@router.post("")
def create(asked: BatchCreate, here: Here, caller: Inferrer) -> dict[str, Any]:
    """Takes a file of requests; a worker checks and answers them."""
    expires = asked.output_expires_after
    record = create_batch(
        here.workspace,
        input_file_id=asked.input_file_id,
        endpoint=asked.endpoint,
        completion_window=asked.completion_window,
        metadata=asked.metadata,
        output_expires_after_s=None if expires is None else expires.seconds,
        project=caller.project,
    )
    return render_batch(record)


@router.get("")
def listed(page: Paging, here: Here, caller: Reader) -> dict[str, Any]:
    """Batches, newest first."""
    found = here.workspace.records(KIND, project=caller.project, after=page.after, limit=page.limit, order=page.order)
    return listing(found, render_batch)


@router.get("/{batch_id}")
def retrieve(batch_id: str, here: Here, caller: Reader) -> dict[str, Any]:
    """One batch."""
    return render_batch(_find(here, caller, batch_id))


@router.post("/{batch_id}/cancel")
def cancel(batch_id: str, here: Here, caller: Inferrer) -> dict[str, Any]:
    """Ends a batch; what was answered stands in its files."""
    return render_batch(cancel_batch(here.workspace, _find(here, caller, batch_id)))


def _find(here: Server, caller: Caller, batch_id: str) -> Record:
    try:
        return here.workspace.record(KIND, batch_id, project=caller.project)
    except NoSuchRecordError:
        raise not_found("batch", batch_id, param="batch_id") from None

"""Chat completions: asked, and those that were stored."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from tunewright.base.errors import InputError
from tunewright.lifecycle.serving.asking import open_chat
from tunewright.lifecycle.serving.bodies import ChatBody, ChatMessage, Metadata
from tunewright.server.calling import respond
from tunewright.server.context import Caller, Here, Inferrer, Reader
from tunewright.server.paging import Wanted, listing, paging
from tunewright.store import Record, Workspace

KIND = "chat_completion"
_METADATA = re.compile(r"metadata\[(.*)\]", re.DOTALL)

router = APIRouter(prefix="/v1/chat/completions", tags=["chat"])
OldestFirst = Annotated[Wanted, Depends(paging(order="asc"))]


class Changes(BaseModel):
    """What of a stored completion can be changed."""

    model_config = ConfigDict(strict=True, extra="ignore")

    metadata: Metadata | None = Field(max_length=16)


@router.post("", response_model=None)
async def create(body: ChatBody, request: Request, here: Here, caller: Inferrer) -> Response:
    """Has a model write a conversation's next message; with `stream`, piece by piece."""
    keep = partial(_keep, here.workspace, body, caller) if body.store else None
    opening = partial(open_chat, here.fleet, body, project=caller.project)
    return await respond(request, here.watch, "chat", opening, keep)


@router.get("")
def list_stored(
    request: Request, here: Here, caller: Reader, wanted: OldestFirst, model: str | None = None
) -> dict[str, Any]:
    """Stored completions, the oldest first; of a model, and with some metadata, where that is asked for."""
    where: dict[str, str | None] = {"model": model} if model is not None else {}
    for name, value in request.query_params.multi_items():
        if found := _METADATA.fullmatch(name):
            where[f"metadata.{found[1]}"] = value
    page = here.workspace.records(
        KIND, project=caller.project, after=wanted.after, limit=wanted.limit, order=wanted.order, where=where
    )
    return listing(page, _rendered)


@router.get("/{completion_id}")
def retrieve(completion_id: str, here: Here, caller: Reader) -> dict[str, Any]:
    """A stored completion."""
    return _rendered(here.workspace.record(KIND, completion_id, project=caller.project))


@router.post("/{completion_id}")
def update(completion_id: str, changes: Changes, here: Here, caller: Inferrer) -> dict[str, Any]:
    """Changes a stored completion's metadata."""
    here.workspace.record(KIND, completion_id, project=caller.project)
    metadata = changes.metadata or {}
    return _rendered(here.workspace.change_record(KIND, completion_id, lambda body: {**body, "metadata": metadata}))


@router.delete("/{completion_id}")
def delete(completion_id: str, here: Here, caller: Inferrer) -> dict[str, Any]:
    """Forgets a stored completion."""
    here.workspace.record(KIND, completion_id, project=caller.project)
    here.workspace.remove_record(KIND, completion_id)
    return {"object": "chat.completion.deleted", "id": completion_id, "deleted": True}


@router.get("/{completion_id}/messages")
def messages(completion_id: str, here: Here, caller: Reader, wanted: OldestFirst) -> dict[str, Any]:
    """The messages that a stored completion answered."""
    record = here.workspace.record(KIND, completion_id, project=caller.project)
    all_of_it = [_message(each) for each in record.body["messages"]]
    if wanted.order == "desc":
        all_of_it.reverse()
    start = 0
    if wanted.after is not None:
        ids = [message["id"] for message in all_of_it]
        if wanted.after not in ids:
            raise InputError(f"No message has the id '{wanted.after}'", where="after", hint="Begin again without it.")
        start = ids.index(wanted.after) + 1
    shown = all_of_it[start : start + wanted.limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + len(shown) < len(all_of_it),
    }


def _keep(workspace: Workspace, body: ChatBody, caller: Caller, answer: dict[str, Any]) -> None:
    asked = [
        {"id": f"{answer['id']}-{place}", **message.model_dump(exclude_unset=True)}
        for place, message in enumerate(body.messages)
    ]
    record = {"model": body.model, "metadata": body.metadata or {}, "messages": asked, "completion": answer}
    workspace.add_record(KIND, record, id=answer["id"], project=caller.project)


def _rendered(record: Record) -> dict[str, Any]:
    return {**record.body["completion"], "metadata": record.body["metadata"]}


def _message(given: dict[str, Any]) -> dict[str, Any]:
    message = ChatMessage.model_validate(given)
    parts = message.content if isinstance(message.content, list) else None
    text = message.content if isinstance(message.content, str) else None
    if parts is not None:
        text = "".join(str(part.get("text", "")) for part in parts)
    return {
        "id": given["id"],
        "role": message.role,
        "content": text,
        "content_parts": parts,
        "name": message.name,
        "refusal": message.refusal,
        "annotations": None,
        "audio": None,
        "function_call": message.function_call,
        "tool_calls": message.tool_calls,
        "tool_call_id": message.tool_call_id,
    }

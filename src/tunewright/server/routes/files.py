"""Files: what jobs learn from and batches ask, and what they leave behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import IO, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from tunewright.base.errors import NoSuchRecordError, TunewrightError, WorkspaceError
from tunewright.server import logs
from tunewright.server.context import Caller, Here, Reader
from tunewright.server.errors import ApiError, not_found
from tunewright.server.forms import read_form
from tunewright.server.paging import Wanted, listing, paging
from tunewright.store import Record, Workspace, uploads

PURPOSES = ("fine-tune", "assistants", "batch", "user_data", "vision", "evals")
SHORTEST_LIFE_S, LONGEST_LIFE_S = 3_600, 2_592_000
# As OpenAI's service has it: what a batch has read need not be kept for good.
LIFE_OF_BATCHES_S = LONGEST_LIFE_S
MOST_FILES = 10_000
SWEEP_EVERY_S = 60.0
_JSONL_ONLY = {"fine-tune": "Fine-Tuning", "batch": "Batch"}
_CHUNK_BYTES = 1 << 20

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(PURPOSES)},
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {
                            "type": "integer",
                            "minimum": SHORTEST_LIFE_S,
                            "maximum": LONGEST_LIFE_S,
                        },
                    },
                }
            }
        },
    }
}

FilePaging = Annotated[Wanted, Depends(paging(default=MOST_FILES, most=MOST_FILES))]


@contextlib.asynccontextmanager
async def _sweeping(app: FastAPI) -> AsyncIterator[None]:
    """Removes expired files while the server runs, whether anybody asks for files or not."""
    sweeper = asyncio.create_task(_sweep(app.state.server.workspace))
    try:
        yield
    finally:
        sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeper


async def _sweep(workspace: Workspace) -> None:
    while True:
        try:
            await run_in_threadpool(uploads.sweep_uploads, workspace)
        except (TunewrightError, OSError) as error:  # such as a database that is away: the next sweep removes them
            logs.warned("expired files were not removed", error=str(error))
        await asyncio.sleep(SWEEP_EVERY_S)


router = APIRouter(prefix="/v1/files", tags=["files"], lifespan=_sweeping)


@router.post("", openapi_extra=_FORM)
async def create(request: Request, here: Here, caller: Reader) -> dict[str, Any]:
    """Uploads a file."""
    _check_may_write(caller)
    limit_bytes = here.settings.max_upload_bytes
    with uploads.receive(here.workspace, project=caller.project, limit_bytes=limit_bytes) as upload:

        def opened(filename: str) -> None:
            upload.filename = uploads.clean_filename(filename)

        fields = await read_form(request, file_field="file", opened=opened, write=upload.write)
        upload.purpose = _purpose(fields, upload.filename)
        upload.expires_after_s = _life_s(fields, upload.purpose)
        # Putting the file on disk takes a while: other requests go on meanwhile.
        return render(await run_in_threadpool(upload.keep))


@router.get("")
def list_files(here: Here, caller: Reader, page: FilePaging, purpose: str | None = None) -> dict[str, Any]:
    """The project's files, the newest first."""
    uploads.expire_uploads(here.workspace)
    found = here.workspace.records(
        uploads.KIND,
        project=caller.project,
        after=page.after,
        limit=page.limit,
        order=page.order,
        where=None if purpose is None else {"purpose": purpose},
    )
    return listing(found, render)


@router.get("/{file_id}")
def retrieve(here: Here, caller: Reader, file_id: str) -> dict[str, Any]:
    """One file, without its content."""
    return render(_found(here.workspace, caller, file_id))


@router.get("/{file_id}/content", response_class=Response)
def content(here: Here, caller: Reader, file_id: str) -> Response:
    """A file's bytes, as they were received."""
    record = _found(here.workspace, caller, file_id)
    try:
        # Open before the answer begins: a file that is deleted meanwhile can still be read to its end.
        file = uploads.open_upload(here.workspace, record).open("rb")
    except FileNotFoundError:
        raise not_found("File object", file_id, param="id") from None
    except WorkspaceError as error:  # nothing that the client could put right
        logs.unexpected(error)
        raise ApiError(500, f"{error.what}. Please tell the server's operator.") from error
    name = quote(record.body["filename"], safe="")
    headers = {
        "content-length": str(record.body["bytes"]),
        "content-disposition": f"attachment; filename*=UTF-8''{name}",
    }
    return StreamingResponse(_bytes_of(file), media_type="application/octet-stream", headers=headers)


@router.delete("/{file_id}")
def delete(here: Here, caller: Reader, file_id: str) -> dict[str, Any]:
    """Removes a file for good."""
    _check_may_write(caller)
    record = _found(here.workspace, caller, file_id)
    try:
        uploads.remove_upload(here.workspace, record)
    except NoSuchRecordError:  # another request was first
        raise not_found("File object", file_id, param="id") from None
    return {"id": record.id, "object": "file", "deleted": True}


def render(record: Record) -> dict[str, Any]:
    """A file as the API shows it: every field of `FileObject`."""
    body = record.body
    return {
        "id": record.id,
        "object": "file",
        "bytes": body["bytes"],
        "created_at": record.created_at,
        "expires_at": body["expires_at"],
        "filename": body["filename"],
        "purpose": body["purpose"],
        "status": body["status"],
        "status_details": body["status_details"],
    }


def _found(workspace: Workspace, caller: Caller, file_id: str) -> Record:
    try:
        return uploads.find_upload(workspace, file_id, project=caller.project)
    except NoSuchRecordError:
        raise not_found("File object", file_id, param="id") from None


def _check_may_write(caller: Caller) -> None:
    """Files are for jobs and for batches alike, so either scope will do."""
    if not caller.scopes & {"infer", "train", "admin"}:
        raise ApiError(
            403, "This key may not do that: it lacks the scope 'train' or 'infer'.", code="insufficient_scope"
        )


def _purpose(fields: dict[str, str], filename: str) -> str:
    purpose = fields.get("purpose")
    if purpose is None:
        raise ApiError(400, "'purpose' is a required property", param="purpose", code="missing_required_parameter")
    if purpose not in PURPOSES:
        raise ApiError(400, f"'{purpose:.80}' is not one of {list(PURPOSES)} - 'purpose'", param="purpose")
    if purpose in _JSONL_ONLY and not filename.lower().endswith(".jsonl"):
        raise ApiError(400, f"Invalid file format for {_JSONL_ONLY[purpose]} API. Must be .jsonl", param="file")
    return purpose


def _life_s(fields: dict[str, str], purpose: str) -> int | None:
    """Seconds after which a file expires; None: never."""
    anchor, text = (fields.get(f"expires_after[{name}]") for name in ("anchor", "seconds"))
    if anchor is None and text is None:
        return LIFE_OF_BATCHES_S if purpose == "batch" else None
    if anchor != "created_at":
        raise ApiError(
            400,
            "Files expire after the time of their making: anchor must be 'created_at'.",
            param="expires_after[anchor]",
        )
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) < 10
    if not is_number or not SHORTEST_LIFE_S <= int(text or "") <= LONGEST_LIFE_S:
        raise ApiError(
            400,
            f"Seconds must be a whole number from {SHORTEST_LIFE_S} (an hour) to {LONGEST_LIFE_S} (30 days).",
            param="expires_after[seconds]",
        )
    return int(text or "")


def _bytes_of(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk

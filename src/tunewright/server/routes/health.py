"""Whether the server lives, and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter, Response

from tunewright.base.errors import TunewrightError
from tunewright.server.context import Here, Server

router = APIRouter(tags=["health"])

_READY = "ready"


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process lives."""
    # Without a thread: all of them may be busy, and that is no reason to start the server again.
    return {"status": "ok"}


@router.get("/readyz")
def ready(here: Here, response: Response) -> dict[str, str]:
    """Whether requests should come here: the database answers, the worker lives, and nobody has asked for the end.

    503 where one of them fails; the body says which.
    """
    parts = {"database": _database(here)}
    if here.worker is not None:
        state = here.worker.state()
        parts["worker"] = _READY if state == "running" else state
    if here.is_ending:
        parts["server"] = "ending"
    is_ready = all(said == _READY for said in parts.values())
    response.status_code = 200 if is_ready else 503
    return {"status": _READY if is_ready else "not ready", **parts}


def _database(here: Server) -> str:
    try:
        with here.workspace.database.read() as connection:
            connection.exec_driver_sql("SELECT 1")
    except TunewrightError as error:
        return error.what
    return _READY

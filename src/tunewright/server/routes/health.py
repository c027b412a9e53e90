"""Whether the server lives, and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter, Response

from tunewright.server.context import Here

router = APIRouter(tags=["health"])


@router.get("/healthz")
def alive() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@router.get("/readyz")
def ready(here: Here, response: Response) -> dict[str, str]:
    """The database answers."""
    with here.workspace.database.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    return {"status": "ready"}

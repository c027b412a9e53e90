"""Completions: texts that a model goes on with."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from tunewright.lifecycle.serving.asking import open_completion
from tunewright.lifecycle.serving.bodies import CompletionBody
from tunewright.server.calling import respond
from tunewright.server.context import Here, Inferrer

router = APIRouter(prefix="/v1/completions", tags=["completions"])


@router.post("", response_model=None)
async def create(body: CompletionBody, request: Request, here: Here, caller: Inferrer) -> Response:
    """Has a model go on with a text, or with several; with `stream`, piece by piece."""
    opening = partial(open_completion, here.fleet, body, project=caller.project)
    return await respond(request, here.watch, "text_completion", opening, None)

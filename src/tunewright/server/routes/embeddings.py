"""Embeddings: texts as vectors."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from tunewright.lifecycle.serving.asking import ask_embeddings
from tunewright.lifecycle.serving.bodies import EmbeddingBody
from tunewright.lifecycle.serving.names import find_served
from tunewright.server.context import Here, Inferrer

router = APIRouter(prefix="/v1/embeddings", tags=["embeddings"])


@router.post("")
def create(body: EmbeddingBody, response: Response, here: Here, caller: Inferrer) -> dict[str, Any]:
    """The vector of a text, or of each of several."""
    # Only what is served is counted by its name.
    find_served(here.workspace, body.model, project=caller.project)
    if body.ignored():
        response.headers["x-tunewright-ignored"] = ", ".join(body.ignored())
    with here.watch.begin("embeddings", body.model) as asked:
        answer = ask_embeddings(here.fleet, body, project=caller.project)
        asked.finished(input_tokens=answer["usage"]["prompt_tokens"])
    return answer

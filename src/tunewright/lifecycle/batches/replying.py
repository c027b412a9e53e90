"""Answers a batch's requests as the server's routes would: with the same bodies, and the same refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import TunewrightError
from tunewright.base.refusals import refusal_of
from tunewright.lifecycle.batches.requests import CHAT, COMPLETIONS, EMBEDDINGS
from tunewright.lifecycle.batches.running import Reply
from tunewright.lifecycle.grading import Patience

if TYPE_CHECKING:
    from tunewright.lifecycle.serving.fleet import Fleet


def replier(fleet: Fleet, project: str, patience: Patience) -> Reply:
    """Answers requests by a fleet's models, as a client of a project would be answered."""
    from tunewright.lifecycle.serving.asking import ask_chat, ask_completion, ask_embeddings

    asks = {
        CHAT: lambda body: ask_chat(fleet, body, project=project).body,
        COMPLETIONS: lambda body: ask_completion(fleet, body, project=project),
        EMBEDDINGS: lambda body: ask_embeddings(fleet, body, project=project),
    }

    def reply(endpoint: str, body: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
        try:
            return 200, patience.ask(lambda: asks[endpoint](body))
        except TunewrightError as error:
            told = refusal_of(error)
            return told.status, told.body()

    return reply

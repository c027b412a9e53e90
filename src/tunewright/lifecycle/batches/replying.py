"""Answers a batch's requests as the server's routes would: with the same bodies, and the same refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError, NoSuchRecordError, TunewrightError, UnknownNameError
from tunewright.lifecycle.batches.requests import CHAT, COMPLETIONS, EMBEDDINGS
from tunewright.lifecycle.batches.running import Reply
from tunewright.lifecycle.grading import patiently

if TYPE_CHECKING:
    from tunewright.lifecycle.serving.fleet import Fleet


def replier(fleet: Fleet, project: str) -> Reply:
    """Answers requests by a fleet's models, as a client of a project would be answered."""
    from tunewright.lifecycle.serving.asking import ask_chat, ask_completion, ask_embeddings

    asks = {
        CHAT: lambda body: ask_chat(fleet, body, project=project).body,
        COMPLETIONS: lambda body: ask_completion(fleet, body, project=project),
        EMBEDDINGS: lambda body: ask_embeddings(fleet, body, project=project),
    }

    def reply(endpoint: str, body: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
        try:
            return 200, patiently(lambda: asks[endpoint](body))
        except TunewrightError as error:
            return refusal(error)

    return reply


def refusal(error: TunewrightError) -> tuple[int, dict[str, Any]]:
    """The status and the body, in the API's form, of a request that was not answered."""
    status = 404 if isinstance(error, UnknownNameError | NoSuchRecordError) else 400
    kind = "not_found_error" if status == 404 else "invalid_request_error"
    if not isinstance(error, InputError):
        status, kind = 500, "server_error"
    code = getattr(error, "code", None)
    return status, {"error": {"message": str(error), "type": kind, "param": error.where or None, "code": code}}

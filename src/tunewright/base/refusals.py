"""Errors as OpenAI's API says them: a status, and `{"error": {"message", "type", "param", "code"}}` with all four keys.

The server answers requests so, and a batch's error file its lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunewright.base.errors import (
    DatabaseAwayError,
    DiskFullError,
    EndpointError,
    InputError,
    MissingExtraError,
    NoSuchRecordError,
    OutOfMemoryError,
    TooLargeError,
    TunewrightError,
    UnknownNameError,
    WorkspaceError,
)

INVALID, NOT_FOUND, SERVER = "invalid_request_error", "not_found_error", "server_error"
_TYPES = {401: "authentication_error", 403: "permission_error", 404: NOT_FOUND, 429: "rate_limit_error"}

# The first that fits.
_STATUSES: tuple[tuple[type[TunewrightError], int], ...] = (
    (UnknownNameError, 404),
    (NoSuchRecordError, 404),
    (TooLargeError, 413),
    (OutOfMemoryError, 503),
    (DiskFullError, 507),
    (EndpointError, 502),
    # Of the machine that serves, and not of the request.
    (MissingExtraError, 501),
    (WorkspaceError, 500),
    (InputError, 400),
)
_AWAY_S, _SOON_S = 2.0, 1.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a fault is told.

    Args:
        status: The HTTP status.
        message: What is wrong and what to do, in whole sentences.
        param: The field of the request that is wrong; None where no single one is.
        code: What programs tell it by; None where the type says enough.
        retry_after_s: When it is worth asking again; None: never, as it stands.
    """

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    retry_after_s: float | None = None

    def body(self) -> dict[str, Any]:
        """What is sent."""
        return body(self.status, self.message, param=self.param, code=self.code)


def body(status: int, message: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error's body."""
    kind = _TYPES.get(status, SERVER if status >= 500 else INVALID)
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refusal_of(error: TunewrightError) -> Refusal:
    """How a fault of ours is told; where its class has a `code`, programs are told that."""
    if isinstance(error, DatabaseAwayError):
        return Refusal(503, "The server's database does not answer. Please try again.", retry_after_s=_AWAY_S)
    status = _status(error)
    code: str | None = getattr(error, "code", None)
    retry_after_s: float | None = getattr(error, "retry_after_s", _SOON_S if status == 503 else None)
    if isinstance(error, NoSuchRecordError):
        return Refusal(404, f"No such {error.kind} object: {error.id}", code=code)
    if status < 500:
        return Refusal(status, str(error), error.where or None, code, retry_after_s)
    # Where it happened is a place on this machine, and nobody else's business.
    return Refusal(status, f"{error.what}. {error.hint}".rstrip(), None, code, retry_after_s)


def _status(error: TunewrightError) -> int:
    """The HTTP status of a fault; what says when to come again (`retry_after_s`) is 429."""
    if hasattr(error, "retry_after_s"):
        return 429
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)

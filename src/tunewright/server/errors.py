"""Errors as OpenAI's API says them: `{"error": {"message", "type", "param", "code"}}`, all four keys present."""

from __future__ import annotations

import math

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tunewright.base.errors import DatabaseAwayError, TunewrightError
from tunewright.base.refusals import body, refusal_of
from tunewright.lifecycle.serving.bodies import place_of
from tunewright.server import logs

__all__ = ["ApiError", "add_handlers", "body", "explained", "not_found"]


class ApiError(Exception):
    """A request that is refused.

    Args:
        status: The HTTP status.
        message: What is wrong and what to do, in whole sentences.
        param: The field of the request that is wrong; None where no single one is.
        code: What programs tell it by; None where the type says enough.
        headers: Such as Retry-After.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = headers or {}


def not_found(what: str, name: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """The error for an object that is not there: "No such file object: file-x"."""
    return ApiError(404, f"No such {what}: {name}", param=param, code=code)


def add_handlers(app: FastAPI) -> None:
    """Lets an app answer every foreseen fault in OpenAI's form; the gateway answers the others."""
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(TunewrightError, _ours)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    said = body(error.status, error.message, param=error.param, code=error.code)
    return JSONResponse(said, error.status, error.headers)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first, *others = error.errors()
    if first["type"] == "json_invalid":
        return JSONResponse(body(400, f"The body is not valid JSON: {first['ctx']['error']}."), 400)
    place = place_of(first["loc"][1:])
    more = f" ({len(others)} further fields are wrong too.)" if others else ""
    return JSONResponse(body(400, f"Invalid '{place}': {first['msg']}.{more}", param=place or None), 400)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = str(error.detail)
    if error.status_code in (404, 405):
        message = f"Invalid URL ({request.method} {request.url.path})"
    return JSONResponse(body(error.status_code, message), error.status_code, dict(error.headers or {}))


def _ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, TunewrightError)
    if isinstance(error, DatabaseAwayError):
        logs.warned("the database is away", error=str(error))
    said = explained(error)
    if said.status >= 500 and not isinstance(error, DatabaseAwayError):
        logs.unexpected(error)
    return _refused(_, said)


def explained(error: TunewrightError) -> ApiError:
    """How a fault of ours is told to whoever has asked."""
    told = refusal_of(error)
    headers = {} if told.retry_after_s is None else {"Retry-After": str(max(1, math.ceil(told.retry_after_s)))}
    return ApiError(told.status, told.message, param=told.param, code=told.code, headers=headers)

"""The server's log: a line for each request, as text or as one JSON object. No prompt, key or header stands in it."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from tunewright.base.errors import TunewrightError
from tunewright.server.watching import Noted, noted

Format = Literal["text", "json"]

_log = logging.getLogger("tunewright.server")
_FIELDS = "fields"


def set_up(form: Format, *, debug: bool = False, stream: TextIO | None = None) -> None:
    """Sends the server's lines, and the web server's own warnings, to standard error.

    Args:
        debug: Whether the words of unexpected faults are written too; they may hold what a client sent.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    ours = logging.getLogger("tunewright")
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(logging.DEBUG if debug else logging.INFO)
    web = logging.getLogger("uvicorn.error")
    web.handlers, web.propagate = [handler], False
    web.setLevel(logging.WARNING)
    web.filters = [_not_logged_yet]


def request(seen: Noted, method: str, route: str, status: int, took_s: float, *, is_whole: bool) -> None:
    """One request that has been answered.

    Args:
        route: The pattern that matched; the path itself may hold names that are nobody's business.
        is_whole: Whether the answer's end was sent.
    """
    fields: dict[str, Any] = {
        "request_id": seen.request_id,
        "method": method,
        "route": route,
        "status": status,
        "ms": round(took_s * 1000, 1),
    }
    if seen.key:
        fields["key"] = seen.key
    if seen.operation:
        fields |= {
            "operation": seen.operation,
            "model": seen.model,
            "input_tokens": seen.input_tokens,
            "output_tokens": seen.output_tokens,
        }
    if not is_whole:
        fields["cut"] = True
    _log.info("request", extra={_FIELDS: fields})


def unexpected(error: BaseException) -> None:
    """A fault that nobody foresaw: where it happened, and of what kind."""
    _log.error("unexpected fault", extra={_FIELDS: {"request_id": noted.get().request_id, **_fault(error)}})


def said(what: str, **fields: Any) -> None:
    """Anything else that an operator wants to know."""
    _log.info(what, extra={_FIELDS: fields})


def warned(what: str, **fields: Any) -> None:
    """Something that an operator should look at."""
    _log.warning(what, extra={_FIELDS: fields})


def _fault(error: BaseException) -> dict[str, Any]:
    fields = {"error": type(error).__name__, "traceback": _frames(error)}
    if isinstance(error, TunewrightError) or _log.isEnabledFor(logging.DEBUG):
        fields["what"] = str(error)
    return fields


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What stands beside a line; of a fault that another room has logged, the same as of ours."""
    fields: dict[str, Any] = dict(getattr(record, _FIELDS, {}))
    if record.exc_info and record.exc_info[1] is not None:
        fields |= _fault(record.exc_info[1])
    return fields


def _frames(error: BaseException) -> str:
    """Our own places on the way to a fault, and the last one, whoever's it is; not what stands there."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames[:-1] if "tunewright" in Path(frame.filename).parts]
    return "\n".join(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in [*ours, *frames[-1:]])


def _not_logged_yet(record: logging.LogRecord) -> bool:
    # The gateway has logged what left the application, without what a client sent.
    return not record.getMessage().startswith("Exception in ASGI application")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_fields(record),
        }
        return json.dumps(line, ensure_ascii=False, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        frames = fields.pop("traceback", "")
        if record.getMessage() == "request":
            head = f"{fields.pop('status')} {fields.pop('method')} {fields.pop('route') or '-'} {fields.pop('ms')} ms"
        else:
            head = f"{record.levelname.lower()}: {record.getMessage()}"
        rest = " ".join(f"{name}={value}" for name, value in fields.items())
        return "\n".join(line for line in (f"{at} {head} {rest}".rstrip(), frames) if line)

"""Connections that may not be held for nothing: bounded in number, in the size of their headers, and in time.

uvicorn's own limits answer in plain text without Retry-After, and it has none for a client that sends its headers, or
reads its answer, a byte at a time.
"""

from __future__ import annotations

import asyncio
import json
import sys

import h11
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from tunewright.server.errors import body

HEADER_BYTES = 32 << 10
_TOO_LARGE = 431


class Connection(H11Protocol):
    """One connection, over which requests come one after another."""

    most = 512
    header_timeout_s = 10.0
    stall_timeout_s = 60.0
    _headers_due: asyncio.TimerHandle | None = None
    _reading_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins; beyond `most` connections requests are refused, beyond twice as many there is no answer at all."""
        super().connection_made(transport)
        if len(self.connections) > 2 * self.most:
            transport.abort()
            return
        if len(self.connections) > self.most:
            self.app = _too_many
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Takes what the client sends; a request's headers have to be whole in time."""
        if self._is_idle() and self._headers_due is None:
            self._await_headers()
        super().data_received(data)
        if not self._is_idle():
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends, and with it its clocks."""
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client has not read for a while: an answer that it never reads is given up."""
        super().pause_writing()
        self._reading_due = self.loop.call_later(self.stall_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._reading_due is not None:
            self._reading_due.cancel()
            self._reading_due = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP, in the form of all other errors."""
        error = sys.exception()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == _TOO_LARGE:
            self._answer(
                _TOO_LARGE, f"The request's headers are larger than {HEADER_BYTES:,} bytes, and are not taken."
            )
        else:
            self._answer(400, "This is no valid HTTP request.")

    def _answer(self, status: int, message: str) -> None:
        said = json.dumps(body(status, message)).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(said)).encode()),
            (b"connection", b"close"),
        ]
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=said), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_headers(self) -> None:
        self._headers_due = self.loop.call_later(self.header_timeout_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _give_up(self) -> None:
        self._headers_due = None
        if self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE:
            self._answer(408, "The request's headers came too slowly.")
        else:
            self.transport.abort()


def bounded(*, most: int, header_timeout_s: float, stall_timeout_s: float) -> type[Connection]:
    """The connections of one server.

    Args:
        most: How many there may be before new ones are told to come again.
        header_timeout_s: Until a request's headers must be whole.
        stall_timeout_s: How long a client may leave its answer unread.
    """
    limits = {"most": most, "header_timeout_s": header_timeout_s, "stall_timeout_s": stall_timeout_s}
    return type("Bounded", (Connection,), limits)


async def _too_many(scope: Scope, receive: Receive, send: Send) -> None:
    said = body(503, "The server has as many connections as it can hold. Please try again in a second.")
    response = JSONResponse(said, 503, {"Retry-After": "1", "connection": "close"})
    await response(scope, receive, send)

"""A request's body while it arrives: not more than allowed, and not slower."""

from __future__ import annotations

import asyncio
import contextlib
import time

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from tunewright.server.errors import ApiError

_DISCARDED_BYTES, _DISCARDED_S = 4 << 20, 0.5


class Body:
    """Stands between the connection and whoever reads the body.

    Args:
        receive: The connection.
        headers: The request's.
        most: The largest body in bytes, whether its size is declared or not.
        patience_s: The longest time without a byte, and the longest that the whole may be behind `rate`.
        rate: The least bytes a second, so that a drip every now and then does not hold a connection for ever.

    Attributes:
        refusal: Why it is no longer read; None while it is.
        is_read: Whether all of it has come.
    """

    def __init__(self, receive: Receive, headers: Headers, most: int, patience_s: float, rate: int) -> None:
        self._receive, self._most, self._patience_s, self._rate = receive, most, patience_s, rate
        self._began_s: float | None = None
        self._bytes = 0
        declared = headers.get("content-length", "")
        self._declared = int(declared) if declared.isascii() and declared.isdigit() else 0
        self.is_read = not self._declared and "transfer-encoding" not in headers
        self.refusal: ApiError | None = None
        # Such a client sends nothing before it is told to, and reading would tell it to.
        self._waits_for_leave = "expect" in headers

    def check_length(self) -> None:
        """Refuses a body that says itself that it is too large.

        Raises:
            ApiError: 413.
        """
        if self._declared > self._most:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next message of the connection.

        Raises:
            HTTPException: Once the body is refused; `refusal` says why. Frameworks let this class through unchanged.
        """
        if self.is_read:
            return await self._receive()
        if self._began_s is None:  # only now: that nobody has looked before is not the client's fault
            self._began_s = time.monotonic()
        try:
            async with asyncio.timeout(self._patience(self._began_s)):
                message = await self._receive()
        except TimeoutError:
            raise self._refused(_too_slow()) from None
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self.is_read = not message.get("more_body", False)
            if self._bytes > self._most:
                raise self._refused(self._too_large())
        return message

    async def discard(self) -> None:
        """Reads some of what still comes, and throws it away: who is still sending would else not read the refusal."""
        if self._waits_for_leave:
            return
        left = _DISCARDED_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DISCARDED_S):
                while left > 0:
                    message = await self._receive()
                    if not message.get("more_body", False):
                        return
                    left -= len(message["body"])

    def _patience(self, began_s: float) -> float:
        """Seconds until the next byte must be here."""
        due_s = began_s + self._patience_s + self._bytes / self._rate
        return max(0.0, min(self._patience_s, due_s - time.monotonic()))

    def _refused(self, why: ApiError) -> HTTPException:
        self.refusal = why
        return HTTPException(why.status, why.message)

    def _too_large(self) -> ApiError:
        return ApiError(413, f"The body is larger than the {self._most:,} bytes that are taken.", code="body_too_large")


def _too_slow() -> ApiError:
    return ApiError(408, "The body came too slowly, and was given up. Please try again.", code="body_timeout")

"""What every request passes on its way in and out: who asks, how much and how fast, under which number.

A plain ASGI middleware, so that streams flow through it piece by piece and a client that hangs up is noticed. It is
the outermost of ours: whatever goes wrong behind it is answered in OpenAI's form, with a number to ask about.
"""

from __future__ import annotations

import re
import secrets
import time

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunewright.base.errors import DatabaseAwayError
from tunewright.server import logs
from tunewright.server.access import check_origin, identify
from tunewright.server.bodies import Body
from tunewright.server.context import Caller, Server
from tunewright.server.errors import ApiError, body, explained
from tunewright.server.watching import Noted, noted

API_VERSION = "2020-10-01"
# Probes and the API's description ask for no key: they tell nothing of what is kept here.
_OPEN = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json", "/favicon.ico"})
_UPLOADS = frozenset({"/v1/files"})
# What multipart puts around a file.
_ENVELOPE_BYTES = 64 << 10
# In place of a status, where the client was gone before there was one.
_HUNG_UP = 499
# Keys that are looked up at a time.
_LOOKUPS = 8
_NUMBER = re.compile(r"[\x21-\x7e]{1,128}")
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Gateway:
    """The middleware.

    Args:
        app: What answers.
        server: Whose settings hold.
    """

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app, self._server = app, server
        self._under_way = 0
        self._lookups = CapacityLimiter(_LOOKUPS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._answer(Exchange(self._server, scope, receive, send))
        finally:
            self._under_way -= 1

    async def _answer(self, exchange: Exchange) -> None:
        token = noted.set(exchange.noted)
        try:
            await self._admit(exchange)
            await self._app(exchange.scope, exchange.body.receive, exchange.send)
        except ApiError as error:
            await exchange.refuse(error)
        except DatabaseAwayError as error:  # while the key was looked up
            logs.warned("the database is away", error=error.what)
            await exchange.refuse(explained(error))
        except Exception as error:
            if exchange.body.refusal is not None:
                await exchange.refuse(exchange.body.refusal)
                return
            logs.unexpected(error)
            await exchange.refuse(_our_fault(exchange.noted.request_id))
            raise
        finally:
            exchange.end()
            noted.reset(token)

    async def _admit(self, exchange: Exchange) -> None:
        """Lets a request in.

        Raises:
            ApiError: If it may not come in.
        """
        if self._under_way > self._server.settings.max_requests:
            raise ApiError(
                503,
                "The server is answering as many requests as it can. Please try again in a second.",
                code="server_overloaded",
                headers={"Retry-After": "1"},
            )
        check_origin(self._server.settings, exchange.scope, exchange.headers)
        if exchange.path not in _OPEN:
            exchange.caller = await self._identify(exchange.headers)
            exchange.noted.key = exchange.caller.key
            self._server.limits.take_request(exchange.caller.key)
            exchange.is_limited = True
        exchange.scope["state"]["caller"] = exchange.caller
        exchange.body.check_length()

    async def _identify(self, headers: Headers) -> Caller:
        if not self._server.settings.keys:
            return identify(self._server, headers)
        # Threads of its own: those of the routes may all be busy, and whoever has no key must not wait for them.
        return await to_thread.run_sync(identify, self._server, headers, limiter=self._lookups)


class Exchange:
    """One request and its answer."""

    def __init__(self, server: Server, scope: Scope, receive: Receive, send: Send) -> None:
        self.server, self.scope, self._send = server, scope, send
        self.headers = Headers(scope=scope)
        self.path: str = scope["path"]
        self.caller = Caller(scopes=frozenset(), organization=server.settings.organization)
        self.is_limited = False
        self._began_s = time.monotonic()
        self._status = 0
        self._is_whole = False
        self.noted = Noted(_number(self.headers), traceparent=_trace(self.headers))
        state = scope.setdefault("state", {})
        state["request_id"] = self.noted.request_id
        state["caller"] = self.caller
        settings = server.settings
        is_upload = self.path.rstrip("/") in _UPLOADS
        most = settings.max_upload_bytes + _ENVELOPE_BYTES if is_upload else settings.max_body_bytes
        self.body = Body(receive, self.headers, most, settings.body_timeout_s, settings.min_body_rate)

    async def send(self, message: Message) -> None:
        """Passes a piece of the answer on, with our headers on its first one."""
        if message["type"] == "http.response.start":
            # Whatever the application made of a body that was refused while it read: the refusal is the answer.
            if self.body.refusal is not None:
                await self.refuse(self.body.refusal)
                return
            self._start(message)
        elif self._is_whole:
            return
        elif message["type"] == "http.response.body":
            self._is_whole = not message.get("more_body", False)
        await self._send(message)

    async def refuse(self, error: ApiError) -> None:
        """Answers with an error, unless an answer has begun."""
        if self._status:
            return
        said = body(error.status, error.message, param=error.param, code=error.code)
        response = JSONResponse(said, error.status, error.headers)
        if not self.body.is_read:  # what still comes of it would be taken for the next request
            response.headers["connection"] = "close"
        message: Message = {"type": "http.response.start", "status": error.status, "headers": response.raw_headers}
        self._start(message)
        await self._send(message)
        await self._send({"type": "http.response.body", "body": response.body, "more_body": not self.body.is_read})
        if not self.body.is_read:
            if error.status != 408:  # nobody is sending
                await self.body.discard()
            await self._send({"type": "http.response.body", "body": b""})
        self._is_whole = True

    def end(self) -> None:
        """Counts and logs the exchange."""
        route = getattr(self.scope.get("route"), "path", "")
        took_s = time.monotonic() - self._began_s
        status, method = self._status or _HUNG_UP, _method(self.scope)
        self.server.watch.request_ended(method, route, status, took_s)
        logs.request(self.noted, method, route, status, took_s, is_whole=self._is_whole)

    def _start(self, message: Message) -> None:
        self._status = message["status"]
        headers = MutableHeaders(raw=message.setdefault("headers", []))
        message["headers"] = headers.raw
        headers["x-request-id"] = self.noted.request_id
        headers["openai-processing-ms"] = str(round((time.monotonic() - self._began_s) * 1000))
        headers["openai-version"] = API_VERSION
        headers["x-content-type-options"] = "nosniff"
        headers["openai-organization"] = self.caller.organization
        headers["openai-project"] = self.caller.project
        if self.is_limited:
            for name, value in self.server.limits.headers(self.caller.key).items():
                headers.setdefault(name, value)


def _method(scope: Scope) -> str:
    """The method as it is counted: there are few, whatever a client makes up."""
    known = ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS")
    return scope["method"] if scope["method"] in known else "_OTHER"


def _number(headers: Headers) -> str:
    """The client's own number for its request, where it is short and plain; else a new one."""
    given = headers.get("x-request-id", "")
    return given if _NUMBER.fullmatch(given) else f"req_{secrets.token_hex(16)}"


def _trace(headers: Headers) -> str:
    given = headers.get("traceparent", "")
    return given if _TRACE.fullmatch(given) else ""


def _our_fault(number: str) -> ApiError:
    # What went wrong inside is for the log, not for whoever asks.
    return ApiError(500, f"The server had an error while processing your request ({number}).")

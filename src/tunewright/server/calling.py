"""A model's answer over HTTP: whole, or as a stream of events; ended as soon as the client hangs up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from tunewright.base.errors import TunewrightError
from tunewright.generate.serving.request import Heard, Piece
from tunewright.lifecycle.serving.answering import Answering
from tunewright.server import logs
from tunewright.server.errors import body, explained
from tunewright.server.watching import Asked, Operation, Watch

# What the log says of a client that was gone before its answer; no client ever reads it.
_HUNG_UP = 499
_CANCELLED = "cancelled"

Open = Callable[[], Answering]
Keep = Callable[[dict[str, Any]], None]


async def respond(request: Request, watch: Watch, operation: Operation, opening: Open, keep: Keep | None) -> Response:
    """Has a model answer.

    Args:
        request: Whose client may hang up.
        watch: Is told of the answer.
        operation: What it is called there.
        opening: Renders the request and seats its model; runs in a thread, since that may load one.
        keep: Stores the whole answer, in a thread; None: it is not kept.
    """
    call = Call(await _opened(opening), watch, operation, keep)
    try:
        call.submit()
    except BaseException as error:
        call.end(error)
        raise
    headers = {"x-tunewright-ignored": ", ".join(call.answering.ignored)} if call.answering.ignored else {}
    if call.answering.body.stream:
        return _Stream(call, headers)
    return await _whole(request, call, headers)


class Call:
    """An answer that is under way for a client, in the server's event loop.

    Args:
        answering: What is answered; left at the end.
        watch: Is told of it.
        operation: What it is called there.
        keep: As `respond` takes it.
    """

    def __init__(self, answering: Answering, watch: Watch, operation: Operation, keep: Keep | None) -> None:
        self.answering, self._keep = answering, keep
        self._asked: Asked = watch.begin(operation, answering.seat.served.name)
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Queue[tuple[int, Heard]] = asyncio.Queue()
        self._is_ended = False
        self._written = 0

    def submit(self) -> None:
        """Hands the request to its engine."""
        self.answering.submit(self._hear)

    def _hear(self, number: int, heard: Heard) -> None:
        if not self._loop.is_closed():  # at the server's end nobody listens any more
            self._loop.call_soon_threadsafe(self._heard.put_nowait, (number, heard))

    async def chunks(self) -> AsyncIterator[dict[str, Any]]:
        """What a stream tells, up to the end of the answer."""
        answering = self.answering
        for chunk in answering.opening():
            yield chunk
        while not answering.is_over:
            number, heard = await self._heard.get()
            if isinstance(heard, Piece):
                self._asked.first_token()
                self._written += len(heard.tokens)
            for chunk in answering.take(number, heard):
                yield chunk
        for chunk in answering.closing():
            yield chunk

    async def whole(self) -> dict[str, Any]:
        """The whole answer, kept where that is asked for."""
        answer = self.answering.answer()
        if self._keep is not None:
            await run_in_threadpool(self._keep, answer)
        return answer

    def end(self, error: BaseException | str = "") -> None:
        """Calls off what is not over, and lets the model go; later calls do nothing.

        Args:
            error: What ended it; empty where it was answered.
        """
        if self._is_ended:
            return
        self._is_ended = True
        if not self.answering.is_over:
            self.answering.cancel()
            error = error or _CANCELLED
        usage = self.answering.usage
        # Of an answer that is cut nobody has told the sums, and who hangs up has had the tokens all the same.
        self._asked.finished(
            input_tokens=usage.prompt or sum(len(each.prompt) for each in self.answering.requests),
            output_tokens=max(usage.completion, self._written),
            cached_tokens=usage.cached,
            error=error,
        )
        self.answering.leave()


class _Stream(EventSourceResponse):
    """Server-sent events, in the form of OpenAI's: data alone, and `[DONE]` at the end."""

    def __init__(self, call: Call, headers: dict[str, str]) -> None:
        super().__init__(self._events(call), headers=headers, sep="\n")
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Here and not in the generator, which is never entered where the client is gone already.
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._call.end()

    async def _events(self, call: Call) -> AsyncIterator[dict[str, str]]:
        try:
            async for chunk in call.chunks():
                yield {"data": json.dumps(chunk, ensure_ascii=False)}
            await call.whole()
        except Exception as error:
            call.end(error)
            yield {"event": "error", "data": json.dumps(_told(error), ensure_ascii=False)}
            return
        yield {"data": "[DONE]"}


async def _whole(request: Request, call: Call, headers: dict[str, str]) -> Response:
    """The whole answer, unless the client hangs up first."""
    answered = asyncio.ensure_future(_answered(call))
    gone = asyncio.ensure_future(_hung_up(request))
    error: BaseException | str = ""
    try:
        await asyncio.wait({answered, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answered.done():
            return Response(status_code=_HUNG_UP)
        return JSONResponse(answered.result(), headers=headers)
    except BaseException as fault:
        error = fault
        raise
    finally:
        answered.cancel()
        gone.cancel()
        call.end(error)


async def _answered(call: Call) -> dict[str, Any]:
    async for _ in call.chunks():
        pass
    return await call.whole()


async def _hung_up(request: Request) -> None:
    """Waits until the client is gone; its body has been read, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _opened(opening: Open) -> Answering:
    """Opens an answer in a thread; where nobody waits for it any more, it is left."""
    task = asyncio.ensure_future(run_in_threadpool(opening))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_leave)
        raise


def _leave(task: asyncio.Future[Answering]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().leave()


def _told(error: Exception) -> dict[str, Any]:
    """An error as it stands in a stream that has begun."""
    if isinstance(error, TunewrightError):
        said = explained(error)
        return body(said.status, said.message, param=said.param, code=said.code)
    logs.unexpected(error)
    return body(500, "The server had an error while answering; the answer is not whole.")

"""Models that name classes: they answer without an engine, one request after another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import BusyError
from tunewright.base.quiet import quiet

if TYPE_CHECKING:
    from tunewright.generate.serving.request import Hear, Heard, Request
    from tunewright.models.chat import Turn
    from tunewright.models.class_format import ClassFormat

_MOST_WAITING = 256
_RETRY_S = 2.0


class Direct:
    """A model with a head of classes.

    Args:
        model: Loaded, with its adapter and its head.
        format: How it reads conversations.
        longest: Most tokens that it reads; a longer conversation is cut, and its answer says so.
    """

    def __init__(self, model: Any, format: ClassFormat, longest: int) -> None:
        self._model, self._format, self._longest = model, format, longest
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="classes")
        self._waiting = 0
        self._guard = threading.Lock()

    def submit(self, turns: Sequence[Turn], request: Request, hear: Hear) -> Submitted:
        """Names the class of a conversation; what is heard is what an engine says, the name in one piece.

        Every answer to it is the same: nothing is drawn.

        Raises:
            BusyError: If too many wait.
        """
        with self._guard:
            if self._waiting >= _MOST_WAITING:
                raise BusyError(f"{_MOST_WAITING} requests wait already", retry_after_s=_RETRY_S)
            self._waiting += 1
        future = self._threads.submit(self._run, list(turns), request, hear)
        future.add_done_callback(self._one_less)
        return Submitted(future, request, hear)

    def stop(self) -> None:
        """Answers no more: what waits is called off, and what is being answered is waited for."""
        self._threads.shutdown(cancel_futures=True)

    def _run(self, turns: list[Turn], request: Request, hear: Hear) -> None:
        from tunewright.evaluate import predict_classes
        from tunewright.generate.serving.request import Done, Ended, Failed, Piece

        try:
            with quiet():
                (found,) = predict_classes(self._model, self._format, [turns], limit=self._longest)
        except Exception as error:
            hear(Failed(error))
            return
        for sample in range(request.samples):
            hear(Piece(sample, (), found.text))
            hear(Ended(sample, "stop" if found.whole else "length"))
        hear(Done(len(request.prompt), 0, 0))

    def _one_less(self, _: Future[None]) -> None:
        with self._guard:
            self._waiting -= 1


class Submitted:
    """A request that waits for its turn, or has it."""

    def __init__(self, future: Future[None], request: Request, hear: Callable[[Heard], None]) -> None:
        self._future, self._request, self._hear = future, request, hear

    def cancel(self) -> None:
        """Calls it off, if it has not begun."""
        from tunewright.generate.serving.request import Done, Ended

        if self._future.cancel():
            for sample in range(self._request.samples):
                self._hear(Ended(sample, "cancelled"))
            self._hear(Done(len(self._request.prompt), 0, 0))

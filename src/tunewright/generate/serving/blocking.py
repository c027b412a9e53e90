"""Whole answers of a serving engine, for callers that have no use for pieces."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tunewright.base.errors import BusyError
from tunewright.generate.drawing import Chosen
from tunewright.generate.serving.engine import Engine, Ticket
from tunewright.generate.serving.request import Done, Ended, Failed, Heard, Piece, Request


@dataclass(frozen=True, slots=True)
class Written:
    """One answer.

    Args:
        tokens: Without what ended it.
        text: Likewise.
        reason: What ended it.
    """

    tokens: tuple[Chosen, ...]
    text: str
    reason: Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A request's answers, and what they took."""

    answers: tuple[Written, ...]
    done: Done


@dataclass
class Listening:
    """Gathers what is heard of a request, and says when it is over.

    Args:
        samples: Its answers.
    """

    samples: int
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._tokens = [list[Chosen]() for _ in range(self.samples)]
        self._texts = [list[str]() for _ in range(self.samples)]
        self._reasons: dict[int, Literal["stop", "length", "cancelled"]] = {}
        self._last: Done | Failed | None = None

    def hear(self, heard: Heard) -> None:
        """Takes in one thing that is heard."""
        if isinstance(heard, Piece):
            self._tokens[heard.sample] += heard.tokens
            self._texts[heard.sample].append(heard.text)
        elif isinstance(heard, Ended):
            self._reasons[heard.sample] = heard.reason
        else:
            self._last = heard
            self.over.set()

    def result(self) -> Answered:
        """What was heard, once it is over.

        Raises:
            Exception: What the request failed with.
        """
        self.over.wait()
        assert self._last is not None
        if isinstance(self._last, Failed):
            raise self._last.error
        written = [
            Written(tuple(tokens), "".join(texts), self._reasons[sample])
            for sample, (tokens, texts) in enumerate(zip(self._tokens, self._texts, strict=True))
        ]
        return Answered(tuple(written), self._last)


def answer(engine: Engine, request: Request) -> Answered:
    """A request's answers, all of them.

    Args:
        engine: Started.
        request: What is asked for.
    Raises:
        InputError: If the request does not fit.
        BusyError: If the engine takes nothing more on at the moment.
        Exception: What the request failed with.
    """
    return _asked(engine, request)[0].result()


def answer_each(engine: Engine, requests: Sequence[Request]) -> Iterator[Answered]:
    """Each request's answers, in their order; as many at a time as the engine takes on. Raises as `answer` does."""
    asked: deque[tuple[Listening, Ticket]] = deque()
    try:
        for request in requests:
            while True:
                try:
                    asked.append(_asked(engine, request))
                    break
                except BusyError as error:
                    if asked:
                        yield asked[0][0].result()
                        asked.popleft()
                    elif engine.stopping:
                        raise
                    else:  # others have filled the queue
                        time.sleep(min(error.retry_after_s, 1.0))
        while asked:
            yield asked[0][0].result()
            asked.popleft()
    finally:
        for _, ticket in asked:
            ticket.cancel()


def _asked(engine: Engine, request: Request) -> tuple[Listening, Ticket]:
    listening = Listening(request.samples)
    return listening, engine.submit(request, listening.hear)

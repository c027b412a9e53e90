"""An answer that is under way, whatever was asked: what is submitted, what is told while it is written, and what it is.

A chat and a completion are each an `Answering`; a blocking caller (`answer`) and a stream over HTTP drive it alike.
"""

from __future__ import annotations

import queue
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tunewright.base.errors import InputError
from tunewright.lifecycle.serving.bodies import Drawn
from tunewright.lifecycle.serving.fleet import Seat

if TYPE_CHECKING:
    from tunewright.generate.drawing import Choosing
    from tunewright.generate.serving.request import Done, Heard, Request

Hear = Callable[[int, "Heard"], None]
Chunk = dict[str, Any]


class Ticket(Protocol):
    """A request that was submitted."""

    def cancel(self) -> None:
        """Calls it off; what hears of it is told that it has ended."""
        ...


class ContextLengthError(InputError):
    """A prompt is longer than the model reads."""

    code = "context_length_exceeded"


class Usage:
    """The tokens that were read and written, as they are told at the end."""

    def __init__(self) -> None:
        self.prompt = self.cached = self.completion = 0

    def add(self, done: Done) -> None:
        """Counts a request that has ended."""
        self.prompt += done.prompt_tokens
        self.cached += done.cached_tokens
        self.completion += done.completion_tokens

    def as_json(self) -> dict[str, Any]:
        """In OpenAI's form."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


class Answering(ABC):
    """One body's answer.

    Args:
        seat: The model that answers; left when the answering is left.
        body: What was asked.
        id: The answer's.
        requests: What is submitted, in order; none where nothing is to be written.
    """

    def __init__(self, seat: Seat, body: Drawn, id: str, requests: Sequence[Request]) -> None:
        self.seat, self.body, self.id = seat, body, id
        self.created = int(time.time())
        self.usage = Usage()
        self.requests = tuple(requests)
        self._tickets: list[Ticket] = []
        self._left = len(self.requests)

    @property
    def ignored(self) -> list[str]:
        """Fields of the body that change nothing here."""
        return self.body.ignored()

    @property
    def is_over(self) -> bool:
        """Whether all has been heard."""
        return self._left == 0

    def submit(self, hear: Hear) -> None:
        """Hands the requests over; `hear` is then told of each by its number, perhaps in another thread.

        Raises:
            BusyError: If there is no place for one of them; none goes on then.
            InputError: If one cannot be answered.
        """
        try:
            for number, request in enumerate(self.requests):
                self._tickets.append(self._submit(request, lambda heard, number=number: hear(number, heard)))  # type: ignore[misc]
        except BaseException:
            self.cancel()
            raise

    def _submit(self, request: Request, hear: Callable[[Heard], None]) -> Ticket:
        assert self.seat.engine is not None
        ticket: Ticket = self.seat.engine.submit(request, hear)
        return ticket

    def cancel(self) -> None:
        """Calls off what is still being written."""
        for ticket in self._tickets:
            ticket.cancel()

    def leave(self) -> None:
        """Lets the model go; called in the end, whatever happened."""
        self.seat.leave()

    def take(self, number: int, heard: Heard) -> list[Chunk]:
        """Takes what was heard of a request; gives what a stream tells of it.

        Raises:
            Exception: What made the request fail.
        """
        from tunewright.generate.serving.request import Done, Failed

        if isinstance(heard, Failed):
            raise heard.error
        if isinstance(heard, Done):
            self.usage.add(heard)
            self._left -= 1
        return self.read(number, heard)

    @abstractmethod
    def opening(self) -> list[Chunk]:
        """What a stream tells first."""

    @abstractmethod
    def read(self, number: int, heard: Heard) -> list[Chunk]:
        """Takes up what was heard; gives what a stream tells of it."""

    @abstractmethod
    def closing(self) -> list[Chunk]:
        """What a stream tells last."""

    @abstractmethod
    def answer(self) -> dict[str, Any]:
        """The whole answer, once it is over."""


def answer(answering: Answering) -> dict[str, Any]:
    """Waits for the whole of an answer, and leaves it.

    Raises:
        BusyError: If there is no place for it now.
        InputError: If it cannot be answered.
    """
    heard: queue.SimpleQueue[tuple[int, Heard]] = queue.SimpleQueue()
    try:
        answering.submit(lambda number, each: heard.put((number, each)))
        while not answering.is_over:
            answering.take(*heard.get())
        return answering.answer()
    except BaseException:
        answering.cancel()
        raise
    finally:
        answering.leave()


def choosing_of(body: Drawn, words: int) -> Choosing:
    """How a body has its answers drawn.

    Args:
        words: Tokens of the model's vocabulary.

    Raises:
        InputError: If a bias is for no token, or out of its range.
    """
    from tunewright.generate.drawing import Choosing

    given = {
        name: value
        for name in (
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "seed",
            "frequency_penalty",
            "presence_penalty",
            "repetition_penalty",
        )
        if (value := getattr(body, name)) is not None
    }
    found = Choosing(**given, logit_bias=_biases(body))
    found.check(words)
    return found


def _biases(body: Drawn) -> dict[int, float]:
    """Biases by token. One of 0 says nothing, whatever it is for."""
    found = {}
    for token, bias in (body.logit_bias or {}).items():
        if bias == 0:
            continue
        if not (token.isascii() and token.isdigit()):
            raise InputError(f"'{token}' is no token's number", where="logit_bias")
        found[int(token)] = bias
    return found


def room(prompt: int, longest: int, wanted: int | None, where: str) -> int:
    """How many tokens an answer may have.

    Args:
        prompt: Tokens of the prompt.
        longest: Tokens that the model reads, prompt and answer together.
        wanted: As the body says; None: as many as there is room for.
        where: The field that the prompt stands in.

    Raises:
        ContextLengthError: If the prompt leaves no room for what is wanted.
    """
    left = longest - prompt
    if left < 0 or (left == 0 and wanted != 0):
        raise ContextLengthError(
            f"The prompt has {prompt:,} tokens, and this model reads {longest:,}, its answer included", where=where
        )
    return left if wanted is None else min(wanted, left)

"""A request that is being answered, and each of its answers."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from tunewright.generate.drawing import Chosen, RowState
from tunewright.generate.serving.request import Done, Ended, Failed, Hear, Heard, Piece, Request
from tunewright.generate.writing import TextStream

if TYPE_CHECKING:
    from tunewright.generate.constraint import Constraint

Decode = Callable[[Sequence[int]], str]

_numbers = itertools.count()
_log = logging.getLogger("tunewright.engine")


class Job:
    """A request, who hears of it, and how far it is.

    Args:
        request: What is asked for.
        hear: Hears of it.
        decode: The text of tokens.

    `wanted` is cleared by whoever calls the request off; what has begun ends before the next pass. `over` tells that
    the last has been said.
    """

    def __init__(self, request: Request, hear: Hear, decode: Decode) -> None:
        self.request, self.wanted, self.over = request, True, False
        self.cached_tokens = 0
        self.scores: list[Chosen] = []
        self.number = next(_numbers)  # in the order in which requests came
        self._hear = hear
        self._asked = time.monotonic()
        self._began = self._first = math.nan
        self.answers = [Answer(self, sample, decode) for sample in range(request.samples)]

    def begin(self, cached_tokens: int) -> bool:
        """Notes that its prompt begins to be read, and how much of it need not be; whether this is the first time."""
        if not math.isnan(self._began):
            return False
        self._began, self.cached_tokens = time.monotonic(), cached_tokens
        return True

    @property
    def seconds(self) -> float:
        """Seconds since it was taken up; 0 for one that still waits."""
        return 0.0 if math.isnan(self._began) else time.monotonic() - self._began

    def note_token(self) -> None:
        """Notes that a token has been chosen."""
        if math.isnan(self._first):
            self._first = time.monotonic()

    def tell(self, heard: Heard) -> None:
        """Says something to whoever asked. One who cannot hear any more has hung up, and the request is called off."""
        if not self.over:
            self._say(heard)

    def _tell_last(self, heard: Done | Failed) -> None:
        """Says the last; who hears it may ask for more at once, so it is over by then."""
        if not self.over:
            self.over = True
            self._say(heard)

    def _say(self, heard: Heard) -> None:
        try:
            self._hear(heard)
        except Exception:  # whatever it is, it is the listener's fault, and no reason to stop answering others
            _log.exception("A listener failed; its request is called off")
            self.wanted, self.over = False, True

    def ended(self) -> None:
        """Says that it is done once all of its answers have ended."""
        if not all(answer.ended for answer in self.answers):
            return
        now = time.monotonic()
        self._tell_last(
            Done(
                len(self.request.prompt),
                self.cached_tokens,
                sum(len(answer.tokens) for answer in self.answers),
                None if self.request.prompt_logprobs is None else tuple(self.scores),
                _seconds(self._asked, self._began, now),
                _seconds(self._asked, self._first, now),
                now - self._asked,
            )
        )

    def call_off(self) -> None:
        """Ends all of its answers as they stand."""
        for answer in self.answers:
            answer.end("cancelled")

    def fail(self, error: Exception) -> None:
        """Ends it with an error."""
        self._tell_last(Failed(error))


class Answer:
    """An answer that is being written.

    Args:
        job: Whose.
        sample: Which of its answers.
        decode: The text of tokens.

    `tokens` are those chosen so far, without one that ended it; `ahead` those that follow of necessity by its
    constraint, which are still to be read, and to be taken once the model's word on them is known.
    """

    def __init__(self, job: Job, sample: int, decode: Decode) -> None:
        self.job, self.sample, self.ended = job, sample, False
        self.tokens: list[int] = []
        self.state = RowState(job.request.choosing, job.request.prompt, sample)
        given = job.request.constraint
        self.constraint: Constraint | None = None if given is None else given.copy()
        self.ahead: list[int] = []
        self._text = TextStream(decode, job.request.stop_texts)
        self._unheard: list[Chosen] = []

    @property
    def left(self) -> int:
        """Tokens that it may still have."""
        return self.job.request.limit - len(self.tokens)

    @property
    def unread(self) -> int:
        """How many tokens may be read in a row: its newest, and those ahead that tell what follows them."""
        done = self.constraint is not None and self.constraint.is_done
        return len(self.ahead) + (not done)

    def take(self, chosen: Chosen) -> None:
        """Takes its next token, the first one of those ahead if there are any."""
        self.job.note_token()
        if chosen.token in self.job.request.stop_ids:
            self.end("stop")
            return
        if self.ahead:
            self.state.take(self.ahead.pop(0))
        elif self.constraint is not None:
            self.constraint.take(chosen.token)
            self._look_ahead()
        self.tokens.append(chosen.token)
        self._unheard.append(chosen)
        shown = self._text.add(chosen.token)
        if shown:
            self._say(shown)
        if self._text.stopped:
            self._unheard.clear()  # they are the stop text
            self.end("stop")
        elif self.constraint is not None and self.constraint.is_done and not self.ahead:
            self.end("stop")
        elif self.left <= 0:
            self.end("length")

    def _look_ahead(self) -> None:
        """Goes on through its grammar as far as there is one way."""
        assert self.constraint is not None
        for token in self.constraint.forced()[: self.left - 1]:
            self.constraint.take(token)
            self.ahead.append(token)

    def end(self, reason: Literal["stop", "length", "cancelled"]) -> None:
        """Ends it, unless it has ended."""
        if self.ended:
            return
        self.ended = True
        rest = self._text.finish()
        if self._text.stopped and not rest:
            self._unheard.clear()
        if self._unheard or rest:
            self._say(rest)
        self.job.tell(Ended(self.sample, "stop" if self._text.stopped else reason))
        self.job.ended()

    def _say(self, text: str) -> None:
        self.job.tell(Piece(self.sample, tuple(self._unheard), text))
        self._unheard.clear()


def _seconds(start: float, end: float, now: float) -> float:
    """From start to end, or until now where that has not come."""
    return (now if math.isnan(end) else end) - start

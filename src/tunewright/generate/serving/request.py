"""What the serving engine is asked for, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tunewright.base.errors import BusyError, InputError
from tunewright.generate.drawing import Choosing, Chosen

if TYPE_CHECKING:
    from tunewright.generate.constraint import Constraint

Busy = BusyError

__all__ = [
    "Busy",
    "Chosen",
    "Done",
    "Ended",
    "EngineSettings",
    "EngineStatus",
    "Failed",
    "Hear",
    "Heard",
    "Piece",
    "Request",
]


@dataclass(frozen=True)
class Request:
    """A prompt, and how it is to be answered.

    Args:
        prompt: Its tokens, one at least.
        limit: Longest answer, in tokens; 0 for none, where only the prompt is scored.
        adapter: Key of the loaded adapter that answers; empty for the base alone.
        stop_ids: Tokens that end an answer, and are no part of it.
        stop_texts: Texts that end an answer, wherever its tokens cut them, and are no part of it.
        choosing: How tokens are chosen.
        samples: Answers.
        top_logprobs: How many of the likeliest tokens are told beside each chosen one; None for none.
        prompt_logprobs: The same of each token of the prompt but the first; None: the prompt is not scored.
        constraint: What answers must look like; each sample follows a copy of its own.

    Raises:
        InputError: If a value makes no sense.
    """

    prompt: tuple[int, ...]
    limit: int
    adapter: str = ""
    stop_ids: frozenset[int] = frozenset()
    stop_texts: tuple[str, ...] = ()
    choosing: Choosing = field(default_factory=Choosing)
    samples: int = 1
    top_logprobs: int | None = None
    prompt_logprobs: int | None = None
    constraint: Constraint | None = None

    def __post_init__(self) -> None:
        if not self.prompt:
            raise InputError("A prompt holds no token", where="prompt")
        if self.limit < 0:
            raise InputError(f"An answer of at most {self.limit} tokens is asked for", where="limit", hint="Ask for 0.")
        if self.samples < 1:
            raise InputError(f"{self.samples} answers are asked for", where="samples", hint="Ask for one or more.")
        if not all(self.stop_texts):
            raise InputError("A stop text is empty", where="stop_texts")


@dataclass(frozen=True, slots=True)
class Piece:
    """The next tokens of an answer, and the text that may be shown for them.

    Tokens wait for one another where they are parts of one character, or of what may be a stop text.

    Args:
        sample: Which of the request's answers.
        tokens: One at least, but for a last piece that only has text.
        text: What they add to the answer's text.
    """

    sample: int
    tokens: tuple[Chosen, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An answer has ended: by a stop token, a stop text or its grammar's end, at the limit, or called off."""

    sample: int
    reason: Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Done:
    """All answers have ended; the last that is heard.

    Args:
        prompt_tokens: Tokens of the prompt.
        cached_tokens: How many of them were not read anew.
        completion_tokens: Tokens that were chosen, those that ended answers not counted.
        prompt: Of each token of the prompt but the first, where that was asked for.
        queued_s: Seconds from asking until the prompt began to be read.
        first_token_s: Seconds from asking until the first token was chosen; of none, until the end.
        seconds: Seconds from asking until the end.
    """

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    prompt: tuple[Chosen, ...] | None = None
    queued_s: float = 0.0
    first_token_s: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """The request failed; the last that is heard."""

    error: Exception


Heard = Piece | Ended | Done | Failed
Hear = Callable[[Heard], None]


@dataclass(frozen=True)
class EngineSettings:
    """What an engine may take.

    Args:
        memory_bytes: Of keys and values, of all requests together.
        max_rows: Answers written side by side.
        chunk_tokens: Tokens of prompts read in one pass, beside one token of each answer that is being written.
        queue_limit: Requests that wait; further ones are refused.
        longest: Tokens of a prompt and its answer together; None: as long as the model was made for.
        packs: Whether the weights may be held a second time, in the processor's order (`models.packing`).

    Raises:
        InputError: If a value makes no sense.
    """

    memory_bytes: int = 1 << 30
    max_rows: int = 32
    chunk_tokens: int = 256
    queue_limit: int = 256
    longest: int | None = None
    packs: bool = True

    def __post_init__(self) -> None:
        for name in ("memory_bytes", "max_rows", "chunk_tokens", "queue_limit", "longest"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{value} is below 1", where=name)


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What an engine is doing, and what it has done since it was made.

    Args:
        rows: Answers that are being written.
        max_rows: As many as can be.
        reading: Requests whose prompts are being read.
        waiting: Requests, and answers put back, that wait for a place.
        pages_total: Pages of keys and values.
        pages_used: How many of them hold something, be it in use or kept for later.
        pages_held: How many of them are in use.
        page_bytes: Of each.
        tokens_per_s: Tokens chosen in the last ten seconds, by second.
        requests: That were taken on.
        failed: How many of them failed.
        prompt_tokens: Of all requests whose prompts began to be read.
        cached_tokens: How many of those were not read anew.
        completion_tokens: Tokens chosen.
        passes: Of the model.
        put_back: Times that an answer had to wait for memory.
        adapters: Keys of the adapters that are loaded.
    """

    rows: int
    max_rows: int
    reading: int
    waiting: int
    pages_total: int
    pages_used: int
    pages_held: int
    page_bytes: int
    tokens_per_s: float
    requests: int
    failed: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    passes: int
    put_back: int
    adapters: tuple[str, ...]

    @property
    def pages_free(self) -> int:
        """Pages that hold nothing."""
        return self.pages_total - self.pages_used

    @property
    def idle(self) -> bool:
        """Whether nothing is asked for."""
        return not (self.rows or self.reading or self.waiting)

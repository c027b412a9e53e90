"""Examples to tokens, many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from tunewright.base.errors import DataError
from tunewright.data.example import Example
from tunewright.models.chat import ChatFormat, Rendered

_AT_ONCE = 512
NOTHING = Rendered([], [])


def rendered(examples: Iterable[Example], chat: ChatFormat) -> Iterator[tuple[Example, Rendered, Rendered]]:
    """Each example with its tokens, and those with its rejected answer, empty where it has none.

    While some are tokenised, the texts of the next ones are made.

    Raises:
        DataError: If the chat template refuses a conversation; names its row.
    """
    left = iter(examples)
    waiting: tuple[Sequence[Example], Future[list[Rendered]] | None] | None = None
    with ThreadPoolExecutor(1) as worker:
        while some := list(islice(left, _AT_ONCE)):
            parts = None
            if not any(example.tools or example.rejected is not None for example in some):
                try:
                    parts = chat.parts_all([example.messages for example in some])
                except DataError:
                    parts = None  # one by one then, so that the error names the row
            ahead = some, None if parts is None else worker.submit(chat.encode_all, parts)
            if waiting:
                yield from _settled(*waiting, chat)
            waiting = ahead
        if waiting:
            yield from _settled(*waiting, chat)


def _settled(
    some: Sequence[Example], tokens: Future[list[Rendered]] | None, chat: ChatFormat
) -> Iterator[tuple[Example, Rendered, Rendered]]:
    if tokens is None:
        yield from ((example, *render(example, chat)) for example in some)
    else:
        yield from ((example, own, NOTHING) for example, own in zip(some, tokens.result(), strict=True))


def render(example: Example, chat: ChatFormat) -> tuple[Rendered, Rendered]:
    """One example's tokens; as `rendered`."""
    try:
        own = chat.render(example.messages, example.tools)
        other = chat.render(example.rejected_messages, example.tools) if example.rejected is not None else NOTHING
    except DataError as error:
        raise DataError(error.what, where=f"{example.source}:{example.line}", hint=error.hint) from error
    return own, other

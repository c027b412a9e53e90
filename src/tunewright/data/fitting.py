"""Rows longer than the limit: left out, cut at one end, or split, and what that costs told for each.

A cut keeps what training needs before what it only reads. `truncate_left` drops the oldest turns, then the beginning of
the last question, and keeps the system message while the answer leaves room for it. `truncate_right` drops the end.
`split` makes several rows; each but the first begins with the last token of the one before, so that every token is
learned once, with whatever stands before it in its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tunewright.base.errors import DataError
from tunewright.data.example import Example
from tunewright.data.rendering import NOTHING, render
from tunewright.models.chat import ChatFormat, Rendered, Turn
from tunewright.models.text_format import ANSWER_START

TooLong = Literal["drop", "error", "truncate_left", "truncate_right", "split"]
Change = Literal["none", "dropped", "truncated", "split"]

PIECE = "#"  # stands between a split row's id and the number of its piece


@dataclass(frozen=True, slots=True)
class Fitted:
    """What became of one example.

    Args:
        length: Its tokens before, of the longer answer where it has two.
        change: What was done.
        rows: (id, tokens, tokens with the rejected answer) of what is kept; empty where it was dropped.
        lost: Learned tokens that were cut off.
    """

    length: int
    change: Change
    rows: tuple[tuple[str, Rendered, Rendered], ...]
    lost: int = 0


def fit(
    example: Example,
    chat: ChatFormat,
    limit: int,
    too_long: TooLong,
    tokens: tuple[Rendered, Rendered] | None = None,
) -> Fitted:
    """Renders an example, and makes it fit.

    Args:
        limit: Most tokens of a row.
        too_long: What to do with a longer one; `error` is for the caller to raise, once all are known.
        tokens: What `rendering.rendered` gave for it, where that is at hand.

    Raises:
        DataError: If the chat template refuses the conversation, or a row with two answers is to be split.
    """
    own, other = tokens or render(example, chat)
    length = max(len(own.tokens), len(other.tokens))
    if length <= limit:
        return Fitted(length, "none", ((example.id, own, other),))
    if too_long == "split":
        return _split(example, own, limit)
    if too_long == "truncate_left":
        kept = _truncated_left(example, chat, limit)
    elif too_long == "truncate_right":
        kept = cut_right(own, limit), cut_right(other, limit)
    else:
        return Fitted(length, "dropped", ())
    lost = sum(_learned(before) - _learned(after) for before, after in zip((own, other), kept, strict=True))
    gone = [before.tokens and not _learned(after) for before, after in zip((own, other), kept, strict=True)]
    # Of two answers neither may lose its beginning, by which it differs from the other.
    spoiled = example.rejected is not None and lost > 0 and too_long == "truncate_left"
    if any(gone) or spoiled or kept[0].tokens == kept[1].tokens:
        return Fitted(length, "dropped", ())
    return Fitted(length, "truncated", ((example.id, *kept),), lost)


def _learned(row: Rendered) -> int:
    return sum(weight != 0 for weight in row.learned)


def split(row: Rendered, limit: int) -> list[Rendered]:
    """Cuts tokens into pieces of at most `limit`, each beginning with the last token of the one before.

    That token has weight 0 there. The first piece and the others without their first tokens, one after another, give
    back tokens and weights.
    """
    if limit < 2:
        raise DataError(f"Rows cannot be split into pieces of {limit} tokens", where="data.max_length")
    pieces = [Rendered(row.tokens[:limit], row.learned[:limit])]
    for start in range(limit, len(row.tokens), limit - 1):
        stop = start + limit - 1
        pieces.append(Rendered(row.tokens[start - 1 : stop], [0.0, *row.learned[start:stop]]))
    return pieces


def _split(example: Example, row: Rendered, limit: int) -> Fitted:
    if example.rejected is not None:
        raise DataError(
            "This row has two answers to compare, and cannot be split",
            where=f"{example.source}:{example.line}",
            hint="Set data.too_long to truncate_left or drop, or raise data.max_length.",
        )
    named = [
        (example.id if number == 1 else f"{example.id}{PIECE}{number}", piece, NOTHING)
        for number, piece in enumerate(split(row, limit), 1)
    ]
    # A piece in which nothing is learned, such as the beginning of a long question, teaches nothing.
    kept = tuple(piece for piece in named if _learned(piece[1]))
    return Fitted(len(row.tokens), "split" if kept else "dropped", kept)


def cut_right(row: Rendered, limit: int) -> Rendered:
    """The first `limit` tokens."""
    return Rendered(row.tokens[:limit], row.learned[:limit])


def cut_left(row: Rendered, limit: int, *, header: int, excess: int) -> Rendered:
    """Drops tokens behind the first `header` ones, or, where the prompt has not so many, all but the last `limit`.

    Args:
        excess: How many to drop.
    """
    marks = [place for place, token in enumerate(row.tokens) if token == ANSWER_START]
    learned = [place for place, weight in enumerate(row.learned) if weight]
    # An encoder's source keeps its own end token, which stands before the mark.
    first = min([*(mark - 1 for mark in marks), *learned, len(row.tokens)])
    if header and header + excess <= first:
        return Rendered(
            row.tokens[:header] + row.tokens[header + excess :], row.learned[:header] + row.learned[header + excess :]
        )
    if marks and marks[0] < len(row.tokens) - limit:
        return NOTHING  # an answer without a source
    kept = Rendered(row.tokens[-limit:], row.learned[-limit:])
    if len(kept.tokens) < len(row.tokens):
        kept.learned[0] = 0.0  # nothing stands before it any more
    return kept


def _truncated_left(example: Example, chat: ChatFormat, limit: int) -> tuple[Rendered, Rendered]:
    """The example without its oldest turns, and, where that is not enough, without the beginning of its question."""
    for shorter in _without_oldest(example):
        own, other = (_without_tail(row) for row in render(shorter, chat))
        if max(len(own.tokens), len(other.tokens)) <= limit:
            return own, other
    # Only the last question is left now.
    excess = max(len(own.tokens), len(other.tokens)) - limit
    header = _header(shorter, chat, [row.tokens for row in (own, other) if row.tokens])
    cut = [cut_left(row, limit, header=header, excess=excess) if row.tokens else row for row in (own, other)]
    dropped = [len(row.tokens) - len(after.tokens) for row, after in zip((own, other), cut, strict=True)]
    if other.tokens and dropped != [excess, excess]:
        # Two answers are only compared behind one and the same prompt.
        return NOTHING, NOTHING
    return cut[0], cut[1]


def _without_oldest(example: Example) -> list[Example]:
    """The example, then without its oldest turn, and so on to the last question with a learned answer behind it."""
    told = _told(example)
    last = max((at for at, message in enumerate(example.messages) if message.weight), default=len(example.messages))
    starts = [at for at, message in enumerate(example.messages) if message.role == "user" and told < at < last]
    head = example.messages[:told]
    return [example, *(replace(example, messages=(*head, *example.messages[at:])) for at in starts)]


def _told(example: Example) -> int:
    """How many messages of the system, or the developer, the conversation begins with."""
    roles = (message.role in ("system", "developer") for message in example.messages)
    return next((at for at, is_told in enumerate(roles) if not is_told), len(example.messages))


def _without_tail(row: Rendered) -> Rendered:
    """Without what follows the last learned token, which nothing is learned from."""
    end = max((at for at, weight in enumerate(row.learned, 1) if weight), default=len(row.tokens))
    return Rendered(row.tokens[:end], row.learned[:end])


def _header(example: Example, chat: ChatFormat, rows: Sequence[Sequence[int]]) -> int:
    """Tokens in front of the first question: system message, tools, and the marker of the user's turn."""
    told = example.messages[: _told(example)]
    asked = [chat.prompt([*told, Turn("user", text)], example.tools) for text in ("0", "a")]
    count = 0
    for each in zip(*asked, *rows, strict=False):
        if len(set(each)) > 1:
            break
        count += 1
    return count
